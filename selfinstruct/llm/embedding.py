"""Vectors of texts: from the journal, the cache, or an embedding model.

The model is asked through an `Endpoint`, as for prompts; this module has only what is special about vectors.
A vector is stored in the journal as soon as it arrives, with its cost, so a run pays for no text twice; the
cache keeps it for other runs. A vector is rounded to half precision before it is stored, and only stored
vectors are compared: so a resumed run, or another that finds its vectors in the cache, decides as the first
did.
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
from selfinstruct.llm.attempts import given_up
from selfinstruct.llm.endpoint import Endpoint, RunContext
from selfinstruct.llm.plain import PLAIN
from selfinstruct.parse.replies import CONTEXT
from selfinstruct.records import Reply, StoredVector

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

NONE = b""  # stored for a text that has no comparable vector
SHORTEST = 16  # characters; a text too long for the model is halved until it is this short


@dataclass(frozen=True)
class Texts:
    """Texts whose vectors are requested together; see `Call`.

    Attributes:
        stage: the stage that asks.
        texts: the texts.
        dimensions: how many numbers a vector should have; None for the model's default.
    """

    stage: str
    texts: Sequence[str]
    dimensions: int | None = None

    number = None  # a stage's requests have numbers; requests for vectors have none
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

    def beginning(self, least: float) -> str:
        """See `Call`."""
        return ""

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
    """Vectors of texts, each requested once.

    Args:
        config: the model.
        dimensions: how many numbers a vector should have; None for the model's default.
        batch: the most texts in one request.
    """

    def __init__(self, config: ModelConfig, dimensions: int | None, batch: int) -> None:
        self._config, self._dimensions, self._batch = config, dimensions, batch
        self._endpoint: Endpoint | None = None
        self._context: RunContext | None = None
        self._space = ""
        self._on_the_way: dict[bytes, asyncio.Task[None]] = {}
        self._size = 0  # bytes per vector

    async def fetch(self, texts: Iterable[str], context: RunContext, stage: str) -> None:
        """Get the vectors of texts into the journal.

        Args:
            texts: the texts; a blank text has no vector.
            context: the objects of the run.
            stage: the stage that pays for them.

        Raises:
            ModelError: if the vectors cannot be had.
            BudgetReached: if the budget does not allow it.
            NotSentError: if the run is stopping.
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
        await context.journal.settled()  # keep the vectors that arrived
        for error in sorted(failed, key=lambda one: isinstance(one, NotSentError)):  # real errors first
            raise error

    def vectors(self, texts: Sequence[str]) -> dict[str, NDArray[float32]]:
        """The vectors, of length 1, of fetched texts; texts without a comparable vector are left out."""
        import numpy as np

        assert self._context, "fetched before it is judged"
        keys = {self._key(text): text for text in texts if text.strip()}
        vectors = {}
        for key, kept in self._context.journal.vectors(keys).items():
            if kept != NONE:
                vector = np.frombuffer(kept, np.float16).astype(np.float32)
                vectors[keys[key]] = vector / np.linalg.norm(vector)
        return vectors

    async def close(self) -> None:
        """Release the model's resources."""
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
        """Request the vectors of some texts, and store them."""
        try:
            await self._ask(batch, context, stage)
        except (ModelError, BudgetReached):
            context.closing.set()  # before another request takes its place
            raise

    async def _ask(self, batch: dict[bytes, str], context: RunContext, stage: str) -> None:
        """Request vectors; if a request for several texts is refused, each text is requested alone."""
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
            await self._ask(halved, context, stage)  # the beginning of a text shows what it is about
        else:
            self._keep(batch, self._endpoint.paid(reply), context, stage)

    def _keep(self, batch: dict[bytes, str], reply: Reply, context: RunContext, stage: str) -> None:
        """Store the vectors that arrived."""
        kept = list(self._kept(batch, reply))
        self._agree(one.vector for one in kept)
        context.journal.keep_vectors(stage, kept)
        for one in kept:
            context.cache.put_vector(one.key, one.vector)
        facts = {"prompt_tokens": reply.prompt_tokens, "cost_usd": reply.cost_usd, "seconds": reply.seconds}
        named = {"model": self._config.name, "texts": len(batch), "attempts": reply.attempts}
        context.events.tell("embedding", stage=stage, **named, **facts)

    def _kept(self, batch: dict[bytes, str], reply: Reply) -> Iterator[StoredVector]:
        """The vectors to store, each with its share of the cost, by length."""
        vectors = reply.vectors if reply.error is None else [()] * len(batch)
        if len(vectors) != len(batch):
            many = f"{len(vectors)} vectors for {len(batch)} texts"
            raise ModelError(f"{self._config.name} gave {many}; is it an embedding model?")
        whole, sent, tokens = sum(map(len, batch.values())), 0, 0
        for (key, text), values in zip(batch.items(), vectors, strict=True):
            sent += len(text)
            until = reply.prompt_tokens * sent // whole  # rounding loses no token
            share = None if reply.cost_usd is None else reply.cost_usd * len(text) / whole
            yield StoredVector(key, _rounded(values), True, until - tokens, share)
            tokens = until

    def _agree(self, vectors: Iterable[bytes]) -> None:
        """Check that all vectors have the same length."""
        for vector in vectors:
            self._size = self._size or len(vector)
            if vector != NONE and len(vector) != self._size:
                sizes = f"vectors of {self._size // 2} and of {len(vector) // 2} numbers"
                raise ModelError(
                    f"{self._config.name} gave {sizes}, which cannot be compared. If its server now has "
                    "another model, give the model another name, and set fresh=true"
                )


def _rounded(values: Any) -> bytes:
    """A vector of length 1 in half precision; `NONE` if it has no direction."""
    import numpy as np

    try:
        vector = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError("its reply is not a vector of numbers; is it an embedding model?") from error
    norm = np.linalg.norm(vector)
    if not np.isfinite(norm) or not norm:
        return NONE
    return (vector / norm).astype(np.float16).tobytes()
