"""A provider with limits and a client that keeps ours, on a clock of their own: minutes pass in milliseconds.

The client is `llm.limits` itself, used as an endpoint uses it; the provider and the time are simulated.

    provider = Provider(rate=lambda at: 40)
    simulate(provider, concurrency=64, seconds=60)
    assert provider.rate_of(provider.good, 20, 60) > 36
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from selfinstruct.config import ModelConfig
from selfinstruct.llm.calls import Call
from selfinstruct.llm.gate import pause
from selfinstruct.llm.limits import Limit, Limits
from selfinstruct.records import Reply

TICK = 1e-6  # by which the clock moves each time somebody looks at it
BEGIN = 1000.0


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next moment at which something happens."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = BEGIN
        selector = cast(Any, self)._selector
        select = selector.select

        def jump(timeout: float | None) -> Any:
            ready = select(0)
            if not ready and timeout:
                self._clock += timeout + TICK
            return ready

        selector.select = jump

    def time(self) -> float:
        """The simulated time."""
        self._clock += TICK
        return self._clock


@dataclass
class Provider:
    """A provider that refuses what its limits do not allow.

    Attributes:
        seconds: how long an answer takes, on average.
        spread: the standard deviation of that, as a share of it.
        refuses: a share of requests that it refuses whatever happens.
        rate: how many requests a second it allows at a time since the beginning; None for any number.
        burst: how many it allows at once after a pause.
        window: so many requests in each period of so many seconds.
        at_once: how many may be in flight at a time since the beginning.
        down: from when to when it refuses everything.
        retry_after: what it asks a refused client to wait; `window` for the time until the next window.
        refusal: how long a refusal takes.
        headers: what it says in the headers of an answer.
    """

    seconds: float = 0.2
    spread: float = 0.0
    refuses: float = 0.0
    rate: Callable[[float], float] | None = None
    burst: float = 10
    window: tuple[int, float] | None = None
    at_once: Callable[[float], int] | None = None
    down: tuple[float, float] = (0.0, 0.0)
    retry_after: float | str | None = None
    refusal: float = 0.005
    headers: Callable[[Provider], dict[str, str]] | None = None
    good: list[float] = field(default_factory=list)
    bad: list[float] = field(default_factory=list)
    inside: int = 0
    used: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(1)
        self.left, self._at = self.burst, 0.0
        self.period = 0

    def rate_of(self, times: list[float], begin: float, end: float) -> float:
        """How many of these were in a span of time, a second."""
        return sum(begin <= at < end for at in times) / (end - begin)

    async def ask(self) -> tuple[bool, float | None, dict[str, str]]:
        """Whether a request is answered, what a refused client is asked to wait, and the headers."""
        at = _since()
        good = self._allows(at)
        said = self.headers(self) if self.headers else {}
        if not good:
            await asyncio.sleep(self.refusal)
            self.bad.append(_since())
            if self.retry_after == "window":
                assert self.window
                return False, (self.period + 1) * self.window[1] - at, said
            return False, cast("float | None", self.retry_after), said
        self.inside += 1
        wide = random.lognormvariate(0, self.spread) if self.spread else 1.0
        await asyncio.sleep(self.seconds * wide)
        self.inside -= 1
        self.good.append(_since())
        return True, None, said

    def _allows(self, at: float) -> bool:
        if self.down[0] <= at < self.down[1] or self._rng.random() < self.refuses:
            return False
        if self.at_once and self.inside >= self.at_once(at):
            return False
        return self._in_window(at) and self._in_bucket(at)

    def _in_window(self, at: float) -> bool:
        if self.window is None:
            return True
        period = int(at // self.window[1])
        if period != self.period:
            self.period, self.used = period, 0
        self.used += 1
        return self.used <= self.window[0]

    def _in_bucket(self, at: float) -> bool:
        if self.rate is None:
            return True
        self.left = min(self.burst, self.left + (at - self._at) * self.rate(at))
        self._at = at
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass
class Course:
    """What the client did.

    Attributes:
        limits: the changes that it told of, with their times.
        most_attempts: the most attempts of one request.
        facts: what a summary would say.
        answered: when its requests were answered.
    """

    limits: list[tuple[float, Limit]] = field(default_factory=list)
    most_attempts: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    answered: list[float] = field(default_factory=list)


class Asked:
    """A request that only has what the limits look at."""

    characters, longest, shapes = 100, 0.0, ("",)


def simulate(
    provider: Provider, concurrency: int, seconds: float, window: int | None = None, tokens: int = 100
) -> Course:
    """Ask a provider for some time, with as many requests waiting as a run has.

    Args:
        provider: the provider.
        concurrency: the model's.
        seconds: for how long.
        window: a request is made when the one so many before it is answered; None: they do not depend on
            each other.
        tokens: tokens of a reply, and as many of its prompt.
    """
    (course,) = simulate_several(1, provider, concurrency, seconds, window, tokens)
    return course


def simulate_several(
    clients: int,
    provider: Provider,
    concurrency: int,
    seconds: float,
    window: int | None = None,
    tokens: int = 100,
) -> list[Course]:
    """The same with several clients that know nothing of each other."""
    random.seed(1)
    loop = SimulatedLoop()
    try:
        asked = [_ask_for(provider, concurrency, seconds, window, tokens) for _ in range(clients)]
        return loop.run_until_complete(_together(asked))
    finally:
        loop.close()


async def _together(clients: Sequence[Coroutine[Any, Any, Course]]) -> list[Course]:
    return list(await asyncio.gather(*clients))


async def _ask_for(
    provider: Provider, concurrency: int, seconds: float, window: int | None, tokens: int
) -> Course:
    closing, course = asyncio.Event(), Course()
    config = ModelConfig.model_validate({"name": "openai/simulated", "concurrency": concurrency})
    limits = Limits(config, closing, lambda limit: course.limits.append((_since(), limit)))

    async def one() -> None:
        course.most_attempts = max(course.most_attempts, await _one(limits, provider, closing, tokens))
        course.answered.append(_since())

    async def independent() -> None:
        while not closing.is_set():
            await one()

    async def in_order(many: int) -> None:
        flying: deque[asyncio.Task[None]] = deque()
        while not closing.is_set():
            while len(flying) < many:
                task = asyncio.create_task(one())
                started.add(task)
                task.add_done_callback(started.discard)
                flying.append(task)
            await flying.popleft()

    started: set[asyncio.Task[None]] = set()
    asked = [in_order(window)] if window else [independent() for _ in range(max(64, 4 * concurrency))]
    tasks = [asyncio.create_task(work) for work in asked]
    await asyncio.sleep(seconds)
    closing.set()
    for task in {*tasks, *started}:
        task.cancel()
    await asyncio.gather(*tasks, *started, return_exceptions=True)
    course.facts = limits.facts()
    return course


async def _one(limits: Limits, provider: Provider, closing: asyncio.Event, tokens: int) -> int:
    """One request until it is answered, as `Endpoint` does it; return the number of attempts."""
    call, place = cast(Call, Asked()), limits.place()
    await place.take()
    try:
        for attempt in itertools.count(1):
            await limits.turn(call)
            if closing.is_set():
                return 0
            sent = limits.sent()
            good, wait, headers = await provider.ask()
            limits.heard(headers)
            if good:
                limits.answered(sent, call, [Reply("", prompt_tokens=tokens, completion_tokens=tokens)])
                return attempt
            limits.refused(sent, wait or 0.0)
            own = min(60.0, (0.05 if limits.calm(attempt) else 1.0) * 2 ** (attempt - 1)) * random.uniform(
                0.5, 1.0
            )
            await limits.step_aside(place, wait * random.uniform(1.0, 1.1) if wait else own)
            await pause(0, closing)
    finally:
        place.leave()
    raise AssertionError("unreachable")


def _since() -> float:
    return asyncio.get_running_loop().time() - BEGIN
