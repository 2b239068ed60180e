"""JSON Lines: one record on each line, for every program that reads it.

In a string, JSON allows U+2028, U+2029 and U+0085 unescaped, but many programs read them as the end of a
line: Python's `str.splitlines` does, and JavaScript did. So they are escaped here. JSON escapes all
characters below U+0020 anyway, among them the other line ends (U+000B, U+000C, U+001C to U+001E). A reader of
the line gets the same text back.
"""

from __future__ import annotations

import json
from typing import Any

# One for all rows; json.dumps makes one for each. Looking for a row within itself takes a fifth of the time.
_encoded = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
LINE_ENDS = {mark: f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}


def json_line(row: Any) -> str:
    """A row as one line of JSON, with its line break."""
    text = _encoded(row)
    for mark, escaped in LINE_ENDS.items() if not text.isascii() else ():
        text = text.replace(mark, escaped)  # takes a tenth of the time of str.translate
    return text + "\n"
