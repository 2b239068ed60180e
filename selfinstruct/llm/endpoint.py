"""One model, as stages and filters ask it: opened here or on workers, and asked at once or in batches.

Prompts and texts to embed are asked alike. A `Call` has the differences between them. A request that is sent
at once waits for the `limits`, has its `attempts`, is sent by `sending`, and may be judged by `refusals`; one
that can wait goes into `batch`.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from selfinstruct.config import ModelConfig
from selfinstruct.journal.store import THROUGH_LITELLM, Journal
from selfinstruct.llm import (
    MODELS,
    Hears,
    Opened,
    Opener,
    RefusedError,
    TransientError,
    here,
)
from selfinstruct.llm.attempts import Attempts
from selfinstruct.llm.batch.batches import Batches
from selfinstruct.llm.batch.left import Left
from selfinstruct.llm.batch.possible import ATTEMPTS, most_waiting
from selfinstruct.llm.batch.stored import reach
from selfinstruct.llm.budget import Budget
from selfinstruct.llm.cache import Cache, key_of
from selfinstruct.llm.calls import Call, Prompts
from selfinstruct.llm.first_alone import FirstAlone
from selfinstruct.llm.limits import Limits
from selfinstruct.llm.prices import price_of
from selfinstruct.llm.prompt_cache import least_marked
from selfinstruct.llm.refusals import Refusals
from selfinstruct.llm.sending import Sending
from selfinstruct.llm.taken import untaken
from selfinstruct.llm.thinking import with_thinking, without_thinking
from selfinstruct.llm.told_limits import Teller
from selfinstruct.monitor.events import Events
from selfinstruct.monitor.progress import Progress
from selfinstruct.records import Reply, Request


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
        self._sending = Sending(config, context, self._limits)
        self._refusals = Refusals(config, context, self._sending)
        self._attempts = Attempts(config, context, self._limits, self._sending, self._refusals)
        self._reach = reach(context.journal, config.name) if config.batch else 0
        self._left = Left(config, first, context)
        self._batches: Batches | None = None  # from the first request on, if it is asked in batches

    @property
    def lookahead(self) -> int:
        """How many requests may wait here, sent or not; it limits the memory and not the data."""
        config = self.config
        if config.batch:
            return max(most_waiting(config), self._reach)
        return max(64, 2 * config.concurrency * (config.prompts_per_request + 1))

    @property
    def retries(self) -> int:
        """How many attempts a request has after the first."""
        return ATTEMPTS - 1 if self.config.batch else self.config.retries

    @property
    def resting(self) -> bool:
        """Whether it gave a request up a moment ago."""
        return self._attempts.resting

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
        self._stages.add(call.stage)
        self._left.refuse(call)
        if self.config.batch:
            assert isinstance(call, Prompts), "a model for vectors has no batches"
            return await self._in_batch(cast(Any, model), call)
        return await self._at_once(model, call, spare)

    async def _at_once(self, model: Opened, call: Call, spare: bool) -> list[Reply | None] | None:
        """The replies to a request that is sent now, as soon as the limits allow it."""
        async with self._first_alone.turn(call):
            place = self._limits.place()
            await place.take()
            try:  # it keeps its place after a failure, so that a server in trouble gets no more requests
                if spare and self.resting:
                    raise TransientError("it gave up another request a moment ago")
                return await self._attempts.replies(model, call, place)
            finally:
                place.leave()

    async def _in_batch(self, model: Any, call: Prompts) -> list[Reply | None] | None:
        """The reply to a request in a batch; a refusal is believed at once, as another try may take a day."""
        async with self._opening:
            if self._batches is None:
                self._batches = await Batches.open(self.config, self._context, model, call)
        try:
            reply = await self._batches.ask(call)
        except RefusedError as refusal:
            return [await self._refusals.judged(model, call, refusal)]
        if reply is None:
            return None
        if reply.error is None:
            self._sending.works.update(call.shapes)
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

    def _noted(self, why: str) -> None:
        """Note, once for each model of a run, that requests go through LiteLLM, which was not expected."""
        context, name = self._context, self.config.name
        known = context.journal.meta(THROUGH_LITELLM, {})
        if name not in known:
            context.journal.set_meta(THROUGH_LITELLM, {**known, name: why})
            context.events.tell(THROUGH_LITELLM, model=name, why=why)
            context.progress.say(f"{name}: its requests go through LiteLLM, which is slower, since {why}")


def __getattr__(name: str) -> object:
    """The old name, for plug-ins that use it."""
    if name != "Desk":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    message = "selfinstruct.llm.endpoint.Desk is RunContext now"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return RunContext
