"""How much a model is asked at once and per minute: the user's limits, and those that the provider shows.

`level` finds the number in flight from refusals (429), `quotas` reads the provider's headers, `gate` keeps
both, and `pace` keeps the user's limits per minute.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from selfinstruct.config import ModelConfig
from selfinstruct.llm import TransientError
from selfinstruct.llm.calls import Call
from selfinstruct.llm.gate import Gate, Place, Spacing, pause
from selfinstruct.llm.level import NONE, STEADY, Level
from selfinstruct.llm.pace import Pace, TokenPace
from selfinstruct.llm.quotas import RECEIVED, SENT, Allowance, quotas
from selfinstruct.records import Reply

GRACE = 0.5  # seconds in which a library may still report the timeout itself
NOTABLE = 1.1  # a level that is so many times larger or smaller is worth an event
TWICE = 2  # attempts
RECENT, MOSTLY = 1 / 16, 0.5  # the weight of the latest answer, and a share of refusals
FELT = 0.05  # seconds that a request waits for the provider's headers, to be worth an event

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Limit:
    """What a model is asked from now on, for people.

    Attributes:
        concurrency: the most requests in flight.
        of: as many as the user allows.
        per_second: requests a second; None if only the number in flight is limited.
        why: the reason, in words.
    """

    concurrency: int
    of: int
    per_second: float | None
    why: str


@dataclass(frozen=True)
class Sent:
    """A request in flight: its round of `Level`, and when it was sent."""

    round: int
    at: float


class Limits:
    """All limits of one model.

    Args:
        config: the model's keys.
        closing: once it is set, nobody waits.
        changed: called when the model is asked notably more or less.
    """

    def __init__(self, config: ModelConfig, closing: asyncio.Event, changed: Callable[[Limit], None]) -> None:
        self._closing, self._changed = closing, changed
        self._level = Level(config.concurrency)
        self._gate = Gate(self._allowed)
        self._spacing = Spacing(self._rate, closing)
        self._requests = Pace(config.requests_per_minute, closing) if config.requests_per_minute else None
        self._tokens = TokenPace(config.tokens_per_minute, closing) if config.tokens_per_minute else None
        self._allowance = Allowance(self._cost)
        self._costs: dict[str, float] = {}
        self._answers = 0
        self._held_until = 0.0
        self._in_flight = 0
        self._lately = 0.0  # the share of refusals among the latest answers
        self._told = Limit(config.concurrency, config.concurrency, None, "")
        self._limited = self._by_quota = False
        self.sent_in_all = self.refused_in_all = 0

    def calm(self, attempt: int) -> bool:
        """Whether a refused request may be sent again soon, and not only after a while.

        It may if no more is refused than usual; and twice if most requests are answered.
        """
        if self._level.stuck:
            return False
        return self._level.calm or (attempt <= TWICE and self._lately < MOSTLY)

    def place(self) -> Place:
        """A place for a request; see `gate.Place`."""
        return Place(self._gate)

    async def turn(self, call: Call) -> None:
        """Wait as long as the provider and the user require."""
        while not self._closing.is_set() and (wait := self._held_until - _now()) > 0:
            await pause(wait, self._closing)
        began, heard = _now(), self._allowance.rate(_now())
        await self._spacing.take()
        if heard and _now() - began > FELT and heard[0] < (self._level.rate or math.inf):
            self._tell_of_quota(*heard)
        if self._requests:
            await self._requests.take(1)
        if self._tokens:
            await self._tokens.take(call)

    def sent(self) -> Sent:
        """Note that a request is sent; exactly one of the next three follows."""
        self._in_flight += 1
        self.sent_in_all += 1
        self._allowance.sent()
        return Sent(self._level.sent(self._in_flight, _now()), _now())

    def answered(self, sent: Sent, call: Call, replies: Sequence[Reply | None]) -> None:
        """Note that a request was answered."""
        self._in_flight -= 1
        self._allowance.taken()
        self._lately -= self._lately * RECENT
        self._level.answered(sent.round, _now() - sent.at, _now())
        self._learn(replies)
        if self._tokens:
            self._tokens.learn(call, replies)
        self._after()

    def refused(self, sent: Sent, wait: float) -> None:
        """Note that a request was refused, since there were too many.

        Args:
            sent: the request.
            wait: the seconds that the provider asks to wait; 0 if it does not say.
        """
        self._in_flight -= 1
        self.refused_in_all += 1
        self._lately += (1 - self._lately) * RECENT
        self._level.refused(sent.round, _now() - sent.at, _now())
        if self._level.stuck:  # otherwise others are answered meanwhile, so that only this one waits
            self._held_until = max(self._held_until, _now() + wait)
        self._after()

    def failed(self, sent: Sent, taken: bool) -> None:
        """Note that a request failed in another way.

        Args:
            sent: the request.
            taken: whether the provider dealt with it.
        """
        self._in_flight -= 1
        if taken:
            self._level.answered(sent.round, None, _now())
        self._after()

    def heard(self, headers: Mapping[str, str]) -> None:
        """Note the headers of an answer; their names are in lower case."""
        found = quotas(headers, time.time())
        if found:
            self._allowance.heard(found, max(0, self._in_flight - 1), _now())

    async def step_aside(self, place: Place, wait: float) -> None:
        """Wait before another attempt of a refused request, and let others go before it.

        It keeps its place for as long as an answer takes, so that refusals do not make others go faster.
        """
        kept = min(wait, self._level.seconds or wait)
        await pause(kept, self._closing)
        place.leave()
        if wait > kept:
            await pause(wait - kept, self._closing)
        await place.take()

    def _allowed(self) -> int:
        """Requests inside the gate; one more than the level, since that one waits for its time."""
        return min(int(self._level.most), math.ceil(self._level.now) + (not self._level.open))

    def _rate(self) -> float | None:
        rates = [self._level.rate, *(self._allowance.rate(_now()) or ())[:1]]
        return min((rate for rate in rates if rate), default=None)

    def _learn(self, replies: Sequence[Reply | None]) -> None:
        """Learn how many tokens a request takes, as a mean in which the last 32 count most."""
        self._answers = min(32, self._answers + 1)
        for unit, tokens in (
            (SENT, sum(reply.prompt_tokens for reply in replies if reply)),
            (RECEIVED, sum(reply.completion_tokens for reply in replies if reply)),
        ):
            before = self._costs.get(unit, 0.0)
            self._costs[unit] = before + (tokens - before) / self._answers

    def _cost(self, unit: str) -> float | None:
        return self._costs.get(unit) if unit in (SENT, RECEIVED) else sum(self._costs.values()) or None

    def _after(self) -> None:
        """Let others in if the level allows it, and tell of a notable change."""
        self._gate.let_in()
        level = self._level
        if level.kind not in (STEADY, NONE):
            return
        now, before = self._limit(level.rate, level.why), self._told
        if self._by_quota and level.open and self._allowance.rate(_now()) is None:
            self._tell(replace(now, why="the provider has enough left"))
            return
        larger = max(now.concurrency, before.concurrency)
        back = level.open and before.concurrency != now.concurrency
        if back or larger > NOTABLE * min(now.concurrency, before.concurrency):
            self._tell(now)

    def _tell_of_quota(self, rate: float, name: str) -> None:
        if self._told.per_second and abs(math.log(rate / self._told.per_second)) < math.log(2):
            return
        self._tell(self._limit(rate, f"the provider's headers say how many {name} are left"))
        self._by_quota = True

    def _limit(self, rate: float | None, why: str) -> Limit:
        level = self._level
        return Limit(math.ceil(level.now), int(level.most), rate and round(rate, 1), why)

    def _tell(self, limit: Limit) -> None:
        self._told, self._limited, self._by_quota = limit, True, False
        self._changed(limit)

    def facts(self) -> dict[str, Any]:
        """What held the model back, for the summary of a run; empty if nothing did."""
        if not self._limited and not self.refused_in_all:
            return {}
        return {
            "sent": self.sent_in_all,
            "refused": self.refused_in_all,
            "usual": round(self._level.usual, 3),
            "concurrency": self._told.concurrency,
            "of": self._told.of,
            "per_second": self._told.per_second,
            "why": self._told.why,
        }


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


def _now() -> float:
    return asyncio.get_running_loop().time()
