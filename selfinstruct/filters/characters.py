"""The filter of invisible characters that no text needs: controls, half characters, marks without a script.

The rule is the same for JSON and plain replies, since both become the fields of a record. The characters are
data (`conf/filters/common/clean.yaml`); a recipe can switch off each sort by its name. To add a sort, add a
pattern there, and under `needed` the pattern of texts that need it.
"""

from __future__ import annotations

import unicodedata

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Compiled, Patterns, any_of, compiled, fields_filter
from selfinstruct.safety.expressions import Expression

# Unicode has no names for these.
_LOW = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC"
)
_CONTROLS = {**dict(enumerate(_LOW.split())), 0x1B: "ESC", 0x7F: "DEL", 0x9B: "CSI"}


@FILTERS.register
def stray_characters(*, fields: list[str], patterns: Patterns, needed: Patterns) -> Filter:
    """Rejects a text with a character that nobody writes on purpose, and names the character and its place.

    Args:
        fields: the fields to look at.
        patterns: name: the characters of a sort; a pattern matches one character.
        needed: name: a pattern for exceptions. Under the name of a sort, a text that contains a match may
            have that sort; under any other name, the matched text itself may have any sort.
    """
    sorts = _Sorts(compiled(patterns))
    scripts = {name: Expression(needed[name]) for name in patterns if name in needed}
    sequences = any_of({name: pattern for name, pattern in needed.items() if name not in patterns})

    usual: set[str] = set()  # characters without a sort that were met before

    def check(text: str) -> str | None:
        if usual.issuperset(text):
            return None
        usual.update(character for character in set(text) if not sorts[character])
        odd = {character for character in set(text) if sorts[character]}
        if not odd:
            return None  # the usual case
        free = {name for name, script in scripts.items() if script.search(text)}
        strays = {character for character in odd if set(sorts[character]) - free}
        left_alone = {place for match in sequences.finditer(text) for place in range(*match.span())}
        for place, character in enumerate(text):
            if character in strays and place not in left_alone:
                return f"has {_named(character)} at character {place + 1}"
        return None

    return fields_filter(fields, check)


class _Sorts(dict[str, tuple[str, ...]]):
    """The sorts of each character, remembered, since texts have few different characters."""

    def __init__(self, patterns: Compiled) -> None:
        super().__init__()
        self._patterns = patterns

    def __missing__(self, character: str) -> tuple[str, ...]:
        self[character] = tuple(name for name, pattern in self._patterns if pattern.match(character))
        return self[character]


def _named(character: str) -> str:
    """The number of a character, and its name if it has one."""
    code = ord(character)
    name = _CONTROLS.get(code) or unicodedata.name(character, "")
    return f"U+{code:04X} ({name})" if name else f"U+{code:04X}"
