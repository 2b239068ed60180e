"""Gathers the requests of a stage into batches, and gives each request its reply.

A request waits here until its batch is over. Requests that no batch has are gathered until no more come, and
divided by the provider's limits and by the budget. What came is handed over request by request, also of a
batch that expired or was cancelled; what did not come is asked again, once, in another batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from selfinstruct.config import ModelConfig
from selfinstruct.errors import BudgetReached, ModelError
from selfinstruct.llm import TransientError
from selfinstruct.llm.batch.follow import Work, find, follow, make, since, unknown
from selfinstruct.llm.batch.parcels import BREATH, Parcel, Waiter, packed
from selfinstruct.llm.batch.possible import ATTEMPTS, most_in_batch
from selfinstruct.llm.batch.services import Batch, Line, Service, service_of
from selfinstruct.llm.batch.stored import LOST, MAKING, TAKEN, Stored, open_batches, runs_of
from selfinstruct.llm.calls import Prompts
from selfinstruct.llm.fine_tuning import UnknownError
from selfinstruct.llm.prefill import continued
from selfinstruct.records import Reply

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext
    from selfinstruct.llm.providers import LiteLLM

QUIET = 0.5  # seconds without another request, after which a batch is made of those that came
LONGEST_MAKING = 20.0  # seconds that a batch which is being made is waited for when the run stops
STORING = 0.05  # seconds between two looks whether replies are stored, at first
Ended = ModelError | TransientError


class Batches:
    """The batches of one model in a stage.

    Args:
        config: the model's keys.
        context: the objects of the run.
    """

    def __init__(self, config: ModelConfig, context: RunContext) -> None:
        self._config, self._context, self._closing = config, context, context.closing
        self._model: LiteLLM | None = None
        self._service: Service | None = None
        self._beginning = asyncio.Lock()
        self._waiting: dict[int, Waiter] = {}
        self._in: dict[int, Stored] = {}  # by number of a request: the open batch that has it
        self._early: dict[int, tuple[Stored, Line]] = {}  # what came for requests that nobody has asked yet
        self._unsent: set[int] = set()  # requests that count as sent, and whose batch never came to be
        self._gathered: list[Waiter] = []
        self._gathering: asyncio.Task[None] | None = None
        self._tasks: dict[asyncio.Task[None], Stored] = {}
        self._arriving: set[Stored] = set()  # batches whose results are being read
        self._arrived: dict[Stored, set[int]] = {}  # and, until they are stored, the requests with replies
        self._watching: asyncio.Task[None] | None = None
        self._wrong: Exception | None = None

    async def ask(self, model: LiteLLM, call: Prompts) -> Reply | None:
        """The reply to a request; None if the run stops before it is there.

        Raises:
            TransientError: if two batches did not answer it.
            RefusedError: if it was refused with an unknown message.
            ModelError: if no batch can be made, or picked up.
            BudgetReached: if the budget allows no batch with it.
        """
        async with self._beginning:
            if self._service is None:
                self._model = model
                await self._begin(call)
        number = call.number
        if number in self._in and not self._same(call):
            del self._in[number]
        early = self._early.pop(number, None)
        if self._wrong and not early:
            raise self._wrong
        if self._closing.is_set() and not early:
            return None
        waiter = self._waiting[number] = Waiter(call, asyncio.get_running_loop().create_future())
        if early:
            self._hand_over(waiter, await self._outcome(waiter, *early))
        elif number not in self._in:
            self._gather(waiter)
        try:
            return await waiter.future
        finally:
            if self._waiting.get(number) is waiter:
                del self._waiting[number]

    async def close(self) -> None:
        """Stop waiting; a batch goes on at the provider, and one that is being made is made."""
        making = [task for task, sent in self._tasks.items() if sent.state == MAKING]
        if making:
            await asyncio.wait(making, timeout=LONGEST_MAKING)
        others = [task for task in (self._watching, self._gathering) if task]
        for task in (*self._tasks, *others):
            task.cancel()
        await asyncio.gather(*self._tasks, *others, return_exceptions=True)
        for sent in list(self._arrived):
            self._stored(sent)

    # Picking up

    async def _begin(self, call: Prompts) -> None:
        """Find the provider, and the batches of the stage that are open."""
        from selfinstruct.llm.batch.wire import Wire  # needs LiteLLM, which is imported by now

        assert self._model
        form, _ = await self._model.written(call.adapted[0])
        wire = Wire(form, self._config, self._context.progress)
        self._service = service_of(self._config.name.partition("/")[0], wire)
        replied = self._context.journal.replied(call.stage)
        for sent in open_batches(self._context.journal):
            if (sent.stage, sent.model) == (call.stage, self._config.name):
                self._in.update(dict.fromkeys(set(sent.numbers) - replied, sent))
                self._start(sent, self._pick_up(self._work(sent)))
        self._watching = asyncio.create_task(self._watch())

    def _same(self, call: Prompts) -> bool:
        """Whether a request is the one that was put into a batch, as far as the journal knows."""
        (request,) = call.requests
        before = self._context.journal.request(request.stage, request.number)
        return before is None or request.may_shorten or before.content == request.content

    async def _pick_up(self, work: Work) -> None:
        sent = work.sent
        work.say(
            f"picking up the batch {sent.id or sent.key}: {sent.count:,} requests, {since(sent.made)} ago"
        )
        if sent.state == MAKING and not await find(work):
            self._give_up(work, unsent=True)
            return
        await self._bring(work)

    def _give_up(self, work: Work, unsent: bool = False) -> None:
        """Have the requests of a batch asked in another one."""
        work.store(LOST)
        self._context.budget.release(work.sent.key)
        for number in work.sent.numbers:
            if self._in.get(number) is work.sent:
                del self._in[number]
                self._unsent.update([number] if unsent else [])
                if waiter := self._waiting.get(number):
                    self._gather(waiter)

    # Sending

    def _gather(self, waiter: Waiter) -> None:
        if self._closing.is_set():
            self._hand_over(waiter, None)
            return
        self._gathered.append(waiter)
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.create_task(self._send_gathered())

    async def _send_gathered(self) -> None:
        """Send what is gathered, as soon as no more comes."""
        most, before = most_in_batch(self._config), 0
        left: list[Waiter] = []
        try:
            while self._gathered:
                while before < len(self._gathered) < most:
                    before = len(self._gathered)
                    await asyncio.sleep(QUIET)
                left, before = sorted(self._gathered, key=lambda one: one.number), 0
                self._gathered = []
                while left and not self._closing.is_set():
                    left = left[await self._send(left) :]
        except Exception as error:
            self._fail(error, [*left, *self._gathered])

    async def _send(self, waiters: list[Waiter]) -> int:
        """Send the first of these requests, as many as a batch may have; return how many these are.

        Raises:
            BudgetReached: if the budget allows none, and no open batch may make room in it.
        """
        assert self._model and self._service
        asked = (self._model, self._service, self._config, self._context.budget, self._unsent)
        parcel, why = await packed(waiters, *asked)
        if parcel.waiters:
            self._start(*self._noted(parcel))
        elif self._tasks:
            await asyncio.wait(list(self._tasks), return_when=asyncio.FIRST_COMPLETED)
        else:
            raise BudgetReached(
                f"{why}. What was received is kept: run the same command with a larger budget."
            )
        return len(parcel.waiters)

    def _noted(self, parcel: Parcel) -> tuple[Stored, Coroutine[Any, Any, None]]:
        """Store a batch with its requests, before anything is sent; return it, and what brings it on."""
        journal, budget = self._context.journal, self._context.budget
        runs = runs_of(waiter.number for waiter in parcel.waiters)
        stage = parcel.waiters[0].call.stage
        sent = Stored(parcel.key, stage, self._config.name, runs, usd=parcel.usd, tokens=parcel.tokens)
        for again in (False, True):
            those = [one for one in parcel.waiters if (one.number in self._unsent) is again]
            journal.sent([one.call.requests[0] for one in those], sends=0 if again else 1)
            budget.sent(0 if again else len(those))
        sent.to(journal)
        budget.hold(sent.key, sent.usd, sent.tokens)
        self._unsent.difference_update(sent.numbers)
        self._in.update(dict.fromkeys(sent.numbers, sent))
        return sent, self._make(self._work(sent), parcel.file)

    async def _make(self, work: Work, file: BinaryIO) -> None:
        with file:
            try:
                made = await make(work, file)
            except ModelError:
                if work.sent.state == LOST:
                    self._context.budget.release(work.sent.key)
                raise
        if made:
            await self._bring(work)

    # Following and handing over

    async def _bring(self, work: Work) -> None:
        """Follow a batch to its end, and hand over what came."""
        try:
            batch = await follow(work)
        except UnknownError as error:
            if self._config.batch_lost == "stop":
                raise ModelError(unknown(work)) from error
            work.say(f"the provider does not know the batch {work.sent.id}; its requests are asked again")
            self._give_up(work)
            return
        except ModelError as error:
            if not isinstance(error.__cause__, TransientError):  # it was refused
                work.store(LOST)
                self._context.budget.release(work.sent.key)
            raise
        if batch is None:
            return
        self._arriving.add(work.sent)
        try:
            await self._read(work, batch)
        finally:
            self._arriving.discard(work.sent)
        await self._until_stored(work.sent)

    async def _read(self, work: Work, batch: Batch) -> None:
        """Hand over what came for each request, replies first: they show that the way to ask is right."""
        sent = work.sent
        arrived: set[int] = set()
        replied = self._context.journal.replied(sent.stage)
        left = {number for number in sent.numbers if self._in.get(number) is sent and number not in replied}
        failed: list[tuple[Waiter, Ended]] = []
        async for line in work.service.results(batch):
            number = sent.number_of(line.id)
            if number not in left:
                continue
            waiter = self._waiting.get(number)
            left.discard(number)
            if waiter is None:
                self._early[number] = (sent, line)
                arrived.add(number)
                continue
            outcome = await self._outcome(waiter, sent, line)
            if isinstance(outcome, Reply):
                arrived.add(number)
                self._hand_over(waiter, outcome)
            else:
                failed.append((waiter, outcome))
            if len(left) % BREATH == 0:
                await asyncio.sleep(0)
        self._arrived[sent] = arrived  # not before all is read, or the rest would be asked again
        for number in left:
            missing = TransientError(f"the batch {batch.id} ({batch.state}) has no answer to it")
            if waiter := self._waiting.get(number):
                failed.append((waiter, missing))
            else:
                del self._in[number]
        if failed:
            work.say(f"batch {batch.id}: {len(failed):,} of {sent.count:,} requests have no reply")
        for waiter, error in failed:
            self._in.pop(waiter.number, None)
            self._hand_over(waiter, error)

    async def _outcome(self, waiter: Waiter, sent: Stored, line: Line) -> Reply | Ended:
        """What an answer means for its request."""
        assert self._model
        waiter.tries += 1
        if line.answer is None:
            return TransientError(f"a batch ended before it was asked ({line.why})")
        adapted = waiter.call.adapted[0]
        try:
            form, _ = await self._model.written(adapted)
            reply = self._model.read(form, adapted, line.answer)
        except (TransientError, ModelError) as error:
            return error
        seconds = round(max(0.0, time.time() - sent.made), 3)
        reply = replace(reply, attempts=waiter.tries, seconds=seconds, cost_usd=None, doubtful=False)
        return continued(waiter.call.requests[0], reply)

    def _hand_over(self, waiter: Waiter, outcome: Reply | Ended | None) -> None:
        """Give a request its reply, or its error; after a first failure, it is asked again."""
        if waiter.future.done():
            return
        if isinstance(outcome, TransientError) and waiter.tries < ATTEMPTS:
            self._gather(waiter)
        elif isinstance(outcome, Exception):
            waiter.future.set_exception(outcome)
        else:
            waiter.future.set_result(outcome)

    async def _until_stored(self, sent: Stored) -> None:
        """Wait until the replies of a batch are stored; before that it must not count as taken in."""
        wait = STORING
        while not self._stored(sent):
            await asyncio.sleep(wait)
            wait = min(5.0, wait * 1.5)

    def _stored(self, sent: Stored) -> bool:
        """Whether the replies of a batch are stored; then that is noted."""
        journal = self._context.journal
        if not journal.replied(sent.stage).issuperset(self._arrived[sent]):
            return False
        del self._arrived[sent]
        sent.to(journal, TAKEN)
        self._context.budget.release(sent.key)
        return True

    # Tasks

    def _work(self, sent: Stored) -> Work:
        assert self._service
        return Work(self._service, sent, self._config, self._context)

    def _start(self, sent: Stored, steps: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await steps
            except Exception as error:
                those = [number for number in sent.numbers if self._in.get(number) is sent]
                self._fail(error, [self._waiting[number] for number in those if number in self._waiting])
            finally:
                self._context.progress.traffic(-sent.count)

        self._context.progress.traffic(sent.count)
        task = asyncio.create_task(guarded())
        self._tasks[task] = sent
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def _fail(self, error: Exception, waiters: list[Waiter]) -> None:
        """Give an error to requests that wait, and to those that come later."""
        self._wrong = self._wrong or error
        for waiter in waiters:
            if not waiter.future.done():
                waiter.future.set_exception(error)

    async def _watch(self) -> None:
        """When the run stops, let go of the requests whose replies are not arriving."""
        await self._closing.wait()
        for waiter in list(self._waiting.values()):
            if self._in.get(waiter.number) not in self._arriving and not waiter.future.done():
                waiter.future.set_result(None)
        for sent in set(self._tasks.values()):
            if sent.id and sent.state != TAKEN and sent not in self._arriving and sent not in self._arrived:
                what = f"the batch {sent.id}, with {sent.count:,} requests, goes on at the provider"
                with suppress(Exception):
                    self._context.progress.say(f"{what}; run the same command again to pick it up")
