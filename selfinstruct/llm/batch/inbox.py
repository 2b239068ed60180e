"""What comes back in batches: read line by line, and handed over to the requests that wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from selfinstruct.errors import ModelError
from selfinstruct.llm import TransientError
from selfinstruct.llm.batch.follow import Work
from selfinstruct.llm.batch.parcels import BREATH
from selfinstruct.llm.batch.possible import ATTEMPTS
from selfinstruct.llm.batch.services import Batch, Line
from selfinstruct.llm.batch.stored import TAKEN, Stored
from selfinstruct.llm.batch.waiters import Waiter, Waiters
from selfinstruct.llm.batch.words import requests
from selfinstruct.llm.prefill import continued
from selfinstruct.records import Reply

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext
    from selfinstruct.llm.providers import LiteLLM

STORING = 0.05  # seconds between two looks whether replies are stored, at first
Ended = ModelError | TransientError


class Inbox:
    """The way of replies out of batches.

    Args:
        model: reads the answers.
        context: the objects of the run.
        waiters: the requests that wait.
        again: called with a request that is to be in another batch.
    """

    def __init__(
        self, model: LiteLLM, context: RunContext, waiters: Waiters, again: Callable[[Waiter], None]
    ) -> None:
        self._model, self._context, self._waiters, self._again = model, context, waiters, again
        self._early: dict[int, tuple[Stored, Line]] = {}  # what came for requests that nobody has asked yet
        # The requests with replies of batches whose results are being read; then, until they are stored.
        self._reading: dict[Stored, set[int]] = {}
        self._read: dict[Stored, set[int]] = {}

    def has(self, sent: Stored | None) -> bool:
        """Whether the results of a batch are here, or on their way, so that they are worth waiting for."""
        return sent in self._reading or sent in self._read

    def has_early(self, number: int) -> bool:
        """Whether the answer to a request is here already."""
        return number in self._early

    async def claim(self, waiter: Waiter) -> None:
        """Hand over the answer that is here already."""
        sent, line = self._early.pop(waiter.number)
        outcome = await self._outcome(waiter, sent, line)
        waiter.tries += 1
        if not isinstance(outcome, Reply):
            self._read.get(sent, set()).discard(waiter.number)
            self._waiters.batch.pop(waiter.number, None)
        self._hand_over(waiter, outcome)

    def handed_over(self, sent: Stored, number: int) -> bool:
        """Whether whoever waited for a request of this batch has its reply already."""
        here = self._reading.get(sent) or self._read.get(sent) or ()
        return number in here and number not in self._early

    def forget(self, sent: Stored, number: int) -> None:
        """Forget what came for a request, which is another one now; its batch does not wait for its reply."""
        self._early.pop(number, None)
        for here in (self._reading, self._read):
            here.get(sent, set()).discard(number)

    async def take_in(self, work: Work, batch: Batch) -> None:
        """Hand over what a batch that is over has, and wait until it is stored.

        Raises:
            UnknownError: if the provider does not have its results any more.
            ModelError: if nobody answers.
        """
        sent = work.sent
        self._reading[sent] = set()
        try:
            await self._hand_out(work, batch)
        finally:
            del self._reading[sent]
        wait = STORING
        while not self.stored(sent):  # before that, it must not count as taken in
            await asyncio.sleep(wait)
            wait = min(5.0, wait * 1.5)

    async def _hand_out(self, work: Work, batch: Batch) -> None:
        """Hand over what came for each request, replies first: they show that the way to ask is right."""
        sent, waiting = work.sent, self._waiters.waiting
        arrived = self._reading[sent]
        left = sent.unanswered(self._context.journal).intersection(self._waiters.numbers_in(sent))
        failed: dict[int, Ended] = {}
        lines = 0
        # No provider has more answers than it got requests, whatever it counts.
        async for line in work.service.results(replace(batch, answered=min(batch.answered, sent.count))):
            lines += 1
            if lines % BREATH == 0:
                await asyncio.sleep(0)
            number = sent.number_of(line.id)
            if number is None or number not in left or self.handed_over(sent, number):
                continue
            waiter = waiting.get(number)
            if waiter is None:
                if number not in self._early or _is_good(line):  # of two lines, the one with a reply
                    self._early[number] = (sent, line)
                    arrived.add(number)
                continue
            outcome = await self._outcome(waiter, sent, line)
            if isinstance(outcome, Reply):
                left.discard(number)
                failed.pop(number, None)
                arrived.add(number)
                waiter.tries += 1
                self._hand_over(waiter, outcome)
            else:  # it may have another line, with a reply
                failed[number] = outcome
        self._read[sent] = arrived  # not before all is read, or the rest would be asked again
        for number in left - arrived:
            if number in waiting:
                words = f"batch {batch.id} ({batch.state}) has no answer to this request"
                failed.setdefault(number, TransientError(words))
            else:
                del self._waiters.batch[number]
        if failed:
            many = f"{len(failed):,} of {requests(sent.count)}"
            first = next(iter(failed.values()))
            work.say(f"batch {batch.id}: no reply to {many}; the first reason: {_short(first)}")
        for number, error in failed.items():
            self._waiters.batch.pop(number, None)
            if waiter := waiting.get(number):
                waiter.tries += 1
                self._hand_over(waiter, error)

    async def _outcome(self, waiter: Waiter, sent: Stored, line: Line) -> Reply | Ended:
        """What an answer means for its request."""
        if line.answer is None:
            return TransientError(f"the batch ended before this request was asked ({line.why})")
        adapted = waiter.call.adapted[0]
        try:
            form, _ = await self._model.written(adapted)
            reply = self._model.read(form, adapted, line.answer)
        except (TransientError, ModelError) as error:
            return error
        seconds = round(max(0.0, time.time() - sent.made), 3)
        reply = replace(reply, attempts=waiter.tries + 1, seconds=seconds, cost_usd=None, doubtful=False)
        return continued(waiter.call.requests[0], reply)

    def _hand_over(self, waiter: Waiter, outcome: Reply | Ended) -> None:
        """Give a request its reply, or its error; after a first failure, it is asked again."""
        if waiter.future.done():
            return
        if isinstance(outcome, TransientError) and waiter.tries < ATTEMPTS:
            self._again(waiter)
        else:
            waiter.settle(outcome)

    def stored(self, sent: Stored) -> bool:
        """Whether the replies of a batch are in the journal; then that is noted."""
        if sent.unanswered(self._context.journal).intersection(self._read[sent]):
            return False
        del self._read[sent]
        self._waiters.leave(sent)
        sent.to(self._context.journal, TAKEN)
        self._context.budget.release(sent.key)
        return True

    def close(self) -> None:
        """Note which batches are stored."""
        for sent in list(self._read):
            self.stored(sent)


def _is_good(line: Line) -> bool:
    """Whether a line has the answer of a request that succeeded."""
    return line.answer is not None and line.answer.status < 400


def _short(error: Ended) -> str:
    return str(error).partition("\n")[0]
