"""The filter of outputs that a model gives again and again for different instructions."""

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
    """Rejects an output that seeds and accepted records already have for too many other instructions.

    Nearly equal outputs count as the same: an output belongs to the first earlier one to which its ROUGE-L
    F-measure is above a threshold. Several records with one instruction count once.

    Args:
        field: the field that holds the output.
        most: how many different instructions may have the same output.
        threshold: two outputs with a score above it count as the same.
        least: an output with fewer words passes, as a label does; in scripts without spaces two characters
            are a word.
        label: a field that is true if the output is a label, which passes; a record may lack the field.
        instruction: the field of the instruction.
    """
    outputs = _Outputs(threshold)

    def judged(record: Record) -> str | None:
        """The output of a record; None if it passes without a check."""
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
        reason = f"{field} is the same for {len(ids)} other instructions: {', '.join(ids[:NAMED])}{more}"
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
        id: the first record with such an output.
        first: by the instruction, the first record with such an output.
    """

    id: str
    first: dict[str, str] = own(default_factory=dict)


class _Outputs:
    """The outputs learned, grouped by the first one that they nearly equal."""

    def __init__(self, threshold: float) -> None:
        self._index = RougeLIndex(threshold, "unicode")
        self._by_id: dict[str, _Same] = {}

    def near(self, text: str) -> tuple[_Same, float] | None:
        """The group of outputs that a text nearly equals, and the score; None if there is none."""
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
