"""One batch at the provider, from its file to its end; each step is stored before the next."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import TransientError
from selfinstruct.llm.batch.full import FullError
from selfinstruct.llm.batch.services import Batch, Service
from selfinstruct.llm.batch.stored import LOST, SENT, Stored
from selfinstruct.llm.batch.words import clock, requests, since, size
from selfinstruct.llm.fine_tuning import UnknownError
from selfinstruct.llm.gate import pause
from selfinstruct.llm.waiting import once, patiently

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
# If the provider asks to go slower (429): by the second try, a limit per minute is over; a full queue is not.
TRIES_OF_FULL = 2


@dataclass(frozen=True)
class Work:
    """A batch while it is worked on.

    Attributes:
        service: the provider.
        sent: the batch, as stored.
        config: the model's keys.
        context: the objects of the run.
        verdict: set once the provider has accepted it, or will not.
    """

    service: Service
    sent: Stored
    config: ModelConfig
    context: RunContext
    verdict: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, text: str) -> None:
        """Show a line."""
        self.context.progress.say(f"{self.sent.stage}: {text}")

    def store(self, state: str = "") -> None:
        """Store the batch, perhaps with a new state."""
        self.sent.to(self.context.journal, state)

    def lose(self) -> None:
        """Store that nothing more comes of it; it holds nothing of the budget then."""
        self.store(LOST)
        self.context.budget.release(self.sent.key)

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
        FullError: if the provider's queue is full.
        ModelError: if the provider refuses, or does not answer.
    """
    service, sent, progress = work.service, work.sent, work.context.progress
    work.say(f"sending a batch of {requests(sent.count)} ({size(file.seek(0, os.SEEK_END))})")
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
        work.lose()
        words = f"{error}\n  if its server has no batches, write model.batch=false"
        raise ModelError(words) from error
    except ModelError as error:
        cause = error.__cause__
        if not isinstance(cause, TransientError):  # refused, so there is nothing to pick up
            work.lose()
        elif cause.slower:
            raise FullError(str(cause), cause.wait) from error
        raise
    known(work, batch)
    work.say(
        f"batch {batch.id} is made, with {requests(sent.count)}; Ctrl-C stops only the waiting, and the same "
        "command picks it up"
    )
    return True


async def _created(work: Work, file: BinaryIO) -> Batch:
    """Make the batch once: after a failure, it is looked for before it is made again."""
    wait = FIRST_LOOK
    for attempt in range(1, TRIES + 1):
        try:
            return await work.service.create(work.sent, file)
        except TransientError as error:
            if attempt == (TRIES_OF_FULL if error.slower else TRIES):
                words = f"{work.sent.model}: a batch could not be made in {attempt} tries: {error}"
                raise ModelError(f"{words}\n  run the same command again to continue") from error
            seconds = max(LAST_LOOK if error.slower else wait, error.wait or 0.0)
            words = f"a batch of {requests(work.sent.count)} could not be made: {error}"
            work.context.progress.trouble("batch", f"{words}; tried again in {seconds:.0f} s")
            wait = min(LAST_LOOK, 2 * wait)
            if error.slower:  # it was not made, so there is nothing to find
                await pause(seconds, work.context.closing)
                if work.context.closing.is_set():
                    raise ModelError(f"{work.sent.model}: {error}") from error
                continue
            await asyncio.sleep(seconds)
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
        work.say(f"found it: batch {batch.id} was made before the run stopped")
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
        FullError: if there was no room for it in the provider's queue.
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
            if abs(time.time() - work.sent.made) > YOUNG:  # another machine's clock may be ahead
                raise
            await pause(look, work.context.closing)
            continue
        heard = now = time.monotonic()
        between = 0.0 if batch.state != shown[0] else BETWEEN if batch.done != shown[1] else EVERY
        if now - said >= between:
            shown, said = (batch.state, batch.done), now
            work.tell(batch.state, batch)
            if not batch.error:
                work.say(line_of(work.sent, batch))
        if batch.full:
            raise FullError(batch.error)
        if batch.error:
            work.lose()
            raise ModelError(refusal(work, batch))
        if batch.accepted:
            work.verdict.set()
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
        parts.append(f"ends by {clock(batch.expires)} at the latest")
    elif batch.over and not batch.whole:
        parts.append("its results are not ready yet")
    return ", ".join(parts)


def refusal(work: Work, batch: Batch) -> str:
    """What to do about a batch that was refused as a whole, in words."""
    return (
        f"{work.sent.model}: the provider refused the batch {batch.id}: {batch.error}\n"
        "  Nothing of it was done, or is paid for. If it was too large for your account, make batches "
        f"smaller: model.batch_size={max(1, work.sent.count // 2)}. Then run the same command again"
    )


def unknown(work: Work, what: str) -> str:
    """What to do about a batch that the provider does not know, in words.

    Args:
        work: the batch.
        what: the batch or its results, whichever the provider does not have.
    """
    sent = work.sent
    return (
        f"{sent.model}: the provider does not have the {what} any more; it had {requests(sent.count)} of "
        f"{sent.stage}, and was made {since(sent.made)} ago\n"
        "  If you use another key, organization or server (model.api_base) than then, go back to those. "
        "Providers also delete batches after some weeks. To ask its requests again, which costs again: "
        "model.batch_lost=ask_again"
    )


def _still_silent(work: Work, error: TransientError, seconds: float) -> None:
    if seconds > SILENCE:
        words = f"no answer about the batch {work.sent.id} for {since(time.time() - seconds)}: {error}"
        raise ModelError(f"{words}\n  it goes on there; run the same command again to pick it up") from error
    work.context.progress.trouble("batch", f"batch {work.sent.id}: {error}; it is looked at again")


async def _nothing() -> str | None:
    return None
