"""Filters that compare a candidate with the seeds and everything accepted so far."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.novelty import RougeLIndex
from selfinstruct.records import Record, Rejection


@FILTERS.register
def rouge_l(
    *,
    field: str,
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.7,
    keep_similar: Annotated[int, Field(ge=0)] = 0,
) -> Filter:
    """Rejects a text whose ROUGE-L F-measure to a seed or an accepted text is above a threshold.

    Args:
        field: the field to compare.
        threshold: strictly above it is too similar; 0.7 itself stays (arXiv 2212.10560, section 2.2).
        keep_similar: keep that many most similar texts and the average similarity with each accepted
            record; that compares it with every text, which takes a microsecond each.
    """
    index = RougeLIndex(threshold)

    def each(record: Record) -> Rejection | None:
        text = str(record.data[field])
        near = index.nearest(text)
        if near is not None:
            reason = f"ROUGE-L {near.score:.3f} to {near.id}, above {threshold}"
            return Rejection(reason, {"nearest": near.id, "score": near.score})
        if keep_similar:
            similar, average = index.top(text, keep_similar), index.average(text)
            record.detail["most_similar"] = {match.id: round(match.score, 4) for match in similar}
            record.detail["average_similarity"] = round(average, 4)
        return None

    def learn(record: Record) -> None:
        if field in record.data:
            index.add(str(record.data[field]), record.id)

    return Filter(each=each, learn=learn, fields=(field,))
