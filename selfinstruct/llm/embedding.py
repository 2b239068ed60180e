"""Vectors of texts: from the journal, the cache, or a model that embeds.

The model is asked through an `Endpoint`, as prompts are; here is what is about vectors alone. A vector is
kept in the journal the moment it arrives, with what it cost, so no text is paid for twice in a run; and in
the cache, so that it is not in another. What is kept is rounded to half precision first, and only what is
kept is ever compared: a run that is resumed, and another that finds its vectors in the cache, decide as the
first did.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from selfinstruct.config import ModelConfig
from selfinstruct.errors import BudgetReached, ModelError
from selfinstruct.journal.store import Journal
from selfinstruct.llm import EmbeddingModel, NotSentError, TransientError
from selfinstruct.llm.endpoint import Endpoint, RunContext, given_up
from selfinstruct.llm.plain import PLAIN
from selfinstruct.parse.replies import CONTEXT
from selfinstruct.records import Reply, StoredVector

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

NONE = b""  # kept for a text without a vector that can be compared
SHORTEST = 16  # characters; a text that is too long for the model is halved down to this


@dataclass(frozen=True)
class Texts:
    """Texts whose vectors are asked for as one request; see `Call`.

    Attributes:
        stage: the stage that asks.
        texts: the texts.
        dimensions: how many numbers a vector shall have; None where the model says so.
    """

    stage: str
    texts: Sequence[str]
    dimensions: int | None = None

    number = None  # the requests of a stage have numbers; texts are asked about beside them
    counts = 1
    shapes = ("vectors",)
    longest = 0.0

    @property
    def name(self) -> str:
        """See `Call`."""
        return f"{self.stage}: the request for the vectors of {len(self.texts)} texts"

    @property
    def several(self) -> bool:
        """See `Call`."""
        return len(self.texts) > 1

    @property
    def characters(self) -> int:
        """See `Call`."""
        return sum(map(len, self.texts))

    def plain(self) -> Texts:
        """See `Call`."""
        return replace(self, texts=[PLAIN])

    def note(self, journal: Journal) -> None:
        """See `Call`."""
        journal.sent_for_vectors(self.stage)

    async def send(self, model: EmbeddingModel) -> list[Reply | None]:
        """See `Call`."""
        reply = await model.embed(self.texts, self.dimensions)
        return [None if reply.error is not None and self.several else reply]


class Embedder:
    """Vectors of texts, each asked for once.

    Args:
        config: the model.
        dimensions: how many numbers a vector shall have; None where the model says so.
        batch: texts in one request, at most.
    """

    def __init__(self, config: ModelConfig, dimensions: int | None, batch: int) -> None:
        self._config, self._dimensions, self._batch = config, dimensions, batch
        self._endpoint: Endpoint | None = None
        self._context: RunContext | None = None
        self._space = ""
        self._on_the_way: dict[bytes, asyncio.Task[None]] = {}
        self._size = 0  # bytes of a vector

    async def fetch(self, texts: Iterable[str], context: RunContext, stage: str) -> None:
        """Have the vectors of texts in the journal.

        Args:
            texts: the texts; one that is blank has no vector.
            context: what a run works with.
            stage: the stage that pays for them.

        Raises:
            ModelError: where they are not to be had.
            BudgetReached: where the budget does not allow it.
            NotSentError: where the run is stopping.
        """
        await self._open(context)
        wanted = {self._key(text): text for text in texts if text.strip()}
        there = context.journal.vectors(wanted)
        missing = [key for key in wanted if key not in there]
        found = context.cache.vectors([key for key in missing if key not in self._on_the_way])
        self._agree([*there.values(), *found.values()])
        context.journal.keep_vectors(stage, [StoredVector(key, vector) for key, vector in found.items()])
        new = [key for key in missing if key not in found and key not in self._on_the_way]
        for start in range(0, len(new), self._batch):
            batch = {key: wanted[key] for key in new[start : start + self._batch]}
            task = asyncio.create_task(self._get(batch, context, stage))
            self._on_the_way.update(dict.fromkeys(batch, task))
            task.add_done_callback(partial(self._arrived, batch))
        awaited = {self._on_the_way[key] for key in missing if key in self._on_the_way}
        failed = [one for one in await asyncio.gather(*awaited, return_exceptions=True) if one]
        await context.journal.settled()  # what did arrive is kept
        for error in sorted(failed, key=lambda one: isinstance(one, NotSentError)):  # the reason comes first
            raise error

    def vectors(self, texts: Sequence[str]) -> dict[str, NDArray[float32]]:
        """The vectors, of length 1, of texts that were fetched; without those that have none to compare."""
        import numpy as np

        assert self._context, "what is judged was fetched before"
        keys = {self._key(text): text for text in texts if text.strip()}
        vectors = {}
        for key, kept in self._context.journal.vectors(keys).items():
            if kept != NONE:
                vector = np.frombuffer(kept, np.float16).astype(np.float32)
                vectors[keys[key]] = vector / np.linalg.norm(vector)
        return vectors

    async def close(self) -> None:
        """Give back what the model holds."""
        if self._endpoint is not None:
            await self._endpoint.close()

    async def _open(self, context: RunContext) -> None:
        if self._endpoint is None:
            self._endpoint, self._context = Endpoint(self._config, context), context
        model = cast(EmbeddingModel, await self._endpoint.open())
        self._space = json.dumps(model.space(self._dimensions))

    def _key(self, text: str) -> bytes:
        asked = f"vector\n{self._space}\n{text}".encode("utf-8", "replace")
        return hashlib.blake2b(asked, digest_size=16).digest()

    def _arrived(self, keys: Iterable[bytes], task: asyncio.Task[None]) -> None:
        for key in keys:
            del self._on_the_way[key]

    async def _get(self, batch: dict[bytes, str], context: RunContext, stage: str) -> None:
        """Ask for the vectors of some texts, and keep them."""
        try:
            await self._ask(batch, context, stage)
        except (ModelError, BudgetReached):
            context.closing.set()  # before another request gets this one's place
            raise

    async def _ask(self, batch: dict[bytes, str], context: RunContext, stage: str) -> None:
        """The vectors of texts; of several that are refused as a whole each is asked for alone."""
        assert self._endpoint, "it was opened before"
        call = Texts(stage, list(batch.values()), self._dimensions)
        try:
            replies = await self._endpoint.ask(call)
        except TransientError as error:
            raise given_up(self._config.name, call, error, self._config.retries) from error
        if replies is None:
            raise NotSentError
        (reply,) = replies
        if reply is None:
            for key, text in batch.items():
                await self._ask({key: text}, context, stage)
        elif reply.finish_reason == CONTEXT and call.characters > SHORTEST:
            halved = {key: text[: len(text) // 2] for key, text in batch.items()}
            await self._ask(halved, context, stage)  # its beginning says what it is about
        else:
            self._keep(batch, self._endpoint.paid(reply), context, stage)

    def _keep(self, batch: dict[bytes, str], reply: Reply, context: RunContext, stage: str) -> None:
        """Keep what arrived."""
        kept = list(self._kept(batch, reply))
        self._agree(one.vector for one in kept)
        context.journal.keep_vectors(stage, kept)
        for one in kept:
            context.cache.put_vector(one.key, one.vector)
        facts = {"prompt_tokens": reply.prompt_tokens, "cost_usd": reply.cost_usd, "seconds": reply.seconds}
        named = {"model": self._config.name, "texts": len(batch), "attempts": reply.attempts}
        context.events.tell("embedding", stage=stage, **named, **facts)

    def _kept(self, batch: dict[bytes, str], reply: Reply) -> Iterator[StoredVector]:
        """The vectors as they are kept, each with its share, by length, of what was paid."""
        vectors = reply.vectors if reply.error is None else [()] * len(batch)
        if len(vectors) != len(batch):
            many = f"{len(vectors)} vectors for {len(batch)} texts"
            raise ModelError(f"{self._config.name} gave {many}; is it a model that embeds?")
        whole, sent, tokens = sum(map(len, batch.values())), 0, 0
        for (key, text), values in zip(batch.items(), vectors, strict=True):
            sent += len(text)
            until = reply.prompt_tokens * sent // whole  # no token is lost to rounding
            share = None if reply.cost_usd is None else reply.cost_usd * len(text) / whole
            yield StoredVector(key, _rounded(values), True, until - tokens, share)
            tokens = until

    def _agree(self, vectors: Iterable[bytes]) -> None:
        """All vectors have as many numbers."""
        for vector in vectors:
            self._size = self._size or len(vector)
            if vector != NONE and len(vector) != self._size:
                sizes = f"vectors of {self._size // 2} and of {len(vector) // 2} numbers"
                raise ModelError(
                    f"{self._config.name} gave {sizes}, which cannot be compared. If its server has "
                    "another model now, give that a name of its own, and set fresh=true"
                )


def _rounded(values: Any) -> bytes:
    """A vector of length 1 in half precision; `NONE` of one that has no direction."""
    import numpy as np

    try:
        vector = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError("what it gave is no vector of numbers; is it a model that embeds?") from error
    norm = np.linalg.norm(vector)
    if not np.isfinite(norm) or not norm:
        return NONE
    return (vector / norm).astype(np.float16).tobytes()
