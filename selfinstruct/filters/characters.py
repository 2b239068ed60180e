"""Filters of characters that no reader sees and no text needs: controls, halves, marks without their script.

The rule is the same for a reply in JSON and a plain one, since both end as the fields of a record. The
characters are data (`conf/filters/common/clean.yaml`), each sort with a name that a recipe switches off. A sort
that some script or some emoji needs has a name in `needed` too. To add a sort, add a pattern there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Patterns, any_of, fields_filter

# Unicode has no names for these; the second half is C1, of which only a few are known by one.
_C0 = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI "
    "DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
).split()
_CONTROLS = {**dict(enumerate(_C0)), 0x7F: "DEL", 0x9B: "CSI"}


@FILTERS.register
def stray_characters(*, fields: list[str], patterns: Patterns, needed: Patterns) -> Filter:
    """Rejects a text with a character that nobody wrote on purpose, and names the character and its place.

    Args:
        fields: the fields to look at.
        patterns: name: the stray characters of a sort.
        needed: name: what needs them. Under the name of a sort, a text in which this is found may have that sort;
            under any other name, what this matches is left alone wherever it stands.
    """
    scripts = {name: re.compile(needed[name]).search for name in patterns if name in needed}
    always = any_of({name: pattern for name, pattern in patterns.items() if name not in scripts})
    sometimes = [(re.compile(patterns[name]), found) for name, found in scripts.items()]
    sequences = any_of({name: pattern for name, pattern in needed.items() if name not in patterns})

    def strays(text: str) -> list[re.Pattern[str]]:
        """The patterns that find something, of those that count in this text."""
        counting = [always, *(pattern for pattern, needs in sometimes if not needs(text))]
        return [pattern for pattern in counting if pattern.search(text)]

    return fields_filter(fields, _finder(any_of(patterns), strays, sequences))


def _finder(
    suspicious: re.Pattern[str], strays: Callable[[str], list[re.Pattern[str]]], sequences: re.Pattern[str]
) -> Callable[[str], str | None]:
    """A check that names the first stray character; almost every text is done after one search."""

    def check(text: str) -> str | None:
        if not suspicious.search(text):
            return None
        free = {place for whole in sequences.finditer(text) for place in range(*whole.span())}
        found = (match.start() for pattern in strays(text) for match in pattern.finditer(text))
        place = min((place for place in found if place not in free), default=None)
        return None if place is None else f"has {_told(text[place])} at character {place + 1}"

    return check


def _told(character: str) -> str:
    """The number of a character, and its name where it has one."""
    code = ord(character)
    name = _CONTROLS.get(code) or unicodedata.name(character, "")
    return f"U+{code:04X} ({name})" if name else f"U+{code:04X}"
