"""Filters that look at what a record was made from, of which a stage that rewrites records tells them."""

from __future__ import annotations

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import Record, Rejection
from selfinstruct.safety.expressions import Expression, Pattern


@FILTERS.register
def dropped(*, field: str, pattern: Pattern = r"\S") -> Filter:
    """Rejects a rewriting that has nothing in a field in which the record it was made from had something.

    Args:
        field: the field to look at.
        pattern: what counts as something, a regular expression, Python's; any visible character. With words
            such as `\\bbelow\\b` a rewritten instruction has to go on speaking of its input.
    """
    search = Expression(pattern).search
    had: dict[str, str] = {}  # by the record's id, the first few words of it

    def each(record: Record) -> Rejection | None:
        before = had.get(record.parent or "")
        if before is None or search(str(record.data.get(field, ""))):
            return None
        return Rejection(f"{field} of {record.parent} had {before!r}, and nothing is left of it")

    def learn(record: Record) -> None:
        text = str(record.data.get(field, ""))
        if search(text):
            had[record.id] = " ".join(text.split())[:60]

    return Filter(each=each, learn=learn, fields=(field,))
