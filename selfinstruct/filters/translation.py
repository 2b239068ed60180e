"""The filter of translations that have lost a part which must stay: a number, code, a placeholder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Compiled, Patterns, compiled, value
from selfinstruct.records import Record, Rejection

SHOWN = 60  # characters of a lost part in a reason
# What separates thousands differs between languages: 1,250 and 1.250, 1 250 and 1250.
_THOUSANDS = re.compile(r"(?<=\d)[.,'’\u00a0\u202f](?=\d{3}(?!\d))")
_DIGITS = re.compile(r"\d+")


@FILTERS.register
def parts_kept(
    *,
    fields: Annotated[dict[str, str], Field(min_length=1)],
    patterns: Patterns = {},  # noqa: B006  # options are read, never changed
    digits: Annotated[int, Field(ge=0, le=1_000)] = 2,
) -> Filter:
    """Rejects a translation that has lost a part of its original that must stay as it is.

    It also rejects an empty translation of a text, and a text in place of an empty original. Spaces and line
    breaks make no difference, nor do the marks between the digits of a number.

    Args:
        fields: field: the field with its original.
        patterns: name: a Python regular expression for parts that must stay as they are; false switches one
            off.
        digits: a number must stay if it has so many digits; shorter ones are often written as words. 0: none
            must stay.
    """
    searched = compiled(patterns)

    def each(record: Record) -> Rejection | None:
        for field, original in fields.items():
            before, after = value(record, original), value(record, field)
            reason = _lost(before, after, searched, digits)
            if reason:
                return Rejection(f"{field} {reason}")
        return None

    return Filter(each=each, fields=(*fields, *fields.values()))


def _lost(before: str, after: str, patterns: Compiled, digits: int) -> str | None:
    """What a translation has lost, in words; None if it has lost nothing."""
    if not before.strip():
        return "has a text, but its original is empty" if after.strip() else None
    if not after.strip():
        return "is empty, but its original is not"
    plain = _plain(after)
    for name, pattern in patterns:
        for found in pattern.finditer(before):
            if _plain(found[0]) not in plain:
                return f"has lost {found[0].strip()[:SHOWN]!r} of its original ({name})"
    missing = Counter(_numbers(before, digits)) - Counter(_numbers(after, digits)) if digits else None
    return f"has lost the number {next(iter(missing))} of its original" if missing else None


def _plain(text: str) -> str:
    return " ".join(text.split())


def _numbers(text: str, digits: int) -> Iterator[str]:
    """The numbers of a text, in any script, with at least so many digits."""
    for found in _DIGITS.finditer(_THOUSANDS.sub("", text)):
        if len(found[0]) >= digits:
            yield str(int(found[0])) if len(found[0]) < 300 else found[0]
