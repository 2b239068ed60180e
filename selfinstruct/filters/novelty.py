"""Filters that compare a candidate with the seeds and everything accepted so far."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import Record, Rejection
from selfinstruct.text.novelty import RougeLIndex
from selfinstruct.text.tokenizers import TokenizerName, comparing

# The details that `rouge_l` keeps with a text that passes; the first two are the best of `most_similar`.
SIMILAR = {
    "nearest": "the id of the seed task or earlier record that its text is most like, by ROUGE-L",
    "score": "how much its text is like that one, by ROUGE-L: 0 to 1",
    "average_similarity": "the mean ROUGE-L of its text to all seed tasks and earlier records",
}


@FILTERS.register
def exact_duplicate(*, field: str) -> Filter:
    """Rejects a text that equals a seed or an accepted text, except for case and spacing.

    It is faster than `rouge_l`, and also compares texts without any token. If it rejects a text with a token,
    `rouge_l` would reject it too, with the score 1.

    Args:
        field: the field to compare.
    """
    first: dict[bytes, str] = {}

    def each(record: Record) -> Rejection | None:
        same = first.get(_digest(record.data.get(field, "")))
        return None if same is None else Rejection(f"the same as {same}", {"nearest": same, "score": 1.0})

    def learn(record: Record) -> None:
        if field in record.data:
            first.setdefault(_digest(record.data.get(field, "")), record.id)

    async def close() -> None:
        first.clear()

    return Filter(each=each, learn=learn, close=close, fields=(field,))


@FILTERS.register
def rouge_l(
    *,
    field: str,
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.7,
    keep_similar: Annotated[int, Field(ge=0, le=10_000)] = 0,
    except_parent: bool = False,
    tokenizer: TokenizerName | None = None,
    language: str = "en",
) -> Filter:
    """Rejects a text if its ROUGE-L F-measure to a seed or an accepted text is above a threshold.

    Args:
        field: the field to compare.
        threshold: a score above it is too similar, a score equal to it passes (arXiv 2212.10560, section
            2.2).
        keep_similar: keep this many most similar texts and the average similarity with each text that passes;
            for that, the text is compared with every other, which takes 0.1 us each: docs/novelty.md.
        except_parent: a rewritten record may be as similar as it likes to its original, but to no other
            record; `exact_duplicate` still rejects one that is the same.
        tokenizer: how words are counted; null for the language's way.
        language: the language of the texts, as a BCP 47 tag; the recipe's by default.
    """
    index = RougeLIndex(threshold, tokenizer or comparing(language))

    def each(record: Record) -> Rejection | None:
        text = str(record.data.get(field, ""))
        spared = [record.parent] if except_parent and record.parent else []
        near = index.nearest(text, excluding=spared)
        if near is not None:
            reason = f"ROUGE-L {near.score:.3f} to {near.id}, above {threshold}"
            return Rejection(reason, {"nearest": near.id, "score": near.score})
        if keep_similar:
            similar, average = index.similar(text, keep_similar)
            record.detail["most_similar"] = {match.id: round(match.score, 4) for match in similar}
            record.detail["average_similarity"] = round(average, 4)
        return None

    def learn(record: Record) -> None:
        if field in record.data:
            index.add(str(record.data.get(field, "")), record.id)

    async def close() -> None:
        nonlocal index
        index = RougeLIndex(threshold, tokenizer or comparing(language))  # files and report need the memory

    unset = None if keep_similar else "keep_similar"
    return Filter(each=each, learn=learn, close=close, fields=(field,), tells=SIMILAR, tells_with=unset)


def _digest(value: object) -> bytes:
    """A digest of a text in lower case, its white space collapsed; it takes less memory than the text."""
    plain = " ".join(str(value).lower().split())
    return blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).digest()
