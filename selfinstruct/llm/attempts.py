"""A request until it is answered or given up: its attempts, and the time between two of them."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import DoubtedError, LostError, Opened, RefusedError, TransientError
from selfinstruct.llm.calls import Call
from selfinstruct.llm.gate import Place, pause
from selfinstruct.llm.limits import Limits
from selfinstruct.llm.refusals import Refusals
from selfinstruct.llm.sending import Sending
from selfinstruct.records import Reply

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
FIRST_WAIT_IN_CALM = 0.05  # after a refusal (429) while no more is refused than usual
LONGEST_SILENCE = 20.0  # seconds after which a server that never answered is given up
MOST_LOST = 3  # workers that may die while they have a request
REST = 60.0  # seconds for which a model that gave a request up is not asked, if another can take over


class Attempts:
    """The attempts of one model's requests.

    Args:
        config: the model's keys.
        context: the objects of the run.
        limits: the model's limits.
        sending: sends a request once.
        refusals: decides what a refusal means.
    """

    def __init__(
        self, config: ModelConfig, context: RunContext, limits: Limits, sending: Sending, refusals: Refusals
    ) -> None:
        self._config, self._context, self._closing = config, context, context.closing
        self._limits, self._sending, self._refusals = limits, sending, refusals
        self._resting_until = 0.0

    @property
    def resting(self) -> bool:
        """Whether the model gave a request up a moment ago."""
        return time.monotonic() < self._resting_until

    async def replies(self, model: Opened, call: Call, place: Place) -> list[Reply | None] | None:
        """The replies to a request; None if the run is stopping.

        Args:
            model: the model.
            call: the request.
            place: its place among the requests in flight, which it keeps after a failure.

        Raises:
            TransientError: if the last attempt failed.
            ModelError: if no attempt can help.
            BudgetReached: if the budget does not allow another attempt.
        """
        began, attempts = time.monotonic(), self._config.retries + 1
        refusal: DoubtedError | None = None
        paid: Reply | None = None
        for attempt in range(1, attempts + 1):
            await self._limits.turn(call)
            if self._closing.is_set():
                return None
            try:
                if refusal and self._refusals.wrong:
                    raise self._refusals.wrong
                if refusal and isinstance(refusal.__cause__, RefusedError):  # in unknown words
                    paid = await self._refusals.sound(model, call, refusal.__cause__) or paid
                believed = bool(refusal) or attempt == attempts
                replies = await self._unless_lost(model, call, believed)
            except TransientError as error:
                refusal = error if isinstance(error, DoubtedError) else refusal
                if error.misled and attempt > 1 and not self._sending.works:
                    self._refusals.wrong = ModelError(f"{self._config.name}: {error}")
                    raise self._refusals.wrong from error
                if attempt == attempts or self._silent_too_long(error):
                    self._resting_until = time.monotonic() + REST
                    raise
                if self._closing.is_set():  # not given up: it is asked again when the run continues
                    return None
                await self._back_off(call, attempt, error, place)
            else:
                if replies is None:
                    return None
                seconds = round(time.monotonic() - began, 3)
                return [_timed(reply, attempt, seconds, paid) for reply in replies]
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _unless_lost(self, model: Opened, call: Call, believed: bool) -> list[Reply | None] | None:
        """As `Refusals.replies`; asked again if a worker died that had it. None if the run is stopping.

        Raises:
            ModelError: if that happens several times, since the request itself may be the cause.
        """
        lost: LostError | None = None
        for _ in range(MOST_LOST):
            try:
                return await self._refusals.replies(model, call, believed)
            except LostError as error:
                lost = error
            if self._closing.is_set():
                return None
        raise ModelError(
            f"{self._config.name}: {lost}\n  {call.name} was given up, since each of the {MOST_LOST} workers "
            "that got it died. What was received is kept: to continue, run the same command again."
        ) from lost

    def _silent_too_long(self, error: TransientError) -> bool:
        """Whether no server has answered for so long that none will."""
        return error.silent and not self._sending.heard and self._sending.silence >= LONGEST_SILENCE

    async def _back_off(self, call: Call, attempt: int, error: TransientError, place: Place) -> None:
        """Wait before the next attempt: as the provider asks, or twice as long each time, with jitter."""
        calm = error.slower and self._limits.calm(attempt)
        first = min(FIRST_WAIT, FIRST_WAIT_IN_CALM) if calm else FIRST_WAIT
        own = min(LONGEST_WAIT, first * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        asked = error.wait * random.uniform(1.0, 1.1) if error.wait else 0.0
        wait = asked or own
        if error.silent and not self._sending.heard:
            wait = min(wait, max(0.5, LONGEST_SILENCE - self._sending.silence))
        self._context.events.tell(
            "retry",
            stage=call.stage,
            number=call.number,
            model=self._config.name,
            attempt=attempt,
            wait=round(wait, 2),
            why=str(error),
        )
        words = f"{call.name}: {error}; attempt {attempt + 1} in {wait:.0f} s"
        self._context.progress.trouble("retry", words)
        if error.slower:
            await self._limits.step_aside(place, wait)
        else:
            await pause(wait, self._closing)


def given_up(names: str, call: Call, error: TransientError, retries: int) -> ModelError:
    """The error that stops a run after no model answered a request.

    Args:
        names: the models that were asked.
        call: the request.
        error: the error of the last attempt.
        retries: attempts after the first.
    """
    after = "because no server ever answered" if error.silent and retries else f"after {retries + 1} attempts"
    return ModelError(
        f"{names}: {error}\n"
        f"  {call.name} was given up {after}. What was received is kept: to continue, run the same command "
        "again."
    )


def _timed(reply: Reply | None, attempts: int, seconds: float, paid: Reply | None) -> Reply | None:
    """A reply with its attempts and time, including those of a plain prompt in between."""
    if reply is None:
        return None
    cost = reply.cost_usd
    if paid and cost is not None:
        cost += paid.cost_usd or 0.0
    return replace(
        reply,
        attempts=attempts,
        seconds=seconds,
        doubtful=False,
        prompt_tokens=reply.prompt_tokens + (paid.prompt_tokens if paid else 0),
        completion_tokens=reply.completion_tokens + (paid.completion_tokens if paid else 0),
        cached_tokens=reply.cached_tokens + (paid.cached_tokens if paid else 0),
        cache_write_tokens=reply.cache_write_tokens + (paid.cache_write_tokens if paid else 0),
        cost_usd=cost,
    )
