"""How much a model is asked at once and per minute."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from selfinstruct.llm import TransientError
from selfinstruct.llm.calls import Call
from selfinstruct.records import Reply

MINUTE = 60.0
TOKENS_A_CHARACTER = 0.25  # until replies have shown the real ratio
GRACE = 0.5  # seconds in which a library may still report the timeout itself

Answer = TypeVar("Answer")


class Gate:
    """Limits the requests at once: to half as many after the provider asked to slow down, then one more for
    each round without such a request (additive increase, multiplicative decrease, as in TCP).

    Args:
        most: the most requests at once.
        changed: called with each new limit.
    """

    def __init__(self, most: int, changed: Callable[[int], None]) -> None:
        self._most, self._changed = most, changed
        self._limit = float(most)
        self._slowed_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._inside = 0

    async def enter(self) -> None:
        """Wait to be let in; every caller must leave again."""
        if self._inside < int(self._limit) and not self._waiting:
            self._inside += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let in at the same moment
                self.leave()
            raise

    def leave(self) -> None:
        """Make room for another."""
        self._inside -= 1
        self._let_in()

    def slower(self, sent: float) -> None:
        """Note that the provider asked a request, sent at this time of the monotonic clock, to slow down.

        A request sent before the last step down gives no new information.
        """
        if sent < self._slowed_at:
            return
        self._slowed_at = time.monotonic()
        self._set(max(1.0, self._limit / 2))

    def went_well(self) -> None:
        """A request was answered."""
        if self._limit < self._most:
            self._set(min(float(self._most), self._limit + 1 / self._limit))
            self._let_in()

    def _set(self, limit: float) -> None:
        before, self._limit = int(self._limit), limit
        if int(limit) != before:
            self._changed(int(limit))

    def _let_in(self) -> None:
        while self._waiting and self._inside < int(self._limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self._inside += 1
                turn.set_result(None)


class Pace:
    """A limit per minute: no minute has more, and at most a second's worth goes at once.

    An amount above a second's worth is let through once a second's worth is available; the amounts after it
    wait for the rest. (No library for this accepts an amount above its bucket, or takes back what was not
    needed.)

    Args:
        per_minute: the limit.
        closing: once it is set, nothing more is let through.
    """

    def __init__(self, per_minute: float, closing: asyncio.Event) -> None:
        self._burst = per_minute / MINUTE
        self._rate = (per_minute - self._burst) / MINUTE
        self._level, self._at = self._burst, time.monotonic()
        self._closing, self._turn = closing, asyncio.Lock()

    async def take(self, amount: float) -> None:
        """Wait until this amount may go, in the order of arrival."""
        async with self._turn:
            while not self._closing.is_set() and (lacking := min(amount, self._burst) - self._fill()) > 0:
                await pause(lacking / self._rate, self._closing)
            self._level -= amount

    def correct(self, amount: float) -> None:
        """Take this much more, or return it if negative: the amount taken was a guess."""
        self._level -= amount

    def _fill(self) -> float:
        """The amount available now; never more than a burst, however long ago the last check was."""
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        return self._level


class TokenPace:
    """The pace of tokens; their number is a guess until the replies arrive.

    Args:
        per_minute: the limit.
        closing: once it is set, nothing more is let through.
    """

    def __init__(self, per_minute: float, closing: asyncio.Event) -> None:
        self._pace = Pace(per_minute, closing)
        self._characters = self._sent = self._said = self._replies = 0

    async def take(self, call: Call) -> None:
        """Wait until a request may go."""
        await self._pace.take(self._guess(call))

    def learn(self, call: Call, replies: Sequence[Reply | None]) -> None:
        """Correct the guess for a request."""
        sent = sum(reply.prompt_tokens for reply in replies if reply)
        said = sum(reply.completion_tokens for reply in replies if reply)
        self._pace.correct(sent + said - self._guess(call))
        if all(reply and reply.prompt_tokens for reply in replies):
            self._characters += call.characters
            self._sent += sent
            self._said += said
            self._replies += len(replies)

    def _guess(self, call: Call) -> float:
        if not self._replies:
            return call.characters * TOKENS_A_CHARACTER + call.longest
        rate, reply = self._sent / self._characters, self._said / self._replies
        return call.characters * rate + reply * len(call.shapes)


async def within(seconds: float, answer: Awaitable[Answer]) -> Answer:
    """The awaited result, if it arrives within these seconds.

    Raises:
        TransientError: if it does not.
    """
    try:
        if sys.version_info < (3, 11):
            return await asyncio.wait_for(answer, seconds + GRACE)
        async with asyncio.timeout(seconds + GRACE):  # `wait_for` makes a task for each reply
            return await answer
    except (asyncio.TimeoutError, TimeoutError) as error:
        raise TransientError(f"no reply within {seconds:g} s") from error


async def pause(seconds: float, closing: asyncio.Event) -> None:
    """Wait, unless the run is stopping."""
    try:
        await asyncio.wait_for(closing.wait(), seconds)
    except asyncio.TimeoutError:
        return
