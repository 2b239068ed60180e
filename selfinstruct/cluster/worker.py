"""A worker: an actor on a machine of the cluster that opens models and sends requests to them.

It gets batches of calls with `take`, and gives batches of results back with `results`. It keeps nothing: what
it had in hand when it dies is sent again by another worker.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from selfinstruct.cluster.wire import (
    Form,
    form_of_error,
    form_of_reply,
    model_of,
    packed,
    request_of,
    unpacked,
)
from selfinstruct.errors import Fault
from selfinstruct.llm import MODELS, Hears
from selfinstruct.llm.limits import within
from selfinstruct.llm.quotas import quotas
from selfinstruct.records import Reply

HEARTBEAT = 10.0  # seconds without a result after which it says that it is there
LINGER = 0.01  # seconds that a result waits for others to go with it, at most
LINGER_EACH = 0.0001  # seconds for each call in hand: of few calls, no other result may come soon
COMPLETE, EMBED = "complete", "embed"  # calls
REPLIED, FAILED, HEARD, NOTED = "replied", "failed", "heard", "noted"  # results


class Worker:
    """The models that are open here, and the results that wait to be fetched; an actor of Ray."""

    def __init__(self) -> None:
        self._models: dict[int, tuple[Any, float]] = {}  # each with the time for a whole reply
        self._tasks: set[asyncio.Task[None]] = set()
        self._results: list[Form] = []
        self._some = asyncio.Event()

    async def hello(self) -> tuple[str, int]:
        """The name of its machine, and its process."""
        return socket.gethostname(), os.getpid()

    async def open(self, number: int, form: Form, project: str) -> Form | None:
        """Open a model and prepare it; returns what went wrong.

        Args:
            number: the number by which calls name it.
            form: its keys; see `wire`.
            project: the user's folder, which may have files that the model needs.
        """
        faults: list[Fault] = []
        try:
            config = model_of(form)
            kind = MODELS.build(config.kind, config.options, "model.options", faults)
            if kind is None:
                return "ModelError", "; ".join(map(str, faults))
            model = await asyncio.to_thread(kind.open, config, Path(project))
            if hasattr(model, "noted"):
                model.noted = partial(self._done, number, NOTED)
            if isinstance(model, Hears):
                model.heard = partial(self._heard, number)
            await model.prepare()
        except Exception as error:  # the driver knows what to do about it
            return form_of_error(error)
        self._models[number] = model, config.timeout
        return None

    async def close(self, number: int) -> None:
        """Close a model."""
        model, _ = self._models.pop(number, (None, 0.0))
        if model is not None:
            await model.close()

    async def take(self, batch: bytes) -> None:
        """Begin with some calls."""
        for call in unpacked(batch):
            task = asyncio.create_task(self._answer(*call))
            self._tasks.add(task)  # a task without a reference may be collected
            task.add_done_callback(self._tasks.discard)

    async def results(self) -> bytes:
        """What was found since the last time, as soon as there is something; nothing after a while."""
        with suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._some.wait(), HEARTBEAT)
        if self._results:
            await asyncio.sleep(min(LINGER, LINGER_EACH * len(self._tasks)))
        self._some.clear()
        found, self._results = self._results, []
        return packed(found)

    async def _answer(self, call: int, number: int, kind: str, asked: Sequence[Any]) -> None:
        try:
            model, seconds = self._models[number]
            replies = await within(seconds, _sent(model, kind, asked))
            self._done(call, REPLIED, [form_of_reply(reply) for reply in replies])
        except Exception as error:  # as in `open`
            self._done(call, FAILED, form_of_error(error))

    def _heard(self, number: int, headers: Mapping[str, str]) -> None:
        """Pass on headers that state limits; the others are of no use to the driver."""
        if quotas(headers, time.time()):
            self._done(number, HEARD, dict(headers))

    def _done(self, number: int, kind: str, what: Any) -> None:
        self._results.append((number, kind, what))
        self._some.set()


async def _sent(model: Any, kind: str, asked: Sequence[Any]) -> list[Reply | None]:
    if kind == COMPLETE:
        found: list[Reply | None] = await model.complete([request_of(form) for form in asked])
        return found
    texts, dimensions = asked
    return [await model.embed(texts, dimensions)]
