"""Sends requests: so many at once, each until it is answered or given up; stores each reply as it arrives."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import Model, TransientError
from selfinstruct.progress import Progress
from selfinstruct.records import Reply, Request
from selfinstruct.store import Journal, storable

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
LONGEST_ASKED = 600.0  # a Retry-After of hours is no reason to sit still that long


class Client:
    """A model with its limits.

    Args:
        model: the open model.
        config: its keys.
        journal: where requests and replies are stored.
        progress: told of what is sent and received, and of each failed attempt.
    """

    def __init__(self, model: Model, config: ModelConfig, journal: Journal, progress: Progress) -> None:
        self._model, self._config, self._journal, self._progress = model, config, journal, progress
        self._in_flight = 0
        self._slots = asyncio.Semaphore(config.concurrency)
        self._closing = asyncio.Event()

    @property
    def lookahead(self) -> int:
        """How many requests may wait here, sent or not; it bounds the memory, not the data."""
        return max(64, 4 * self._config.concurrency)

    def wind_down(self) -> None:
        """Send nothing more and try nothing again; what is in flight may still arrive."""
        self._closing.set()

    async def send(self, request: Request) -> Reply | None:
        """The reply to a request, stored; None where the client was winding down before it was sent.

        Raises:
            ModelError: where it was given up.
        """
        async with self._slots:
            if self._closing.is_set():
                return None
            self._journal.sent(request)
            self._in_flight += 1
            self._progress.traffic(self._in_flight)
            try:
                reply = await self._attempts(request)
            except ModelError:
                self.wind_down()  # before the next request gets this one's slot
                raise
            finally:
                self._in_flight -= 1
            reply = replace(reply, text=storable(reply.text))  # the same now and when it is read again
            self._journal.arrived(request, reply)
            self._progress.traffic(self._in_flight, reply)
            return reply

    async def _attempts(self, request: Request) -> Reply:
        began, attempts = time.monotonic(), self._config.retries + 1
        for attempt in range(1, attempts + 1):
            try:
                reply = await self._model.complete(request)
                return replace(reply, attempts=attempt, seconds=round(time.monotonic() - began, 3))
            except TransientError as error:
                if attempt < attempts and not self._closing.is_set():
                    own = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
                    wait = min(error.wait, LONGEST_ASKED) if error.wait else own
                    self._progress.say(
                        f"{request.stage} request {request.number}: {error}; "
                        f"attempt {attempt + 1} in {wait:.0f} s"
                    )
                    await self._pause(wait)
                if attempt == attempts or self._closing.is_set():
                    raise ModelError(self._given_up(request, attempt, error)) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the client winds down."""
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except asyncio.TimeoutError:
            return

    def _given_up(self, request: Request, attempts: int, error: TransientError) -> str:
        return (
            f"{self._config.name}: {error}\n"
            f"  {request.stage} request {request.number} was given up after {attempts} attempts. What was "
            "received is kept: run the same command again to go on from here."
        )
