"""JSON Lines: one record a line, for whoever reads it.

JSON allows U+2028, U+2029 and U+0085 as they are within a string, but many programs take them for the end of
a line: Python's `str.splitlines` does, and JavaScript did. So they are escaped, as JSON has all characters
below U+0020 escaped anyway (among them the other ends of lines: U+000B, U+000C, U+001C to U+001E). Whoever
reads the line gets the same text back.
"""

from __future__ import annotations

import json
from typing import Any

LINE_ENDS = {mark: f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}


def json_line(row: Any) -> str:
    """A row as one line of JSON, with its line break."""
    text = json.dumps(row, ensure_ascii=False)
    for mark, escaped in LINE_ENDS.items() if not text.isascii() else ():
        text = text.replace(mark, escaped)  # a tenth of the time of str.translate
    return text + "\n"
