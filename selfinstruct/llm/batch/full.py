"""A provider's queue that is full: how long to wait, and how many requests to send then.

Providers limit how many requests or tokens of an account wait in batches. While a batch of this run works,
the next one is sent when that one is over. Otherwise the queue is full of others' batches, or a batch is
larger than the whole queue: so it is tried again after longer and longer pauses, each time with half as many
requests. After a batch that was accepted, the next one may have twice as many.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm.batch.possible import limits_of, most_in_batch
from selfinstruct.llm.batch.words import clock, requests, span
from selfinstruct.llm.gate import pause

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 1800.0  # seconds between two tries; each pause is twice the one before
HOUR = 3600.0


class FullError(ModelError):
    """The provider's queue has no room for a batch; nothing of the batch was done, or is paid for.

    Attributes:
        wait: the seconds that the provider asks to wait; None if it does not say.
    """

    def __init__(self, words: str, wait: float | None = None) -> None:
        super().__init__(words)
        self.wait = wait


class Queue:
    """The provider's queue, as far as its refusals show it.

    Args:
        config: the model's keys.
        context: the objects of the run.

    Attributes:
        most: the most requests that the next batch may have.
        careful: whether a batch was refused, so that the next is sent when the fate of this one is known.
    """

    def __init__(self, config: ModelConfig, context: RunContext) -> None:
        self._config, self._context = config, context
        self.most = self._whole = most_in_batch(config)
        self.careful = False
        self._refusal: FullError | None = None
        self._refused = 0  # requests in the batch that was refused last
        self._full_since: float | None = None
        self._pause = FIRST_PAUSE
        self._shown = ""  # the provider's words that were shown last

    def refused(self, count: int, error: FullError) -> None:
        """Note that there was no room for a batch of so many requests."""
        self._refusal, self._refused, self.careful = error, count, True

    def accepted(self) -> None:
        """Note that there was room for a batch, unless it was refused just now."""
        if self._refusal is None:
            self.most = min(self._whole, 2 * self.most)
            self.careful = self.most < self._whole
            self._full_since, self._pause = None, FIRST_PAUSE

    async def room(self, stage: str, working: Collection[asyncio.Task[None]]) -> None:
        """Wait until there may be room again; it returns at once if nothing was refused.

        Args:
            stage: the stage that asks.
            working: the open batches of this model.

        Raises:
            ModelError: if there was no room for as long as any batch of others can take.
        """
        refusal, self._refusal = self._refusal, None
        if refusal is None:
            return
        if working:
            which = "the one that is open" if len(working) == 1 else f"one of the {len(working)} open ones"
            self._say(stage, refusal, f"the next batch is sent when {which} is over")
            await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            self._full_since, self._pause = None, FIRST_PAUSE
            return
        self._full_since = self._full_since or time.time()
        until = self._full_since + HOUR * limits_of(self._config).hours
        if time.time() >= until:
            raise ModelError(self._given_up(refusal))
        self.most = max(1, self._refused // 2)
        seconds = min(LONGEST_PAUSE, max(self._pause, refusal.wait or 0.0))
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)
        again = f"a batch of up to {requests(self.most)} is tried in {span(seconds)}"
        self._say(stage, refusal, f"{again}. If the queue stays full until {clock(until)}, the run stops")
        await pause(seconds, self._context.closing)

    def _say(self, stage: str, refusal: FullError, what_next: str) -> None:
        """Show a line; the provider's words are shown once."""
        full = "still full" if str(refusal) == self._shown else f"full ({refusal})"
        self._shown = str(refusal)
        self._context.progress.say(f"{stage}: the provider's queue is {full}; {what_next}")

    def _given_up(self, refusal: FullError) -> str:
        hours = limits_of(self._config).hours
        return (
            f"{self._config.name}: the provider's queue has been full for {hours:g} hours: {refusal}\n"
            "  What was received is kept. Look at the limits of your account for batches, and at the batches "
            "that are open there; then run the same command again"
        )
