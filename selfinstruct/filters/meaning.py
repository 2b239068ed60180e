"""The filter for texts that mean the same as another text, by their embeddings.

A local model and the approximate index need pip install 'selfinstruct[embedding]'. For another filter that
asks a model, copy the option `model` and the fields `asks`, `sends` and `batch` from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from selfinstruct.config import Asks, Machine, ModelConfig
from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import Record, Rejection
from selfinstruct.sources.pool import SEED_STAGE
from selfinstruct.text.similarity import Approximate, Exact, Index

if TYPE_CHECKING:
    from selfinstruct.llm.embedding import Embedder
    from selfinstruct.llm.endpoint import RunContext

SHORTEST = 1e-3  # length of a vector that still has a direction after rounding
TOLD = {
    "nearest_in_meaning": "the id of the seed task or earlier record that its text is nearest to in meaning",
    "score_in_meaning": "how near: the cosine of the two texts' embeddings, up to 1",
}
INSTALL = "pip install 'selfinstruct[embedding]'"


@FILTERS.register
def embedding_similarity(
    *,
    field: str,
    threshold: Annotated[float, Field(gt=0, lt=1)],
    model: Annotated[ModelConfig | str, Asks("embedding", vectors=True)] = "local",
    index: Literal["exact", "approximate"] = "exact",
    centered: bool = True,
    keep_nearest: bool = False,
    characters: Annotated[int, Field(ge=1, le=10_000_000)] = 4000,
    dimensions: Annotated[int | None, Field(ge=1, le=100_000)] = None,
    batch: Annotated[int, Field(ge=1, le=10_000), Machine] = 64,
) -> Filter:
    """Rejects a text whose embedding is too near that of a seed or an accepted text.

    `rouge_l` compares words; this filter finds texts that say the same in other words. The texts of a reply
    are embedded together when it arrives; a vector is paid for once: docs/better-data.md.

    Args:
        field: the field to compare.
        threshold: a cosine strictly above it is too similar; the right value depends on the model.
        model: the embedding model: the name of a file of conf/embedding (local, which needs an optional
            package; openai; vllm), or a model's keys, such as {name: openai/text-embedding-3-large,
            api_key_env: OPENAI_API_KEY}.
        index: how the nearest text is found; approximate is faster from about 50,000 texts on.
        centered: first subtract the mean of the seeds' vectors from each vector, so that what all texts have
            in common does not count (arXiv 1702.01417); off for a threshold that was found for plain cosines.
        keep_nearest: keep the nearest text, and the cosine with it, of each text that passes; to find a
            threshold.
        characters: how much of a text is compared, from its beginning.
        dimensions: how many numbers a vector has, for a model with a choice.
        batch: the most texts in one request.
    """
    from selfinstruct.llm.embedding import Embedder

    assert isinstance(model, ModelConfig), "a recipe's model is already resolved"
    embedder = Embedder(model, dimensions, batch)
    space = _Space(embedder, centered, characters)
    check = _Similarity(field, threshold, keep_nearest, space, _index(index))
    return Filter(
        each=check.each,
        learn=check.learn,
        prepare=check.prepare,
        close=embedder.close,
        asks=model,
        sends=lambda record: space.text(record, field),
        batch=batch,
        fields=(field,),
        tells=TOLD,
        tells_with=None if keep_nearest else "keep_nearest",
    )


class _Space:
    """Where texts are compared: the beginning of each, as a vector of length 1."""

    def __init__(self, embedder: Embedder, centered: bool, characters: int) -> None:
        self.embedder, self._centered, self._characters = embedder, centered, characters
        self._mean: Any = 0.0

    def text(self, record: Record, field: str) -> str:
        """The text of a record that is compared."""
        return str(record.data.get(field, ""))[: self._characters]

    def center(self, texts: Sequence[str]) -> None:
        """Make the mean of these texts' vectors the origin."""
        vectors = list(self.embedder.vectors(texts).values()) if self._centered else []
        if len(vectors) > 1:  # a single one would have no direction left
            self._mean = sum(vectors[1:], vectors[0]) / len(vectors)

    def vectors(self, texts: Sequence[str]) -> dict[str, Any]:
        """The vectors of texts; texts without a direction are left out."""
        import numpy as np

        moved = {text: vector - self._mean for text, vector in self.embedder.vectors(texts).items()}
        lengths = {text: float(np.linalg.norm(vector)) for text, vector in moved.items()}
        return {text: moved[text] / length for text, length in lengths.items() if length > SHORTEST}


class _Similarity:
    """The filter in a run."""

    def __init__(self, field: str, threshold: float, keep: bool, space: _Space, index: Index) -> None:
        self._field, self._threshold, self._keep = field, threshold, keep
        self._space, self._index = space, index
        self._learned: list[tuple[str, str]] = []  # not in the index yet
        self._seeds: list[str] = []
        self._opening = asyncio.Lock()
        self._open = False

    def learn(self, record: Record) -> None:
        """Note an accepted text; it enters the index before the next judgement, with its vector."""
        if self._field in record.data:
            text = self._space.text(record, self._field)
            self._learned.append((record.id, text))
            if record.stage == SEED_STAGE:
                self._seeds.append(text)

    async def prepare(self, records: Sequence[Record], context: RunContext, stage: str, name: str) -> None:
        """Get the vectors of a reply's texts; before the first reply also those of all the existing texts."""
        fetch = self._space.embedder.fetch
        async with self._opening:
            if not self._open:
                await fetch([text for _, text in self._learned], context, stage)
                with context.progress.busy(f"filters.{stage}.{name}: loading {len(self._learned):,} texts"):
                    await asyncio.to_thread(self._begin)
                self._open = True
        await fetch([self._space.text(record, self._field) for record in records], context, stage)

    def each(self, record: Record) -> Rejection | None:
        """The rejection of a text that is too near another, or that has no vector."""
        self._take_in()
        text = self._space.text(record, self._field)
        if not text.strip():  # an empty text has no meaning to compare
            return None
        vector = self._space.vectors([text]).get(text)
        if vector is None:
            return Rejection("the embedding model gave no vector for it that can be compared")
        near = self._index.nearest(vector)
        if near and near.score > self._threshold:
            reason = f"embedding similarity {near.score:.3f} to {near.id}, above {self._threshold}"
            return Rejection(reason, {"nearest": near.id, "score": near.score})
        if near and self._keep:
            record.detail["nearest_in_meaning"] = {near.id: round(near.score, 4)}
        return None

    def _begin(self) -> None:
        self._space.center(self._seeds)
        self._take_in()

    def _take_in(self) -> None:
        """Add the learned texts to the index, in order."""
        if not self._learned:
            return
        import numpy as np

        vectors = self._space.vectors([text for _, text in self._learned])
        known = [(id, vectors[text]) for id, text in self._learned if text in vectors]
        if known:
            self._index.add([id for id, _ in known], np.stack([vector for _, vector in known]))
        self._learned.clear()


def _index(name: str) -> Index:
    """An index by its name.

    Raises:
        ValueError: if a package that it needs is not installed.
    """
    try:
        return Exact() if name == "exact" else Approximate()
    except ImportError:
        raise ValueError(f"index=approximate needs voyager: {INSTALL}") from None
