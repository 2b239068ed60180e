"""The filter of outputs that a model gives again and again, whatever it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as own
from typing import Annotated

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import value
from selfinstruct.records import Record, Rejection
from selfinstruct.text.copies import Words
from selfinstruct.text.novelty import RougeLIndex

NAMED = 5  # records in a reason


@FILTERS.register
def repeated_output(
    *,
    field: str = "output",
    most: Annotated[int, Field(ge=1, le=1_000_000)] = 3,
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.9,
    least: Annotated[int, Field(ge=1, le=1_000_000)] = 5,
    label: str | None = None,
    instruction: str = "instruction",
) -> Filter:
    """Rejects an output that seeds and accepted records have for so many other instructions already.

    The same, or nearly: an output counts with the first one to which its ROUGE-L F-measure is above a
    threshold. Several records of one instruction count once.

    Args:
        field: the field that holds the output.
        most: how many different instructions may have it.
        threshold: strictly above it two outputs are nearly the same.
        least: an output with fewer words is free, as a label is; in scripts without spaces two characters
            are a word.
        label: a field that is true where the output is a label, and so is free; a record need not have it.
        instruction: the field of the instruction.
    """
    outputs = _Outputs(threshold)

    def judged(record: Record) -> str | None:
        """The output of a record, None where it is free."""
        text = value(record, field)
        is_label = label is not None and record.data.get(label) is True
        return None if is_label or Words(text).length < 2 * least else text

    def each(record: Record) -> Rejection | None:
        text = judged(record)
        found = None if text is None else outputs.near(text)
        if found is None:
            return None
        same, score = found
        ids = [id for task, id in same.first.items() if task != _plain(value(record, instruction))]
        if len(ids) < most:
            return None
        more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
        reason = f"{field} is that of {len(ids)} other instructions: {', '.join(ids[:NAMED])}{more}"
        return Rejection(reason, {"nearest": same.id, "score": round(score, 4), "instructions": len(ids)})

    def learn(record: Record) -> None:
        text = judged(record)
        if text is not None and instruction in record.data:
            outputs.add(text, _plain(value(record, instruction)), record.id)

    return Filter(each=each, learn=learn, fields=(field, instruction))


@dataclass
class _Same:
    """Outputs that are nearly the same.

    Attributes:
        id: the record that had it first.
        first: by the instruction, the first record that had it.
    """

    id: str
    first: dict[str, str] = own(default_factory=dict)


class _Outputs:
    """The outputs learnt, each under the first that it nearly is."""

    def __init__(self, threshold: float) -> None:
        self._index = RougeLIndex(threshold, "unicode")
        self._by_id: dict[str, _Same] = {}

    def near(self, text: str) -> tuple[_Same, float] | None:
        """What a text is nearly the same as, and the score."""
        match = self._index.nearest(text)
        return (self._by_id[match.id], match.score) if match else None

    def add(self, text: str, instruction: str, id: str) -> None:
        """Learn an output."""
        found = self.near(text)
        if found is None:
            self._by_id[id] = _Same(id)
            self._index.add(text, id)
        same = found[0] if found else self._by_id[id]
        same.first.setdefault(instruction, id)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
