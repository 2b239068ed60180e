"""Texts for the tables of the page: cut so that the page stays small, with what cannot be seen made visible.

A text with a terminal's escape sequences, marks that turn the direction of writing, or other control
characters shows their numbers, so that no reader is misled about what a record holds. What writing needs is
left as it is: joiners (in Persian, in the scripts of India, in emoji made of several) and soft hyphens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from selfinstruct.text.readable import readable

MOST_BYTES = 6_000_000  # of all tables
CUTS = (20_000, 4_000, 1_500, 600, 250, 100)  # characters; the first at which the tables fit
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def visible(value: Any) -> Any:
    """A value of JSON in which the characters that act without being seen are shown by their numbers."""
    if isinstance(value, str):
        return _HIDDEN.sub(_number, value) if _HIDDEN.search(value) else value
    if isinstance(value, Mapping):
        return {visible(key): visible(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [visible(one) for one in value]
    return value


def fitted(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with long texts cut; a text that is cut becomes `{"text": its start, "of": its length}`."""
    found: dict[str, Any] = {}
    for most in CUTS:
        found = {name: {**table, "rows": _cut(table["rows"], most)} for name, table in tables.items()}
        if (
            sum(
                len(json.dumps(table["rows"], ensure_ascii=False).encode("utf-8", "replace"))
                for table in found.values()
            )
            <= MOST_BYTES
        ):
            break
    return found


def _cut(rows: list[list[Any]], most: int) -> list[list[Any]]:
    return [[_cell(value, most) for value in row] for row in rows]


def _cell(value: Any, most: int) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping) and set(value) == {"text", "of"}:  # cut before
        return {"text": visible(value["text"][:most]), "of": value["of"]}
    text = readable(value)
    if len(text) <= most:
        return visible(text)
    return {"text": visible(text[:most]), "of": len(text)}


def _number(found: re.Match[str]) -> str:
    return f"⟨U+{ord(found[0]):04X}⟩"
