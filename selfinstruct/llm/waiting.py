"""Attempts at a provider: how often, how long to wait, and how not to do anything twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

from selfinstruct.errors import ModelError
from selfinstruct.llm import TransientError
from selfinstruct.monitor.progress import Progress

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds before another attempt
ATTEMPTS = 6
T = TypeVar("T")


async def once(
    progress: Progress,
    find: Callable[[], Awaitable[T | None]],
    make: Callable[[], Awaitable[T]],
    maybe_there: bool,
    what: str,
) -> T:
    """Make something at the provider once: after a failure, or if it may be there, it is looked for first.

    Raises:
        ModelError: if the provider refuses it, or every attempt fails.
    """
    for attempt in range(ATTEMPTS):
        try:
            found = await find() if attempt or maybe_there else None
            return await make() if found is None else found
        except TransientError as error:
            if attempt + 1 == ATTEMPTS:
                words = f"{what} failed {ATTEMPTS} times: {error}"
                raise ModelError(f"{words}\n  run the same command again to continue") from error
            await _wait(progress, error, attempt, what)
    raise AssertionError("unreachable: the last attempt returns or raises")


async def patiently(
    progress: Progress, ask: Callable[[], Awaitable[T]], what: str, most: float = LONGEST_WAIT
) -> T:
    """Ask until there is an answer, for so many seconds.

    Raises:
        ModelError: if there is none.
    """
    began, attempt = time.monotonic(), 0
    while True:
        try:
            return await ask()
        except TransientError as error:
            if time.monotonic() - began >= most or (error.silent and attempt >= ATTEMPTS):
                words = f"no answer about {what}: {error}"
                raise ModelError(f"{words}\n  run the same command again to continue") from error
            await _wait(progress, error, attempt, what)
            attempt += 1


async def _wait(progress: Progress, error: TransientError, attempt: int, what: str) -> None:
    """Wait as long as the provider asks, or twice as long each time."""
    own = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * uniform(0.5, 1.0)
    seconds = error.wait or own
    progress.trouble(what, f"{what}: {error}; again in {seconds:.0f} s")
    await asyncio.sleep(seconds)
