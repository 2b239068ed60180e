"""The run. Read this first: seeds → pool → prompt → model → reply → candidates → fates → files.

The stages of a recipe run one after the other, all in the same way. `drive` is the heart: it keeps requests
in flight, and takes replies in by request number, whichever arrives first, so the same replies make the same
data at any concurrency and after any interruption. The modules in `stages/` decide what a stage asks and how
it reads the answer; `stages/judge.py` decides which candidates pass; `journal/store.py` stores what must be
kept.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from selfinstruct.cluster import spread
from selfinstruct.config import ModelConfig
from selfinstruct.errors import Interrupted
from selfinstruct.journal import labelled_records as view
from selfinstruct.journal.shelf import Shelf
from selfinstruct.journal.store import FINISHED, GAVE_UP, Journal
from selfinstruct.llm import NotSentError
from selfinstruct.llm.batch.stored import open_batches
from selfinstruct.llm.budget import Budget
from selfinstruct.llm.cache import Cache
from selfinstruct.llm.client import ByVariant, Client
from selfinstruct.llm.endpoint import Endpoint, RunContext
from selfinstruct.monitor.events import EVENTS, Events
from selfinstruct.monitor.outside import stopping
from selfinstruct.monitor.progress import Progress
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.size import models_of
from selfinstruct.records import Record, Reply, Request
from selfinstruct.replay import Recording, replay
from selfinstruct.report.files import write_files
from selfinstruct.report.reasons import Reasons
from selfinstruct.run_folder.folder import RunFolder
from selfinstruct.stages import Stage, StageContext, StageRun

Stop = asyncio.Future[None]
Interrupter = Future[Callable[[], object]]
EVERY_SECONDS = 5.0  # between two checkpoints
STEPS = 200  # turns of a stage that asks no model, between two commits
OBJECTS = 20_000  # made since the garbage collector looked last; Python's own number is 700
SAME_HANGUP = 0.3  # seconds; a closed terminal may send two signals so close together


async def run_recipe(
    recipe: Recipe,
    folder: RunFolder,
    progress: Progress,
    source: Recording | None = None,
    interrupter: Interrupter | None = None,
) -> None:
    """Run a recipe to its end, or continue where it was interrupted; then write the files.

    The files are written however the run ends, from everything in the journal.

    Args:
        recipe: the recipe.
        folder: its run folder.
        progress: shows the progress.
        source: the run whose recorded replies are used instead of a model's.
        interrupter: gets a function that does the same as Ctrl-C, for a caller in another thread.

    Raises:
        ModelError: if the model cannot continue; everything received is kept.
        Interrupted: if the user stopped it, or the budget is spent.
    """
    finished = False
    for note in folder.notes:
        progress.say(note)
    folder.journal.set_meta("target", recipe.config.target)
    folder.journal.set_meta(FINISHED, finished)
    folder.journal.set_meta(GAVE_UP, None)
    try:
        with (
            _context(recipe, folder, progress) as context,
            _interruptible(progress, interrupter) as stop,
            _collecting_less(),
        ):
            models = models_of(recipe.stages)
            async with spread(recipe.config.executor, context, models, stop) as spread_out:
                for stage in recipe.stages:
                    await _run_stage(recipe, stage, spread_out, stop, source)
                    if folder.journal.meta(GAVE_UP):  # the stages after it need the records that it lacks
                        break
                else:
                    finished = True
        folder.journal.set_meta(FINISHED, finished)
    finally:
        write_files(recipe, folder, finished)


@contextmanager
def _context(recipe: Recipe, folder: RunFolder, progress: Progress) -> Iterator[RunContext]:
    """The objects that all the stages work with, open for as long as the run takes."""
    config, journal = recipe.config, folder.journal
    replies = Cache(config.cache, recipe.project, progress.say)
    with closing(Events(folder.path / EVENTS)) as events, closing(replies) as cache:
        events.tell("run", recipe=recipe.name, state="begins")
        finished = False
        try:
            budget = Budget(config.budget, journal.spent())
            for batch in open_batches(journal):
                budget.hold(batch.key, batch.usd, batch.tokens)
            yield RunContext(journal, progress, events, budget, cache, recipe.project, asyncio.Event())
            finished = True
        finally:
            events.tell("run", recipe=recipe.name, state="ends", finished=finished)


async def _run_stage(
    recipe: Recipe, stage: Stage, context: RunContext, stop: Stop, source: Recording | None
) -> None:
    journal = context.journal
    context = replace(context, closing=asyncio.Event())

    def rows_of(name: str) -> Mapping[int, Record]:
        found = view.rows(recipe, journal, name, before=stage.name)
        return source.known(found) if source else found

    setting = StageContext(
        journal=journal,
        seeds=recipe.seeds.tasks,
        mix=recipe.config.mix,
        seed=recipe.config.seed,
        target=recipe.config.target,
        rows=lambda: rows_of(stage.of or ""),
        rows_of=rows_of,
        asked_about=lambda: _asked_about(recipe, stage, journal),
    )
    with context.progress.busy(f"{stage.name}: reading what it works on"):
        work = stage.kind.open(stage, setting)
    taken = stage.kind.progress(stage, journal)
    before = journal.stats(stage.name)
    reasons = Reasons(recipe.config, stage, journal, before)
    remark = None if stage.kind.steps else reasons.remark  # no setting is at fault if runs are alike
    with context.progress.stage(stage.name, work.goal, before, taken, remark):
        if work.turn() is not None:
            if stop.done():  # start no model only to stop it again
                await stop
            began = time.monotonic()
            context.events.tell("stage", stage=stage.name, state="begins")
            try:
                async with _checkpoints(stage.name, context, stop):
                    if stage.kind.steps:
                        await step(stage.name, work, context, stop)
                    elif source:
                        await replay(stage, work, source, context, stop)
                    else:
                        async with _client(recipe, stage, context) as client:
                            await drive(stage.name, work, client, context, stop)
            finally:
                await stage.judge.close()
                seconds = time.monotonic() - began
                journal.add_seconds(stage.name, seconds)
                accepted = journal.stats(stage.name).accepted
                facts = {"accepted": accepted, "seconds": round(seconds, 3)}
                context.events.tell("stage", stage=stage.name, state="ends", **facts)
        else:
            await stage.judge.close()  # it has learned what was accepted before
    if work.note:
        context.progress.say(f"{stage.name}: {work.note}")
    closing = reasons.closing(work)
    if closing:
        context.progress.say(closing)
    if work.gave_up is not None:
        journal.set_meta(GAVE_UP, {"stage": stage.name, "after": work.gave_up})


def _asked_about(recipe: Recipe, stage: Stage, journal: Journal) -> list[str]:
    return [other.name for other in recipe.descending(stage.name) if journal.replied(other.name)]


async def drive(
    name: str, work: StageRun, client: Client | ByVariant, context: RunContext, stop: Stop
) -> None:
    """Send a stage's requests, store the replies as they come, and take them in by number.

    Replies that arrived before an interruption are taken from the journal, so nothing is paid for twice. As
    soon as something stops the run, no more requests are sent; replies to those in flight are still taken in.
    """
    flying: dict[int, asyncio.Task[bool]] = {}
    waiting = Shelf(context.journal, name)
    stop.add_done_callback(lambda _: client.wind_down())
    try:
        while (turn := work.turn()) is not None:
            while not stop.done() and len(flying) < client.lookahead and (request := work.compose()):
                task = asyncio.create_task(_answer(work, client, request, context, waiting))
                # A request that fails after the stage is finished is sent again when the run grows.
                task.add_done_callback(lambda done: _spread(done, stop) if work.turn() else None)
                flying[request.number] = task
                await client.ready(task)
            if turn not in flying or not await _unless_failed(flying.pop(turn), context.journal):
                await stop  # raises the reason
                raise AssertionError("unreachable: a request has no reply only if the run stops")
            records = work.take(turn, waiting.take(turn))
            context.journal.take(name, turn, records)
            context.progress.took(records)
    except asyncio.CancelledError:  # stopped at once
        for task in flying.values():
            task.cancel()
        raise
    finally:
        client.wind_down()
        await asyncio.gather(*flying.values(), return_exceptions=True)
        context.journal.commit()


async def step(name: str, work: StageRun, context: RunContext, stop: Stop) -> None:
    """Take in the records of a stage that asks no model, turn by turn, as `drive` takes in replies."""
    nothing = Reply("")
    while (turn := work.turn()) is not None:
        await work.prepare(turn, nothing, context)
        records = work.take(turn, nothing)
        context.journal.take(name, turn, records)
        context.progress.took(records)
        if turn % STEPS == 0:
            await context.journal.settled()
            if stop.done():
                await stop
    context.journal.commit()


async def _answer(
    work: StageRun, client: Client | ByVariant, request: Request, context: RunContext, waiting: Shelf
) -> bool:
    """Put the reply to a request where it waits to be judged; returns False if the run stops before that.

    The reply then stays in the journal, and is taken in at the next start.
    """
    reply = await client.reply_to(request)
    if reply is None:
        return False
    try:
        await work.prepare(request.number, reply, context)
    except NotSentError:
        return False
    waiting.put(request.number, reply)
    return True


async def _unless_failed(task: asyncio.Task[bool], journal: Journal) -> bool:
    """Whether there is a reply; if it failed, `_spread` reports the error, if it was the first."""
    if not task.done():
        journal.commit_soon()
    try:
        return await task
    except Exception:  # `_spread` has it too
        return False


def _spread(task: asyncio.Task[Any], stop: Stop) -> None:
    """Stop the run if a request fails for good, whichever number it has."""
    error = None if task.cancelled() else task.exception()
    if error and not stop.done():
        stop.set_exception(error)


@asynccontextmanager
async def _client(recipe: Recipe, stage: Stage, context: RunContext) -> AsyncIterator[Client | ByVariant]:
    """The stage's model and its fallbacks, open for as long as the stage runs."""
    asked: dict[str | None, tuple[ModelConfig, list[ModelConfig]]] = {None: (stage.model, stage.fallbacks)}
    for variant, pair in stage.others.items():
        asked[variant] = pair
    if stage.others.keys() >= {prompt.name for prompt in stage.prompts}:  # nothing is asked of its own model
        del asked[None]
    endpoints = {
        variant: [
            Endpoint(model, context),
            *(Endpoint(config, context, first=model) for config in fallbacks),
        ]
        for variant, (model, fallbacks) in asked.items()
    }
    names = [other.name for other in recipe.stages]
    before = names[: names.index(stage.name) + 1]
    try:
        for first, *_ in endpoints.values():
            await first.open()
        clients = {variant: Client(those, context, before) for variant, those in endpoints.items()}
        yield ByVariant(clients) if len(clients) > 1 else next(iter(clients.values()))
    finally:
        for endpoint in (one for those in endpoints.values() for one in those):
            await endpoint.close()


