"""The number of requests in flight at once, and the time between two of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

CREDIT = 0.05  # seconds that a request may be late without slowing down those after it
LONGEST_LOOK = 0.25  # seconds after which the rate is looked at again


class Gate:
    """Lets requests in while fewer are inside than allowed.

    Args:
        allowed: how many may be inside now.
    """

    def __init__(self, allowed: Callable[[], int]) -> None:
        self._allowed = allowed
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._inside = 0

    async def enter(self, first: bool = False) -> None:
        """Wait to be let in; every caller must leave again.

        Args:
            first: whether it goes before all others that wait.
        """
        if self._inside < self._allowed() and not self._waiting:
            self._inside += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        self.let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let in at the same moment
                self.leave()
            raise

    def leave(self) -> None:
        """Make room for another."""
        self._inside -= 1
        self.let_in()

    def let_in(self) -> None:
        """Let in as many of those that wait as are allowed now."""
        while self._waiting and self._inside < self._allowed():
            turn = self._waiting.popleft()
            if not turn.done():
                self._inside += 1
                turn.set_result(None)


class Place:
    """A request's place inside a gate, which it may leave and take again.

    Args:
        gate: the gate.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate, self._had, self._inside = gate, False, False

    async def take(self) -> None:
        """Wait for a place; a request that had one before goes before all others."""
        await self._gate.enter(first=self._had)
        self._had = self._inside = True

    def leave(self) -> None:
        """Give the place to another; does nothing if it was left before."""
        if self._inside:
            self._inside = False
            self._gate.leave()


class Spacing:
    """The time between two requests, for a rate that may change at any moment.

    Args:
        rate: how many may be sent a second; None if any number may.
        closing: once it is set, nobody waits.
    """

    def __init__(self, rate: Callable[[], float | None], closing: asyncio.Event) -> None:
        self._rate, self._closing = rate, closing
        self._turn = asyncio.Lock()
        self._last = 0.0

    async def take(self) -> None:
        """Wait until the next request may go, in the order of arrival."""
        if self._rate() is None and not self._turn.locked():
            return
        async with self._turn:
            while not self._closing.is_set() and (rate := self._rate()):
                now = asyncio.get_running_loop().time()
                wait = self._last + 1 / rate - now
                if wait <= 0:
                    self._last = max(self._last + 1 / rate, now - CREDIT)
                    return
                await pause(min(wait, LONGEST_LOOK), self._closing)


async def pause(seconds: float, closing: asyncio.Event) -> None:
    """Wait, unless the run is stopping."""
    try:
        await asyncio.wait_for(closing.wait(), seconds)
    except (asyncio.TimeoutError, TimeoutError):
        return
