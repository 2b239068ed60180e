"""Reject seeds with control characters, broken characters or lists nested too deeply, in every recipe.

To add a rule, add it to `_of_text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from selfinstruct.sources.row_faults import places_of
from selfinstruct.sources.seed_table import Table

DEEPEST = 50  # the most levels of lists and objects within each other
LONG = 100_000  # a row of this many characters gets a note
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_NAMES = {
    "\0": " (NUL)",
    "\x08": " (backspace)",
    "\t": " (tab)",
    "\n": " (line feed)",
    "\x0c": " (form feed)",
    "\x1b": " (ESC)",
    "\x7f": " (DEL)",
}
_HALF = re.compile("[\ud800-\udfff]")


def unfit(data: Any) -> Iterator[tuple[str, str]]:
    """The faults of a row's texts, each once, with its remedy."""
    found: dict[tuple[str, str], None] = {}
    todo = [(data, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > DEEPEST:
            found["is nested too deeply", "take the innermost lists or objects out"] = None
            break
        if isinstance(value, dict):
            todo += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list):
            todo += [(inner, depth + 1) for inner in value]
        elif isinstance(value, str) and not (value.isascii() and value.isprintable()):
            found |= dict.fromkeys(_of_text(value))
    yield from found


def _of_text(text: str) -> Iterator[tuple[str, str]]:
    control = _CONTROL.search(text)
    if control:
        yield control_in(control[0]), "take it out"
    if _HALF.search(text):
        yield "holds half of a character (an unpaired surrogate)", "type it again"


def control_in(character: str) -> str:
    """Describe a control character in a text."""
    return f"holds the control character U+{ord(character):04X}{_NAMES.get(character, '')}"


def notes(table: Table) -> Iterator[str]:
    """A note on rows so long that each prompt that shows one is very long too."""
    long = [row for row in table.rows if row.size >= LONG]
    if long:
        most = max(row.size for row in long) / 1e6
        where = places_of(table.unit, [row.place for row in long])
        what = "is" if len(long) == 1 else "are"
        yield f"seeds: {where} {what} very long (up to {most:.1f} MB), and so is each prompt that shows it"
