"""The user's limits per minute, of requests and of tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from selfinstruct.llm.calls import Call
from selfinstruct.llm.gate import pause
from selfinstruct.records import Reply

MINUTE = 60.0
TOKENS_A_CHARACTER = 0.25  # until replies have shown the real ratio


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
