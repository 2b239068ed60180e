"""A JSON Schema as text that people can read and compare: its lines are filled like a paragraph.

The description of a key without keys of its own stays on one line, so it can be found and compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

WIDTH = 140
MAPS = ("properties", "definitions")  # their values are keys


def json_text(schema: Any) -> str:
    """A schema as text that ends with a line break."""
    return _text(schema, "") + "\n"


def _text(value: Any, indent: str, of: str = "") -> str:
    """The value of the key `of` as text that follows `indent`."""
    whole = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(whole) <= WIDTH or not isinstance(value, dict | list):
        return whole
    if of not in MAPS and isinstance(value, dict) and not any(f'"{name}": {{' in whole for name in MAPS):
        return whole  # the values and the description of one key
    inner = indent + " "
    if isinstance(value, list):
        return _closed("[", [_text(one, inner) for one in value], inner, "]")
    items = [f"{json.dumps(key)}: {_text(one, inner, key)}" for key, one in value.items()]
    return _closed("{", items, inner, "}", apart=of in MAPS)


def _closed(opening: str, items: Sequence[str], indent: str, closing: str, apart: bool = False) -> str:
    """Items between two brackets; closing brackets that follow each other share a line."""
    lines = _filled(items, indent, apart)
    if set(lines[-1].strip()) <= {"}", "]"}:
        lines[-1] = lines[-1][1:] + closing
    else:
        lines.append(indent[1:] + closing)
    return "\n".join([opening, *lines])


def _filled(items: Sequence[str], indent: str, apart: bool) -> list[str]:
    """Items one after the other, as many on a line as fit.

    An item of several lines begins where its first line fits, or on a new line if it is `apart`.
    """
    lines: list[str] = []
    for item in items:
        first, *more = item.split("\n")
        fits = lines and len(lines[-1]) + len(first) + 2 <= WIDTH
        if fits and not (apart and (more or set(lines[-1].strip()) <= set("}],"))):
            lines[-1] += f" {first}"
        else:
            lines.append(indent + first)
        lines += more
        lines[-1] += ","
    return [*lines[:-1], lines[-1][:-1]]
