"""Requests that no batch has yet: gathered until no more come, and sent as far as limits and budget allow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, BinaryIO

from selfinstruct.config import ModelConfig
from selfinstruct.errors import BudgetReached
from selfinstruct.llm.batch.follow import Work
from selfinstruct.llm.batch.full import Queue
from selfinstruct.llm.batch.parcels import Parcel, packed
from selfinstruct.llm.batch.possible import most_in_batch
from selfinstruct.llm.batch.services import Service
from selfinstruct.llm.batch.stored import Stored, runs_of
from selfinstruct.llm.batch.waiters import Waiter
from selfinstruct.llm.batch.words import requests

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext
    from selfinstruct.llm.providers import LiteLLM

QUIET = 0.5  # seconds without another request, after which a batch is made of those that came


class Outbox:
    """The way of requests into batches.

    Args:
        model: writes the requests.
        service: the provider.
        config: the model's keys.
        context: the objects of the run.
        send: begins to make a batch of what is stored and written into the file.
        working: the batches that are being made or are at the provider.
        failed: called with an error, and with the requests that are not sent because of it.

    Attributes:
        queue: the provider's queue.
    """

    def __init__(
        self,
        model: LiteLLM,
        service: Service,
        config: ModelConfig,
        context: RunContext,
        send: Callable[[Stored, BinaryIO], Work],
        working: Collection[asyncio.Task[None]],
        failed: Callable[[Exception, list[Waiter]], None],
    ) -> None:
        self._model, self._service, self._config, self._context = model, service, config, context
        self._send, self._working, self._failed = send, working, failed
        self.queue = Queue(config, context)
        self._gathered: list[Waiter] = []
        self._sending: asyncio.Task[None] | None = None

    def add(self, waiter: Waiter) -> None:
        """Have a request sent in a batch; it is let go if the run is stopping."""
        if self._context.closing.is_set():
            waiter.settle(None)
            return
        self._gathered.append(waiter)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())

    async def close(self) -> None:
        """Send no more."""
        if self._sending:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    async def _send_all(self) -> None:
        most, before = most_in_batch(self._config), 0
        try:
            while self._gathered and not self._context.closing.is_set():
                while before < len(self._gathered) < most:
                    before = len(self._gathered)
                    await asyncio.sleep(QUIET)
                before = 0
                self._gathered.sort(key=lambda one: one.number)
                await self._send_first()
        except Exception as error:
            self._failed(error, self._gathered)

    async def _send_first(self) -> None:
        """Send the first of what is gathered, as many as a batch may have.

        Raises:
            BudgetReached: if the budget allows none, and no open batch may make room in it.
            ModelError: if the provider's queue was full for too long, or a request cannot be written.
        """
        budget = self._context.budget
        await self.queue.room(self._gathered[0].call.stage, self._open())
        if self._context.closing.is_set():
            return
        first = self._gathered[: self.queue.most]
        parcel, why = await packed(first, self._model, self._service, self._config, budget)
        if parcel.waiters:
            del self._gathered[: len(parcel.waiters)]
            if why:
                many = f"{len(parcel.waiters):,} of {requests(len(first))}"
                words = f"the budget allows {many} in this batch, at the most that they may cost"
                self._context.progress.say(f"{first[0].call.stage}: {words}; more follow when it is over")
            work = self._send(self._noted(parcel), parcel.file)
            if self.queue.careful:
                await work.verdict.wait()
                self.queue.accepted()
            return
        parcel.file.close()
        working = self._open()
        if not working:
            raise BudgetReached(
                f"{why}. What was received is kept: run the same command with a larger budget."
            )
        await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)

    def _open(self) -> list[asyncio.Task[None]]:
        return [task for task in self._working if not task.done()]

    def _noted(self, parcel: Parcel) -> Stored:
        """Store a batch with its requests, before anything is sent."""
        journal, budget = self._context.journal, self._context.budget
        runs = runs_of(waiter.number for waiter in parcel.waiters)
        stage = parcel.waiters[0].call.stage
        sent = Stored(parcel.key, stage, self._config.name, runs, usd=parcel.usd, tokens=parcel.tokens)
        journal.sent(one.call.requests[0] for one in parcel.waiters)
        budget.sent(len(parcel.waiters))
        sent.to(journal)
        budget.hold(sent.key, sent.usd, sent.tokens)
        return sent
