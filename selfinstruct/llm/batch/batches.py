"""The batches of a model in a stage: picks up the open ones, makes others, and brings each to its end.

A request waits here until its batch is over. Requests that no batch has go into the `outbox`, which gathers
them until no more come, and divides them by the provider's limits and by the budget. What came is handed over
by the `inbox`, request by request, also of a batch that expired or was cancelled; what did not come is asked
again, once, in another batch. A few batches are open at once, so the memory holds as many requests as these
have, whatever the size of the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import TransientError
from selfinstruct.llm.batch.follow import Work, find, follow, make, unknown
from selfinstruct.llm.batch.full import FullError
from selfinstruct.llm.batch.inbox import Inbox
from selfinstruct.llm.batch.outbox import Outbox
from selfinstruct.llm.batch.possible import ATTEMPTS
from selfinstruct.llm.batch.services import Service, service_of
from selfinstruct.llm.batch.stored import MAKING, TAKEN, Stored, open_batches
from selfinstruct.llm.batch.waiters import Waiter, Waiters
from selfinstruct.llm.batch.words import requests, since
from selfinstruct.llm.calls import Prompts
from selfinstruct.llm.fine_tuning import UnknownError
from selfinstruct.records import Reply

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext
    from selfinstruct.llm.providers import LiteLLM

LONGEST_MAKING = 20.0  # seconds that a batch which is being made is waited for when the run stops


class Batches:
    """The batches of one model in a stage; `Batches.open` makes them.

    Args:
        config: the model's keys.
        context: the objects of the run.
        model: writes requests and reads answers.
        service: the provider.
    """

    def __init__(self, config: ModelConfig, context: RunContext, model: LiteLLM, service: Service) -> None:
        self._config, self._context, self._service = config, context, service
        self._waiters = Waiters()
        self._tasks: dict[asyncio.Task[None], Work] = {}
        self._outbox = Outbox(model, service, config, context, self._send, self._tasks.keys(), self._fail)
        self._inbox = Inbox(model, context, self._waiters, self._outbox.add)
        self._watching = asyncio.create_task(self._watch())
        self._wrong: Exception | None = None
        self._changed: set[Stored] = set()  # batches with requests that would be other ones now

    @classmethod
    async def open(cls, config: ModelConfig, context: RunContext, model: LiteLLM, first: Prompts) -> Batches:
        """Find the provider, and pick up the open batches of the stage.

        Args:
            config: the model's keys.
            context: the objects of the run.
            model: writes requests and reads answers.
            first: the first request of the stage that is asked.

        Raises:
            ModelError: if the request cannot be written.
        """
        from selfinstruct.llm.batch.wire import Wire  # needs LiteLLM, which is imported by now

        form, _ = await model.written(first.adapted[0])
        wire = Wire(form, config, context.progress)
        batches = cls(config, context, model, service_of(config.name.partition("/")[0], wire))
        for sent in open_batches(context.journal):
            if (sent.stage, sent.model) == (first.stage, config.name):
                batches._waiters.batch.update(dict.fromkeys(sent.unanswered(context.journal), sent))
                work = batches._work(sent)
                batches._start(work, batches._pick_up(work))
        return batches

    async def ask(self, call: Prompts) -> Reply | None:
        """The reply to a request; None if the run stops before it is there.

        Raises:
            TransientError: if two batches did not answer it.
            RefusedError: if it was refused with an unknown message.
            ModelError: if no batch can be made, or picked up.
            BudgetReached: if the budget allows no batch with it.
        """
        number, context = call.number, self._context
        before = self._waiters.batch.get(number)
        over = before is not None and self._inbox.handed_over(before, number)  # then it is shorter now
        if before and (over or not self._same(call)):
            del self._waiters.batch[number]
            self._inbox.forget(before, number)
            if not over and before not in self._changed:
                self._changed.add(before)
                words = f"requests of batch {before.id} would be other ones now, from {number} on"
                context.progress.say(f"{call.stage}: {words}; those are asked again, which costs again")
        early = self._inbox.has_early(number)
        if self._wrong and not early:
            raise self._wrong
        if context.closing.is_set() and not early:
            return None
        waiter = self._waiters.waiting[number] = Waiter(call, asyncio.get_running_loop().create_future())
        if early:
            await self._inbox.claim(waiter)
        elif number not in self._waiters.batch:
            self._outbox.add(waiter)
        try:
            return await waiter.future
        finally:
            if self._waiters.waiting.get(number) is waiter:
                del self._waiters.waiting[number]

    async def close(self) -> None:
        """Stop waiting; a batch goes on at the provider, and one that is being made is made."""
        await self._outbox.close()
        making = [task for task, work in self._tasks.items() if work.sent.state == MAKING]
        if making:
            await asyncio.wait(making, timeout=LONGEST_MAKING)
        tasks = [*self._tasks, self._watching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._inbox.close()

    def _same(self, call: Prompts) -> bool:
        """Whether a request is the one that was put into a batch, as far as the journal knows."""
        (request,) = call.requests
        before = self._context.journal.request(request.stage, request.number)
        return before is None or request.may_shorten or before.content == request.content

    async def _pick_up(self, work: Work) -> None:
        sent = work.sent
        if sent.id:
            work.say(f"picking up batch {sent.id}, made {since(sent.made)} ago with {requests(sent.count)}")
        else:
            what = f"a batch of {requests(sent.count)}, which was being made {since(sent.made)} ago"
            work.say(f"looking at the provider for {what}")
        if sent.state == MAKING and not await find(work):
            self._give_up(work, unsent=True)
            return
        await self._bring(work)

    def _send(self, sent: Stored, file: BinaryIO) -> Work:
        """Make a batch of a file, and bring it to its end; return it at once."""

        async def steps() -> None:
            with file:
                made = await make(work, file)
            if made:
                await self._bring(work)

        self._waiters.batch.update(dict.fromkeys(sent.numbers, sent))
        work = self._work(sent)
        self._start(work, steps())
        return work

    async def _bring(self, work: Work) -> None:
        """Follow a batch to its end, and hand over what came."""
        what = f"batch {work.sent.id}"
        try:
            batch = await follow(work)
            what = f"results of batch {work.sent.id}"
            if batch is not None and batch.missing:
                raise UnknownError(f"{what} are not there")
            if batch is not None:
                await self._inbox.take_in(work, batch)
        except UnknownError as error:
            if self._config.batch_lost == "stop":
                raise ModelError(unknown(work, what)) from error
            work.say(f"the provider does not have the {what} any more; its requests are asked again")
            self._give_up(work)

    def _give_up(self, work: Work, unsent: bool = False) -> None:
        """Have the requests of a batch asked in another one; they do not count if they were never asked."""
        numbers, stage = self._waiters.leave(work.sent), work.sent.stage
        if unsent:
            journal = self._context.journal
            journal.sent(filter(None, (journal.request(stage, number) for number in numbers)), sends=-1)
            self._context.budget.sent(-len(numbers))
        work.lose()
        for number in numbers:
            waiter = self._waiters.waiting.get(number)
            if waiter is None or waiter.future.done():  # its reply may be here already
                continue
            waiter.tries += not unsent
            if waiter.tries < ATTEMPTS:
                self._outbox.add(waiter)
            else:
                waiter.settle(TransientError("the provider lost the batches that it was in"))

    def _work(self, sent: Stored) -> Work:
        return Work(self._service, sent, self._config, self._context)

    def _start(self, work: Work, steps: Awaitable[None]) -> None:
        async def guarded() -> None:
            try:
                await steps
            except FullError as error:
                work.tell("queue full")
                self._outbox.queue.refused(work.sent.count, error)
                self._give_up(work, unsent=True)
            except Exception as error:
                self._fail(error, self._waiters.waiting_in(work.sent))
            finally:
                work.verdict.set()
                self._context.progress.traffic(-work.sent.count)

        self._context.progress.traffic(work.sent.count)
        task = asyncio.create_task(guarded())
        self._tasks[task] = work
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def _fail(self, error: Exception, waiters: list[Waiter]) -> None:
        """Give an error to requests that wait, and to those that come later."""
        self._wrong = self._wrong or error
        for waiter in waiters:
            waiter.settle(error)

    async def _watch(self) -> None:
        """When the run stops, let go of the requests whose replies are not arriving."""
        await self._context.closing.wait()
        for waiter in list(self._waiters.waiting.values()):
            if not self._inbox.has(self._waiters.batch.get(waiter.number)):
                waiter.settle(None)
        for work in list(self._tasks.values()):
            sent = work.sent
            if sent.id and sent.state != TAKEN and not self._inbox.has(sent):
                what = f"batch {sent.id}, with {requests(sent.count)}, goes on at the provider"
                with suppress(Exception):
                    self._context.progress.say(f"{what}; run the same command again to pick it up")
