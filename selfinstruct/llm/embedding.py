"""Vectors of texts: from the journal, the cache, or a model that embeds.

A vector is kept in the journal the moment it arrives, with what it cost, so no text is paid for twice in a
run; and in the cache, so that it is not in another. What is kept is rounded to half precision first, and only
what is kept is ever compared: a run that is resumed, and another that finds its vectors in the cache, decide
as the first did.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import DoubtedError, EndingError, RefusedError, TransientError
from selfinstruct.llm.limits import pause
from selfinstruct.llm.plain import PLAIN
from selfinstruct.llm.prices import price_of
from selfinstruct.parse.replies import CONTEXT, REFUSED
from selfinstruct.records import Reply, StoredVector

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from selfinstruct.llm.endpoint import RunContext
    from selfinstruct.llm.providers import LiteLLM

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
NONE = b""  # kept for a text without a vector that can be compared
SHORTEST = 16  # characters; a text that is too long for the model is halved down to this


@dataclass(frozen=True)
class Embedded:
    """What a request for the vectors of some texts came to.

    Attributes:
        vectors: one a text, in order.
        tokens: what was sent.
        cost_usd: US dollars; None where it is not known.
    """

    vectors: Sequence[Any]
    tokens: int = 0
    cost_usd: float | None = None


class EmbeddingModel(Protocol):
    """A model that gives a text a vector.

    Attributes:
        identity: what shapes its vectors, as JSON can say it.
        config: its name, attempts and price.
    """

    identity: Any
    config: ModelConfig

    async def embed(self, texts: Sequence[str]) -> Embedded | Reply:
        """The vectors of some texts, or the reply of a request that was refused for what is in it.

        Raises:
            TransientError: for a failure worth another attempt.
            ModelError: for one that no attempt will mend.
        """

    async def close(self) -> None:
        """Give back connections."""


class RemoteEmbedding:
    """A model behind LiteLLM, opened by the first request; see `EmbeddingModel`."""

    def __init__(self, config: ModelConfig, dimensions: int | None) -> None:
        self.config, self._dimensions = config, dimensions
        self.identity = ["litellm", config.name, config.api_base, dimensions]
        self._provider: LiteLLM | None = None

    async def embed(self, texts: Sequence[str]) -> Embedded | Reply:
        """See `EmbeddingModel`."""
        if self._provider is None:
            from selfinstruct.llm.providers import LiteLLM

            self._provider = await asyncio.to_thread(LiteLLM, self.config)
        return await self._provider.embed(texts, self._dimensions)

    async def close(self) -> None:
        """See `EmbeddingModel`."""
        if self._provider is not None:
            await self._provider.close()


class Embedder:
    """Vectors of texts, each asked for once.

    Args:
        model: the model.
        batch: texts in one request, at most.
        concurrency: requests at once, at most.
    """

    def __init__(self, model: EmbeddingModel, batch: int, concurrency: int) -> None:
        self._model, self._batch = model, batch
        self._gate = asyncio.Semaphore(concurrency)
        self._identity = json.dumps(model.identity)
        self._given_up: ModelError | None = None
        self._ending = asyncio.Event()  # set when it was given up, so that nothing else is tried again
        self._on_the_way: dict[bytes, asyncio.Task[None]] = {}
        self._size = 0  # bytes of a vector
        self._works = False  # whether any text had a vector
        self._context: RunContext | None = None

    async def fetch(self, texts: Iterable[str], context: RunContext, stage: str, where: str) -> None:
        """Have the vectors of texts in the journal.

        Args:
            texts: the texts; one that is blank has no vector.
            context: what a run works with.
            stage: the stage that pays for them.
            where: the filter's place in the recipe, for messages.

        Raises:
            ModelError: where they are not to be had.
        """
        self._context = context
        wanted = {self._key(text): text for text in texts if text.strip()}
        there = context.journal.vectors(wanted)
        missing = [key for key in wanted if key not in there]
        found = context.cache.vectors([key for key in missing if key not in self._on_the_way])
        try:
            self._agree([*there.values(), *found.values()])
        except ModelError as error:
            raise self._give_up(error, where) from error
        context.journal.keep_vectors(stage, [StoredVector(key, vector) for key, vector in found.items()])
        new = [key for key in missing if key not in found and key not in self._on_the_way]
        for start in range(0, len(new), self._batch):
            batch = {key: wanted[key] for key in new[start : start + self._batch]}
            task = asyncio.create_task(self._get(batch, context, stage, where))
            self._on_the_way.update(dict.fromkeys(batch, task))
            task.add_done_callback(partial(self._arrived, batch))
        awaited = {self._on_the_way[key] for key in missing if key in self._on_the_way}
        for failed in await asyncio.gather(*awaited, return_exceptions=True):  # none is left behind
            if failed:
                raise failed
        await context.journal.settled()

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
        await self._model.close()

    def _key(self, text: str) -> bytes:
        asked = f"vector\n{self._identity}\n{text}".encode("utf-8", "replace")
        return hashlib.blake2b(asked, digest_size=16).digest()

    def _arrived(self, keys: Iterable[bytes], task: asyncio.Task[None]) -> None:
        for key in keys:
            del self._on_the_way[key]

    async def _get(self, batch: dict[bytes, str], context: RunContext, stage: str, where: str) -> None:
        """Ask for the vectors of some texts, and keep them."""
        began, name = time.monotonic(), self._model.config.name
        try:
            async with self._gate:
                found = await self._ask(list(batch.values()), context, stage)
            price, cost = price_of(self._model.config), found.cost_usd
            if cost is None and price:
                cost = price.cost(found.tokens, 0)
            kept = list(self._kept(batch, found, cost))
            self._agree(one.vector for one in kept)
        except ModelError as error:
            raise self._give_up(error, where) from error
        context.journal.keep_vectors(stage, kept)
        for one in kept:
            context.cache.put_vector(one.key, one.vector)
        seconds = round(time.monotonic() - began, 3)
        paid = Reply("", "stop", name, found.tokens, 0, cost, seconds=seconds)
        context.budget.paid(paid)
        context.progress.traffic(0, paid)
        facts = {"texts": len(batch), "prompt_tokens": found.tokens, "cost_usd": cost, "seconds": seconds}
        context.events.tell("embedding", stage=stage, model=name, **facts)

    def _give_up(self, error: ModelError, where: str) -> ModelError:
        """The first failure for good, which is then that of every request."""
        if self._given_up is None:
            self._given_up = ModelError(_of_filter(str(error), where))
            self._ending.set()
        return self._given_up

    async def _ask(self, texts: list[str], context: RunContext, stage: str) -> Embedded:
        """The vectors of texts; of several that are refused as a whole each is asked for alone."""
        answer = await self._attempts(texts, context, stage)
        if isinstance(answer, Embedded):
            return answer
        if len(texts) > 1:
            parts = [await self._ask([text], context, stage) for text in texts]
            costs = [part.cost_usd for part in parts]
            cost = None if None in costs else sum(cost for cost in costs if cost is not None)
            vectors = [part.vectors[0] for part in parts]
            return Embedded(vectors, sum(part.tokens for part in parts), cost)
        if (
            answer.finish_reason == CONTEXT and len(texts[0]) > SHORTEST
        ):  # its beginning says what it is about
            return await self._ask([texts[0][: len(texts[0]) // 2]], context, stage)
        return Embedded([()])

    async def _attempts(self, texts: list[str], context: RunContext, stage: str) -> Embedded | Reply:
        config, attempt, refused = self._model.config, 0, False
        while True:
            if self._given_up:
                raise self._given_up
            attempt += 1
            try:
                return await self._embedded(texts, believed=refused or attempt > config.retries)
            except TransientError as error:
                refused |= isinstance(error, DoubtedError)
                if error.misled and attempt > 1 and not self._works:
                    raise ModelError(f"{config.name}: {error}") from error
                if attempt > config.retries:
                    raise ModelError(
                        f"{config.name}: {error}\n  The vectors of {len(texts)} texts were given up after "
                        f"{attempt} attempts. What was received is kept: run the same command again to go on "
                        "from here."
                    ) from error
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
                wait = min(max(wait, error.wait or 0.0), 600.0)
                told = {"model": config.name, "attempt": attempt, "wait": round(wait, 2), "why": str(error)}
                context.events.tell("retry", stage=stage, number=None, **told)
                words = f"{stage}: {config.name}: {error}; attempt {attempt + 1} in {wait:.0f} s"
                context.progress.trouble("retry", words)
                await pause(wait, self._ending)

    async def _embedded(self, texts: list[str], believed: bool) -> Embedded | Reply:
        """The vectors, or the refusal of texts where a plain one was embedded; see `plain`.

        Where any text was embedded before, that of one text is believed when it is said twice, as that of the
        key is.
        """
        try:
            found = await self._model.embed(texts)
        except (RefusedError, EndingError) as refusal:
            several = len(texts) > 1 and isinstance(refusal, RefusedError)  # each is asked for alone then
            if self._works and not believed and not several:
                raise DoubtedError(str(refusal)) from refusal
            if isinstance(refusal, EndingError):
                raise
            if texts == [PLAIN] or (refusal.access and self._works):
                raise
            if not self._works:
                await self._embedded([PLAIN], believed=True)
            return Reply("", REFUSED, error=refusal.words)
        if isinstance(found, Reply) and found.doubtful and not believed and len(texts) == 1:
            raise DoubtedError(f"it was refused: {found.error}")
        self._works |= isinstance(found, Embedded)
        return found

    def _kept(self, batch: dict[bytes, str], found: Embedded, cost: float | None) -> Iterator[StoredVector]:
        """The vectors as they are kept, each with its share, by length, of what was paid."""
        if len(found.vectors) != len(batch):
            many = f"{len(found.vectors)} vectors for {len(batch)} texts"
            raise ModelError(f"{self._model.config.name} gave {many}; is it a model that embeds?")
        whole, sent, tokens = sum(map(len, batch.values())), 0, 0
        for (key, text), values in zip(batch.items(), found.vectors, strict=True):
            sent += len(text)
            until = found.tokens * sent // whole  # no token is lost to rounding
            share = None if cost is None else cost * len(text) / whole
            yield StoredVector(key, _rounded(values), True, until - tokens, share)
            tokens = until

    def _agree(self, vectors: Iterable[bytes]) -> None:
        """All vectors have as many numbers."""
        for vector in vectors:
            self._size = self._size or len(vector)
            if vector != NONE and len(vector) != self._size:
                sizes = f"vectors of {self._size // 2} and of {len(vector) // 2} numbers"
                raise ModelError(
                    f"{self._model.config.name} gave {sizes}, which cannot be compared. If its server has "
                    "another model now, give that a name of its own, and set fresh=true"
                )


def _of_filter(words: str, where: str) -> str:
    """What is said of a recipe's model, said of a filter's options."""
    words = words.replace("model.name, model.mode and model.sampling", "model.name and dimensions")
    words = re.sub(r"\bmodel\.name\b", f"{where}.model", words)
    return f"{where}: " + re.sub(r"(?<![.\w])model\.(?=api_)", f"{where}.", words)


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
