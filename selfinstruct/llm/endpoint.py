"""One model, asked within its limits (at once and per minute): each request until it is answered or given up.

Prompts and texts to embed are asked alike. A `Call` has the differences between them.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from selfinstruct.config import ModelConfig
from selfinstruct.errors import BudgetReached, ModelError
from selfinstruct.journal.store import THROUGH_LITELLM, Journal
from selfinstruct.llm import (
    MODELS,
    DoubtedError,
    EndingError,
    Hears,
    LostError,
    Opened,
    Opener,
    RefusedError,
    TransientError,
    here,
)
from selfinstruct.llm.batch.batches import Batches
from selfinstruct.llm.batch.left import refuse_left
from selfinstruct.llm.batch.possible import ATTEMPTS, most_in_batch
from selfinstruct.llm.budget import Budget
from selfinstruct.llm.cache import Cache, key_of
from selfinstruct.llm.calls import Call, Prompts
from selfinstruct.llm.first_alone import FirstAlone
from selfinstruct.llm.gate import Place, pause
from selfinstruct.llm.limits import Limits, within
from selfinstruct.llm.prices import price_of
from selfinstruct.llm.prompt_cache import least_marked
from selfinstruct.llm.taken import untaken
from selfinstruct.llm.thinking import with_thinking, without_thinking
from selfinstruct.llm.told_limits import Teller
from selfinstruct.monitor.events import Events
from selfinstruct.monitor.progress import Progress
from selfinstruct.parse.replies import REFUSED
from selfinstruct.records import Reply, Request

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
FIRST_WAIT_IN_CALM = 0.05  # after a refusal (429) while no more is refused than usual
LONGEST_ASKED = 600.0  # seconds; a Retry-After of hours is not followed
LONGEST_SILENCE = 20.0  # seconds after which a server that never answered is given up
MOST_LOST = 3  # workers that may die while they have a request
REST = 60.0  # seconds for which a model that gave a request up is not asked, if another can take over


@dataclass(frozen=True)
class RunContext:
    """The objects that all the models of a run work with.

    Attributes:
        journal: where requests and replies are stored.
        progress: receives what is sent and received, and failed attempts.
        events: receives every event.
        budget: what the run may spend.
        cache: the replies of other runs.
        project: the user's folder.
        closing: set when no more requests may be sent; each stage has its own.
        opener: opens models, here or on workers.
    """

    journal: Journal
    progress: Progress
    events: Events
    budget: Budget
    cache: Cache
    project: Path
    closing: asyncio.Event
    opener: Opener = here


class Endpoint:
    """A model with its limits.

    Args:
        config: its keys.
        context: the objects of the run.
        first: the model whose requests it takes over; None if it is the stage's own.

    Attributes:
        prepared: set when the model is ready to be asked.
    """

    def __init__(self, config: ModelConfig, context: RunContext, first: ModelConfig | None = None) -> None:
        self.config, self._context, self._first = config, context, first
        self._closing = closing = context.closing
        self._price = price_of(config)
        self._model: Opened | None = None
        self._identity: str | None = None
        self.prepared = asyncio.Event()
        self._opening = asyncio.Lock()
        self._told = Teller(config.name, context.events, context.progress)
        self._limits = Limits(config, closing, self._told.changed)
        self._first_alone = FirstAlone(least_marked(config))
        self._stages: set[str] = set()  # the stages that asked; there is one
        self._resting_until = 0.0
        self._silent_since: float | None = None  # set while no server has answered
        self._heard = False
        self._works: set[str] = set()  # the shapes of the requests that were answered
        self._batches = Batches(config, context) if config.batch else None
        self._judging = asyncio.Lock()
        self._wrong: ModelError | None = None  # the fault in the way to ask, once it is known

    @property
    def lookahead(self) -> int:
        """How many requests may wait here, sent or not; it limits the memory and not the data."""
        config = self.config
        if config.batch:
            return most_in_batch(config)
        return max(64, 2 * config.concurrency * (config.prompts_per_request + 1))

    @property
    def retries(self) -> int:
        """How many attempts a request has after the first."""
        return ATTEMPTS - 1 if self.config.batch else self.config.retries

    @property
    def resting(self) -> bool:
        """Whether it gave a request up a moment ago."""
        return time.monotonic() < self._resting_until

    async def open(self) -> Opened:
        """Find the model, so that the cache can be asked; it is prepared when a request is sent.

        Raises:
            ModelError: if it cannot be found.
        """
        async with self._opening:
            if self._model is None:
                kind = MODELS.build(self.config.kind, self.config.options, "model.options", [])
                assert kind, "the recipe was checked"
                opener = here if self.config.batch else self._context.opener  # a batch is sent by one process
                self._model = await opener(kind, self.config, self._context.project)
                if hasattr(self._model, "noted"):
                    self._model.noted = self._noted
                if isinstance(self._model, Hears):
                    self._model.heard = self._limits.heard
                if self._model.identity is not None:
                    config = self.config
                    self._identity = json.dumps([config.kind, config.name, config.mode, self._model.identity])
        return self._model

    async def close(self) -> None:
        """Release the model's resources."""
        self._told.note(self._context.journal, self._stages, self._limits.facts())
        if self._batches:
            await self._batches.close()
        if self._model is not None:
            await self._model.close()

    def key(self, request: Request) -> bytes | None:
        """The key of its reply in the cache; None if its replies are not worth caching."""
        return key_of(self._identity, self.adapt(request)) if self._identity else None

    def adapt(self, request: Request) -> Request:
        """The request for this model; it was composed with the first model's sampling."""
        if self._first is None:
            return request
        sampling = {**without_thinking(request.sampling, self._first), **self.config.sampling}
        if self.config.mode == "completion":
            sampling.pop("response_format", None)  # the first model's mode was chat
        sampling = with_thinking(sampling, self.config)
        out = untaken(sampling, self.config)
        kept = {key: value for key, value in sampling.items() if value is not None and key not in out}
        return replace(request, sampling=kept)

    async def ask(self, call: Call, spare: bool = False) -> list[Reply | None] | None:
        """The replies to the parts of one request; None if the run is stopping.

        Args:
            call: the request.
            spare: whether another model can take over, so this one need not be asked while it rests.

        Raises:
            TransientError: if this model gives the request up.
            ModelError: if no attempt can help.
            BudgetReached: if the budget does not allow another attempt.
        """
        model = await self._ready()
        if call.stage not in self._stages:
            refuse_left(self.config, self._context.journal, self._context.budget, call.stage)
            self._stages.add(call.stage)
        if self._batches:
            assert isinstance(call, Prompts), "a model for vectors has no batches"
            return await self._in_batch(self._batches, model, call)
        async with self._first_alone.turn(call):
            place = self._limits.place()
            await place.take()
            try:  # it keeps its place after a failure, so that a server in trouble gets no more requests
                if spare and self.resting:
                    raise TransientError("it gave up another request a moment ago")
                return await self._attempts(model, call, place)
            finally:
                place.leave()

    async def _in_batch(self, batches: Batches, model: Opened, call: Prompts) -> list[Reply | None] | None:
        """The reply to a request in a batch; a refusal is believed at once, as another try may take a day."""
        try:
            reply = await batches.ask(cast(Any, model), call)
        except RefusedError as refusal:
            return [await self._judged(model, call, refusal)]
        if reply is None:
            return None
        if reply.error is None:
            self._works.update(call.shapes)
        return [reply]

    def paid(self, reply: Reply) -> Reply:
        """A reply with its cost, which is counted as spent and shown."""
        if self._price and (reply.cost_usd is None or self.config.price or self.config.batch):
            sent, said = reply.prompt_tokens, reply.completion_tokens
            cost = self._price.cost(sent, said, reply.cached_tokens, reply.cache_write_tokens)
            reply = replace(reply, cost_usd=cost)
        self._context.budget.paid(reply)
        self._context.progress.traffic(0, reply)
        return reply

    async def _ready(self) -> Opened:
        """The model, prepared; not needed in a run with all its replies in the cache."""
        model = self._model or await self.open()
        if not self.prepared.is_set():
            async with self._opening:
                if not self.prepared.is_set():
                    weights = self.config.options.get("weights")
                    with self._context.progress.busy(f"starting {weights or self.config.name}"):
                        await model.prepare()
                    self.prepared.set()
        return model

    async def _attempts(self, model: Opened, call: Call, place: Place) -> list[Reply | None] | None:
        began, attempts = time.monotonic(), self.config.retries + 1
        refusal: DoubtedError | None = None
        paid: Reply | None = None
        for attempt in range(1, attempts + 1):
            await self._limits.turn(call)
            if self._closing.is_set():
                return None
            try:
                if refusal and self._wrong:
                    raise self._wrong
                if refusal and isinstance(refusal.__cause__, RefusedError):  # in unknown words
                    paid = await self._sound(model, call, refusal.__cause__) or paid
                believed = bool(refusal) or attempt == attempts
                replies = await self._unless_lost(model, call, believed)
            except TransientError as error:
                refusal = error if isinstance(error, DoubtedError) else refusal
                if error.misled and attempt > 1 and not self._works:
                    self._wrong = ModelError(f"{self.config.name}: {error}")
                    raise self._wrong from error
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
        """As `_replies`; asked again if a worker died that had the request. None if the run is stopping.

        Raises:
            ModelError: if that happens several times, since the request itself may be the cause.
        """
        lost: LostError | None = None
        for _ in range(MOST_LOST):
            try:
                return await self._replies(model, call, believed)
            except LostError as error:
                lost = error
            if self._closing.is_set():
                return None
        raise ModelError(
            f"{self.config.name}: {lost}\n  {call.name} was given up, since each of the {MOST_LOST} workers "
            "that got it died. What was received is kept: to continue, run the same command again."
        ) from lost

    async def _replies(self, model: Opened, call: Call, believed: bool) -> list[Reply | None]:
        """The replies; for a refused request, what the refusal means.

        Args:
            model: the model.
            call: the request.
            believed: whether to believe a refusal; the first one is not believed.
        """
        try:
            replies = await self._send(model, call)
        except RefusedError as refusal:
            if call.several or self._closing.is_set():
                return [None] * len(call.shapes)  # asked alone, each part shows whether it was refused
            if not believed:
                raise DoubtedError(f"it was refused: {refusal.words}") from refusal
            return [await self._judged(model, call, refusal)]
        except EndingError as refusal:
            if believed or not self._works:
                self._wrong = refusal
                raise
            raise DoubtedError(str(refusal)) from refusal
        if not believed and not call.several and replies[0] and replies[0].doubtful:
            raise DoubtedError(f"it was refused: {replies[0].error}")
        return replies

    async def _judged(self, model: Opened, call: Call, refusal: RefusedError) -> Reply:
        """The reply for a refused request, if the same request with a plain text is answered.

        The plain text is sent once for each way to ask, and every time if the key may be the cause.

        Raises:
            ModelError: if the plain text is refused too.
        """
        paid = await self._sound(model, call, refusal, always=refusal.access)
        paid = paid or Reply("", model=self.config.name)
        nothing = replace(paid, text="", others=(), thought="", other_thoughts=(), thinking_tokens=0)
        return replace(nothing, vectors=(), finish_reason=REFUSED, error=refusal.words)

    async def _sound(
        self, model: Opened, call: Call, refusal: RefusedError, always: bool = False
    ) -> Reply | None:
        """The reply to a plain text, sent to test the way to ask; None if that is known to work.

        Raises:
            ModelError: if it is wrong.
        """
        async with self._judging:
            if self._wrong:
                raise self._wrong
            if not always and call.shapes[0] in self._works:
                return None
            try:
                (paid,) = await self._send(model, call.plain())
            except RefusedError as error:
                self._wrong = ModelError(f"{error}\n  A plain prompt was refused too.")
                raise self._wrong from error
            self._works.add(call.shapes[0])
            facts = {"stage": call.stage, "number": call.number, "model": self.config.name}
            self._context.events.tell("plain", why=refusal.words, **facts)
            return paid

    async def _send(self, model: Opened, call: Call) -> list[Reply | None]:
        """Send a request once."""
        reached = self._context.budget.reached(call.counts)
        if reached:
            raise BudgetReached(
                f"{reached}. What was received is kept: run the same command with a larger budget."
            )
        self._context.budget.sent(call.counts)
        call.note(self._context.journal)
        await self._context.journal.settled()
        self._context.progress.traffic(call.counts)
        sent = self._limits.sent()
        try:
            replies = await self._answered(model, call)
        except TransientError as error:
            self._heard |= not error.silent
            if error.slower:
                self._limits.refused(sent, min(error.wait or 0.0, LONGEST_ASKED))
            else:
                self._limits.failed(sent, taken=not error.silent)
            raise
        except ModelError:
            self._heard = True
            self._limits.failed(sent, taken=True)
            raise
        except BaseException:
            self._limits.failed(sent, taken=False)
            raise
        finally:
            self._context.progress.traffic(-call.counts)
        self._heard = True
        shaped = zip(call.shapes, replies, strict=True)
        self._works.update(shape for shape, reply in shaped if reply and reply.error is None)
        self._limits.answered(sent, call, replies)
        return replies

    async def _answered(self, model: Opened, call: Call) -> list[Reply | None]:
        """The model's replies, within the time allowed for a whole reply."""
        if self._silent_since is None:
            self._silent_since = time.monotonic()
        if getattr(model, "keeps_time", False):
            return await call.send(model)
        return await within(self.config.timeout, call.send(model))

    def _silent_too_long(self, error: TransientError) -> bool:
        """Whether no server has answered for so long that none will."""
        return error.silent and not self._heard and self._silence() >= LONGEST_SILENCE

    def _silence(self) -> float:
        return time.monotonic() - (self._silent_since or time.monotonic())

    async def _back_off(self, call: Call, attempt: int, error: TransientError, place: Place) -> None:
        """Wait before the next attempt: as the provider asks, or twice as long each time, with jitter."""
        calm = error.slower and self._limits.calm(attempt)
        first = min(FIRST_WAIT, FIRST_WAIT_IN_CALM) if calm else FIRST_WAIT
        own = min(LONGEST_WAIT, first * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        asked = min(error.wait, LONGEST_ASKED) * random.uniform(1.0, 1.1) if error.wait else 0.0
        wait = asked or own
        if error.silent and not self._heard:
            wait = min(wait, max(0.5, LONGEST_SILENCE - self._silence()))
        self._context.events.tell(
            "retry",
            stage=call.stage,
            number=call.number,
            model=self.config.name,
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

    def _noted(self, why: str) -> None:
        """Note, once for each model of a run, that requests go through LiteLLM, which was not expected."""
        context, name = self._context, self.config.name
        known = context.journal.meta(THROUGH_LITELLM, {})
        if name not in known:
            context.journal.set_meta(THROUGH_LITELLM, {**known, name: why})
            context.events.tell(THROUGH_LITELLM, model=name, why=why)
            context.progress.say(f"{name}: its requests go through LiteLLM, which is slower, since {why}")


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


def __getattr__(name: str) -> object:
    """The old name, for plug-ins that use it."""
    if name != "Desk":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    message = "selfinstruct.llm.endpoint.Desk is RunContext now"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return RunContext
