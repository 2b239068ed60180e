"""One batch at the provider, from its file to its end; each step is stored before the next."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import TransientError
from selfinstruct.llm.batch.services import Batch, Service
from selfinstruct.llm.batch.stored import LOST, SENT, Stored
from selfinstruct.llm.fine_tuning import UnknownError
from selfinstruct.llm.gate import pause
from selfinstruct.llm.waiting import LONGEST_ASKED, once, patiently

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

FIRST_LOOK, LAST_LOOK, SLOWER = 1.0, 60.0, 1.3  # seconds between two looks, first and later; their growth
EVERY = 600.0  # seconds between two lines while nothing changes
BETWEEN = 30.0  # seconds between two lines while only the count changes
SILENCE = 3600.0  # seconds; if every request fails for so long, the run stops waiting for the batch
YOUNG = 60.0  # seconds in which a provider may not know a batch yet
LONGEST_UNWHOLE = 900.0  # seconds that results may take to appear after the end
SETTLING = 2.0  # seconds in which a batch may not be in a provider's list yet
LONGEST_UNSURE = 2 * 86_400.0  # seconds in which any batch is over, so that its results show whose it is
TRIES = 6  # of making a batch


@dataclass(frozen=True)
class Work:
    """A batch while it is worked on.

    Attributes:
        service: the provider.
        sent: the batch, as stored.
        config: the model's keys.
        context: the objects of the run.
    """

    service: Service
    sent: Stored
    config: ModelConfig
    context: RunContext

    def say(self, text: str) -> None:
        """Show a line."""
        self.context.progress.say(f"{self.sent.stage}: {text}")

    def store(self, state: str = "") -> None:
        """Store the batch, perhaps with a new state."""
        self.sent.to(self.context.journal, state)

    def tell(self, state: str, batch: Batch | None = None) -> None:
        """Write an event."""
        sent = self.sent
        facts = {"done": batch.done if batch else 0, "total": sent.count}
        self.context.events.tell(
            "batch", stage=sent.stage, model=sent.model, id=sent.id, state=state, **facts
        )


async def make(work: Work, file: BinaryIO) -> bool:
    """Upload a batch's file and make the batch; False if the run stops before that.

    Raises:
        ModelError: if the provider refuses, or does not answer.
    """
    service, sent, progress = work.service, work.sent, work.context.progress
    size = file.seek(0, os.SEEK_END)
    work.say(f"sending a batch of {sent.count:,} requests ({size / 1e6:,.1f} MB)")
    try:
        sent.file = await once(progress, _nothing, partial(service.upload, sent, file), False, "the upload")
        work.store()
        look = FIRST_LOOK
        while not await patiently(progress, partial(service.ready, sent), "the file of a batch", SILENCE):
            await pause(look, work.context.closing)
            look = min(LAST_LOOK, look * SLOWER)
            if work.context.closing.is_set():
                return False
        if work.context.closing.is_set():
            return False
        batch = await _created(work, file)
    except UnknownError as error:
        work.store(LOST)
        words = f"{error}\n  if its server has no batches, write model.batch=false"
        raise ModelError(words) from error
    except ModelError as error:
        if not isinstance(error.__cause__, TransientError):  # refused, so there is nothing to pick up
            work.store(LOST)
        raise
    known(work, batch)
    work.say(f"the batch {batch.id} has {sent.count:,} requests; Ctrl-C stops only the waiting")
    return True


async def _created(work: Work, file: BinaryIO) -> Batch:
    """Make the batch once: after a failure, it is looked for before it is made again."""
    wait = FIRST_LOOK
    for attempt in range(1, TRIES + 1):
        try:
            return await work.service.create(work.sent, file)
        except TransientError as error:
            if attempt == TRIES:
                words = f"the start of a batch failed {TRIES} times: {error}"
                raise ModelError(f"{words}\n  run the same command again to continue") from error
            work.context.progress.trouble("batch", f"the start of a batch: {error}; it is looked for")
            await asyncio.sleep(max(wait, min(error.wait or 0.0, LONGEST_ASKED)))
            wait = min(LAST_LOOK, 2 * wait)
        if batch := await _found(work):
            return batch
    raise AssertionError("unreachable: the last attempt returns or raises")


async def find(work: Work) -> bool:
    """Find the batch that was being made when a process ended; False if it never came to be.

    Raises:
        ModelError: if the provider does not answer.
    """
    left = work.sent.made + SETTLING - time.time()
    if left > 0:
        await pause(min(left, SETTLING), work.context.closing)
    batch = await _found(work)
    if batch:
        known(work, batch)
        work.say(f"the batch {batch.id} had been made")
    return batch is not None


async def _found(work: Work) -> Batch | None:
    look = partial(work.service.find, work.sent)
    return await patiently(work.context.progress, look, "the list of batches", LONGEST_UNSURE)


def known(work: Work, batch: Batch) -> None:
    """Store that a batch exists at the provider."""
    work.sent.id = batch.id
    work.store(SENT)
    work.tell(batch.state, batch)


async def follow(work: Work) -> Batch | None:
    """Look at a batch until it is over; None if the run stops before that.

    Raises:
        UnknownError: if the provider does not know it.
        ModelError: if it was refused as a whole, or nobody answers.
    """
    look, heard, over = FIRST_LOOK, time.monotonic(), 0.0
    shown, said = ("", -1), 0.0
    while not work.context.closing.is_set():
        try:
            batch = await work.service.look(work.sent.id)
        except TransientError as error:
            _still_silent(work, error, time.monotonic() - heard)
            await pause(max(look, min(error.wait or 0.0, SILENCE)), work.context.closing)
            look = min(LAST_LOOK, look * SLOWER)
            continue
        except UnknownError:
            if time.time() - work.sent.made > YOUNG:
                raise
            await pause(look, work.context.closing)
            continue
        heard = now = time.monotonic()
        between = 0.0 if batch.state != shown[0] else BETWEEN if batch.done != shown[1] else EVERY
        if now - said >= between:
            shown, said = (batch.state, batch.done), now
            work.say(line_of(work.sent, batch))
            work.tell(batch.state, batch)
        if batch.error:
            raise ModelError(refusal(work, batch))
        over = over or (now if batch.over else 0.0)
        if batch.over and (batch.whole or now - over > LONGEST_UNWHOLE):
            return batch
        await pause(look, work.context.closing)
        look = min(LAST_LOOK, look * SLOWER)
    return None


def line_of(sent: Stored, batch: Batch) -> str:
    """How far a batch is, in words."""
    parts = [f"batch {batch.id}: {batch.state}"]
    parts += [f"{batch.done:,} of {sent.count:,} done"]
    parts += [since(sent.made)]
    if batch.expires and not batch.over:
        moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(batch.expires))
        parts.append(f"ends by {moment} at the latest")
    elif batch.over and not batch.whole:
        parts.append("its results are not there yet")
    return ", ".join(parts)


def since(moment: float) -> str:
    """The time since a moment, in words."""
    minutes = max(0.0, time.time() - moment) / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def refusal(work: Work, batch: Batch) -> str:
    """What to do about a batch that was refused as a whole, in words."""
    return (
        f"{work.sent.model}: the provider refused the batch {batch.id}: {batch.error}\n"
        "  nothing of it was done. If it was too large for your account, make batches smaller "
        f"(model.batch_size={max(1, work.sent.count // 2)}); then run the same command again"
    )


def unknown(work: Work) -> str:
    """What to do about a batch that the provider does not know, in words."""
    sent = work.sent
    return (
        f"{sent.model}: the provider does not know the batch {sent.id}, of {sent.count:,} requests of "
        f"{sent.stage}, which was made {since(sent.made)} ago\n"
        "  If the key is of another organization or project, or model.api_base is another server, use those "
        "of the batch. Providers also delete batches after some weeks. To ask its requests again, which "
        "costs again: model.batch_lost=ask_again"
    )


def _still_silent(work: Work, error: TransientError, seconds: float) -> None:
    if seconds > SILENCE:
        words = f"no answer about the batch {work.sent.id} for {since(time.time() - seconds)}: {error}"
        raise ModelError(f"{words}\n  it goes on there; run the same command again to pick it up") from error
    work.context.progress.trouble("batch", f"batch {work.sent.id}: {error}; it is looked at again")


async def _nothing() -> str | None:
    return None
