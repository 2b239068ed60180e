"""The run. Read this first: seeds → pool → prompt → model → reply → candidates → fates → files.

A recipe's stages run one after the other, each the same way. `drive` is the heart: it keeps requests in
flight, and takes replies in by request number, whichever arrives first, so that the same replies make the
same data at any concurrency and after any interruption. What a stage asks and how it reads the answer is in
`stages/`; which candidates pass is in `judge.py`; what is remembered is in `store.py`.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from selfinstruct import view
from selfinstruct.errors import Interrupted
from selfinstruct.folder import RunFolder
from selfinstruct.llm import MODELS
from selfinstruct.llm.client import Client
from selfinstruct.progress import Progress
from selfinstruct.recipe import Recipe
from selfinstruct.records import Reply
from selfinstruct.report.files import write_files
from selfinstruct.stages import Setting, Stage, Work
from selfinstruct.store import Journal

Stop = asyncio.Future[None]


async def run_recipe(recipe: Recipe, folder: RunFolder, progress: Progress) -> None:
    """Run a recipe to its end, or go on where it was interrupted; then write the files.

    The files are written however it ends, from all that the journal has.

    Raises:
        ModelError: if the model cannot go on; everything received is kept.
        Interrupted: if the user stopped it.
    """
    finished = False
    try:
        with _interruptible(progress) as stop:
            for stage in recipe.stages:
                await _run_stage(recipe, stage, folder.journal, progress, stop)
        finished = True
    finally:
        write_files(recipe, folder, finished)


async def _run_stage(recipe: Recipe, stage: Stage, journal: Journal, progress: Progress, stop: Stop) -> None:
    setting = Setting(
        journal=journal,
        seeds=recipe.seeds.tasks,
        mix=recipe.config.mix,
        seed=recipe.config.seed,
        target=recipe.config.target,
        rows=lambda: view.rows(recipe, journal, stage.of or "", before=stage.name),
    )
    work = stage.kind.open(stage, setting)
    by_replies = not stage.kind.draws
    with progress.stage(stage.name, work.goal, journal.stats(stage.name), by_replies):
        if work.turn() is not None:
            began = time.monotonic()
            try:
                async with _client(recipe, stage, journal, progress) as client:
                    await drive(stage.name, work, journal, client, progress, stop)
            finally:
                journal.add_seconds(stage.name, time.monotonic() - began)
    if work.note:
        progress.say(f"{stage.name}: {work.note}")


async def drive(
    name: str, work: Work, journal: Journal, client: Client, progress: Progress, stop: Stop
) -> None:
    """Send a stage's requests, store the replies as they come, and take them in by number.

    Replies that arrived before an interruption are taken from the journal, so nothing is paid for twice.
    """
    flying: dict[int, asyncio.Task[Reply | None]] = {}
    try:
        while (turn := work.turn()) is not None:
            while len(flying) < client.lookahead and (request := work.compose()):
                stored = journal.reply(name, request.number)
                task = asyncio.create_task(_known(stored) if stored else client.send(request))
                # What fails once the stage has its end is asked again when the run grows.
                task.add_done_callback(lambda done: _spread(done, stop) if work.turn() else None)
                flying[request.number] = task
            reply = await _first(flying[turn], stop)
            del flying[turn]
            records = work.take(turn, reply)
            journal.take(name, turn, records)
            progress.took(records)
    finally:
        client.wind_down()
        await asyncio.gather(*flying.values(), return_exceptions=True)


async def _known(reply: Reply) -> Reply:
    return reply


async def _first(task: asyncio.Task[Reply | None], stop: Stop) -> Reply:
    """The reply of the task, unless something stops the run before it comes."""
    both: set[asyncio.Future[Any]] = {task, stop}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if not task.done() or task.result() is None:
        await stop  # raises the reason
    reply = task.result()
    assert reply is not None, "only a client that winds down sends nothing"
    return reply


def _spread(task: asyncio.Task[Reply | None], stop: Stop) -> None:
    """A request that fails for good stops the run, whichever number it has."""
    error = None if task.cancelled() else task.exception()
    if error and not stop.done():
        stop.set_exception(error)


@asynccontextmanager
async def _client(
    recipe: Recipe, stage: Stage, journal: Journal, progress: Progress
) -> AsyncIterator[Client]:
    """The stage's model, open for as long as the stage runs."""
    kind = MODELS.build(stage.model.kind, stage.model.options, "model.options", [])
    assert kind, "the recipe was checked"
    with progress.busy(f"starting {stage.model.name}"):
        model = await asyncio.to_thread(kind.open, stage.model, recipe.project)
    try:
        yield Client(model, stage.model, journal, progress)
    finally:
        await model.close()


@contextmanager
def _interruptible(progress: Progress) -> Iterator[Stop]:
    """A future that Ctrl-C or SIGTERM ends: once, to stop after what is in flight; twice, at once."""
    loop = asyncio.get_running_loop()
    stop: Stop = loop.create_future()
    stop.add_done_callback(lambda done: done.cancelled() or done.exception())  # marked as seen
    main = asyncio.current_task()

    def interrupt() -> None:
        if stop.done() and main:
            main.cancel()
        else:
            progress.say("stopping once what is in flight has arrived; again to stop at once")
            stop.set_exception(Interrupted("stopped. Run the same command again to go on from here."))

    signals = [signal.SIGINT, signal.SIGTERM] if threading.current_thread() is threading.main_thread() else []
    try:
        for number in signals:
            loop.add_signal_handler(number, interrupt)
    except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt as ever
        signals = []
    try:
        yield stop
    except asyncio.CancelledError as error:
        raise Interrupted("stopped at once. Run the same command again to go on from here.") from error
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