@contextmanager
def _collecting_less() -> Iterator[None]:
    """Let the garbage collector look less often, and not at what existed before.

    A run keeps most of what it makes, so a tenth of its time would go into looking at it again and again.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(max(before[0], OBJECTS) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@asynccontextmanager
async def _checkpoints(name: str, context: RunContext, stop: Stop) -> AsyncIterator[None]:
    """Save what is stored against a power cut, every few seconds and at the end."""

    async def checkpoint() -> None:
        await asyncio.to_thread(context.journal.checkpoint)
        accepted, cost = context.progress.so_far  # not from the journal, which would count all its rows
        facts = {"replies": context.journal.count("reply", name), "accepted": accepted, "cost_usd": cost}
        context.events.tell("checkpoint", stage=name, **facts)

    async def repeat() -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await checkpoint()

    task = asyncio.create_task(repeat())
    task.add_done_callback(lambda done: _spread(done, stop))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await checkpoint()


@contextmanager
def _interruptible(progress: Progress, interrupter: Interrupter | None) -> Iterator[Stop]:
    """A future that a signal ends: a first one stops after the requests in flight, a second at once."""
    loop = asyncio.get_running_loop()
    stop: Stop = loop.create_future()
    stop.add_done_callback(lambda done: done.cancelled() or done.exception())  # marked as seen
    main = asyncio.current_task()

    first = 0.0

    def interrupt(number: int = signal.SIGINT) -> None:
        nonlocal first
        since, first = time.monotonic() - first, first or time.monotonic()
        if number not in (signal.SIGINT, signal.SIGTERM) and stop.done() and since < SAME_HANGUP:
            return
        if stop.done() and main:
            main.cancel()
        else:
            progress.say("stopping after the requests in flight; press Ctrl-C again to stop at once")
            stop.set_exception(Interrupted("stopped. Run the same command again to continue from here."))

    if interrupter:
        interrupter.set_result(partial(loop.call_soon_threadsafe, interrupt))
    signals = stopping() if threading.current_thread() is threading.main_thread() else []
    before = {number: signal.getsignal(number) for number in signals}
    try:
        for number in signals:
            loop.add_signal_handler(number, interrupt, number)
    except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt as usual
        signals = []
    try:
        yield stop
    except asyncio.CancelledError as error:
        raise Interrupted("stopped at once. Run the same command again to continue from here.") from error
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
