"""The steps of a hosted training, upload, start and follow; each is written down before it is done."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Interrupted, ModelError, UserError
from selfinstruct.llm.fine_tuning import ENDED, FineTuning, Job, UnknownError
from selfinstruct.llm.waiting import once, patiently
from selfinstruct.monitor.outside import stopping
from selfinstruct.train.hosted_server import hyperparameters_of
from selfinstruct.train.hosted_state import NEW, OVER, STARTED, STARTING, UPLOADED, UPLOADING, State
from selfinstruct.train.kinds import Prepared

FIRST_LOOK, LAST_LOOK = 0.5, 30.0  # seconds between two looks at a job, first and later
SILENCE = 600.0  # seconds of failures after which a job is no longer followed
EVERY = 60.0  # seconds between two lines while nothing changes


@dataclass(frozen=True)
class Work:
    """A hosted training while it is worked on.

    Attributes:
        prepared: what is tuned.
        server: the base as a model, with its key.
        content: the examples as they are uploaded.
        state: how far it is.
    """

    prepared: Prepared
    server: ModelConfig
    content: bytes
    state: State

    def say(self, text: str) -> None:
        """Show a line."""
        self.prepared.progress.say(text)


def run(work: Work, steps: Coroutine[Any, Any, None]) -> None:
    """Do the steps; a signal stops them, and says what goes on.

    Raises:
        Interrupted: if a signal came.
    """

    async def interruptible() -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task
        before = {number: signal.getsignal(number) for number in stopping()}
        with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or another thread
            for number in before:
                loop.add_signal_handler(number, task.cancel)
        try:
            await steps
        finally:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                for number, handler in before.items():
                    loop.remove_signal_handler(number)
                    signal.signal(number, handler)

    try:
        asyncio.run(interruptible())
    except (asyncio.CancelledError, KeyboardInterrupt) as error:
        raise Interrupted(_stopped(work.state)) from error


async def look_for_job(work: Work) -> None:
    """Find the job that was being started when the process ended; it is not started again."""
    state = work.state
    async with FineTuning(work.server) as provider:
        assert state.file
        file = state.file
        found = await patiently(
            work.prepared.progress, lambda: provider.find_job(file, state.earlier), "the list of jobs"
        )
    if found:
        work.say(f"the job {found.id} had been started")
        state.to(STARTED, job=found.id, status=found.status)
    else:
        state.to(UPLOADED)


async def forward(work: Work) -> None:
    """Do the steps that are left."""
    state = work.state
    async with FineTuning(work.server) as provider:
        if state.state in OVER:
            state.to(UPLOADED if state.file else NEW, earlier=[*state.earlier, state.job], job=None, error="")
        if state.state in (NEW, UPLOADING):
            await _upload(work, provider)
        if state.state == UPLOADED:
            await _start(work, provider)
        await _follow(work, provider)


async def _upload(work: Work, provider: FineTuning) -> None:
    state, size = work.state, len(work.content)
    maybe_there = state.state == UPLOADING
    state.to(UPLOADING)
    work.say(f"uploading {len(work.prepared.examples.rows):,} examples ({size:,} bytes)")
    file = await once(
        work.prepared.progress,
        lambda: provider.find_file(state.file_name, size),
        lambda: provider.upload(state.file_name, work.content),
        maybe_there,
        "the upload",
    )
    state.to(UPLOADED, file=file)


async def _start(work: Work, provider: FineTuning) -> None:
    state, prepared = work.state, work.prepared
    assert state.file
    file = state.file
    look = FIRST_LOOK
    while not await patiently(work.prepared.progress, lambda: provider.ready(file), "the file", SILENCE):
        await asyncio.sleep(look)
        look = min(LAST_LOOK, look * 1.5)
    state.to(STARTING, began=time.time())
    suffix = "".join(one if one.isalnum() else "-" for one in prepared.run.rpartition("/")[2])[:18] or "run"

    async def start() -> Job:
        try:
            hyperparameters = hyperparameters_of(prepared.train)
            return await provider.start(file, hyperparameters, suffix, prepared.seed % 2**31)
        except UnknownError:  # the file may have been deleted there
            state.to(NEW, file=None)
            raise
        except ModelError:
            state.to(UPLOADED)  # refused, so nothing was started
            raise

    progress = prepared.progress
    job = await once(progress, lambda: provider.find_job(file, state.earlier), start, False, "the start")
    state.to(STARTED, job=job.id, status=job.status)
    work.say(f"started the job {job.id}; Ctrl-C stops only the following")


async def _follow(work: Work, provider: FineTuning) -> None:
    """Look at the job until it ends."""
    state, look, shown, said = work.state, FIRST_LOOK, None, time.monotonic()
    id = state.job or ""
    while True:
        try:
            job = await patiently(work.prepared.progress, lambda: provider.job(id), f"the job {id}", SILENCE)
        except UnknownError as error:
            raise UserError(
                f"{error}\n  If the key is of another organization or project, use that of the job {id}. "
                "To start a new job, which costs again: fresh=true"
            ) from error
        changed = job.status != state.status
        if changed or job.status in ENDED:
            state.to(
                job.status if job.status in ENDED else STARTED,
                status=job.status,
                model=job.model,
                error=job.error,
                tokens=job.tokens,
            )
        if job.status != shown or time.monotonic() - said >= EVERY:
            shown, said = job.status, time.monotonic()
            work.say(_progress(job, state))
        if job.status in ENDED:
            return
        await asyncio.sleep(look)
        look = min(LAST_LOOK, look * 1.5)


def _stopped(state: State) -> str:
    """What goes on after Ctrl-C."""
    again = "Run the same command again to"
    if state.job:
        return f"stopped. The job {state.job} goes on at the provider. {again} follow it from here."
    if state.state == STARTING:
        return f"stopped while the job was being started. {again} see whether it was, and to follow it."
    return f"stopped before the job was started, so nothing is to be paid. {again} continue."


def _progress(job: Job, state: State) -> str:
    minutes = (time.time() - (state.began or time.time())) / 60
    parts = [f"{job.id}: {job.status.replace('_', ' ')}", f"{minutes:.0f} min"]
    parts += [f"{job.tokens:,} tokens"] if job.tokens else []
    if job.expected_end and job.status not in ENDED:
        parts.append(f"about {max(0.0, job.expected_end - time.time()) / 60:.0f} min left")
    return ", ".join(parts)
