"""Filters that compare a rewritten record with its original, which the rewriting stage gives them."""

from __future__ import annotations

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import Record, Rejection
from selfinstruct.safety.expressions import Expression, Pattern


@FILTERS.register
def dropped(*, field: str, pattern: Pattern = r"\S") -> Filter:
    """Rejects a rewritten record if a field has lost something that it had in the original.

    Args:
        field: the field to look at.
        pattern: a Python regular expression for the thing that must not be lost; by default any visible
            character. With words such as `\\bbelow\\b`, a rewritten instruction must still refer to its
            input.
    """
    search = Expression(pattern).search
    had: dict[str, str] = {}  # by the record's id, the first characters of the field

    def each(record: Record) -> Rejection | None:
        before = had.get(record.parent or "")
        if before is None or search(str(record.data.get(field, ""))):
            return None
        return Rejection(f"{field} of {record.parent} had {before!r}, but nothing is left of it")

    def learn(record: Record) -> None:
        text = str(record.data.get(field, ""))
        if search(text):
            had[record.id] = " ".join(text.split())[:60]

    return Filter(each=each, learn=learn, fields=(field,))
