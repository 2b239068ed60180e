"""CSV for people: it opens in a spreadsheet, as text, and no text is run there as a formula.

The file begins with a byte order mark, without which Excel reads UTF-8 as the encoding of the country. A text
that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV Injection). All cells are
in quotes, since the spreadsheets of some countries split a line at semicolons too. Control characters, which
a terminal would follow, become visible signs. A list or a mapping is written as JSON.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from selfinstruct.dataset.rows import AT_ONCE
from selfinstruct.project.blocks import batched

# The first characters of a formula; also in full width, which Excel reads alike.
FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
UNSEEN = " \xa0\u200b\ufeff"  # some programs pass over these before a formula
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]")
_DELETE = 0x7F


def pieces(rows: Iterable[dict[str, Any]], names: Sequence[str]) -> Iterator[bytes]:
    """The rows as a CSV file, in pieces, with a line of the columns' names first.

    Args:
        rows: the rows.
        names: the names of the columns.
    """
    yield codecs.BOM_UTF8 + _lines([list(map(cell, names))])
    for some in batched(rows, AT_ONCE):
        yield _lines([[cell(row.get(name)) for name in names] for row in some])


def _lines(cells: list[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(cells)
    return out.getvalue().encode("utf-8", "backslashreplace")


def cell(value: Any) -> str:
    """A value as the text of a cell; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    elif isinstance(value, int | float):
        return json.dumps(value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    if not text.isprintable():
        text = _CONTROL.sub(_visible, text)
    return f"'{text}" if text.lstrip(UNSEEN)[:1] in FORMULA else text


def _visible(found: re.Match[str]) -> str:
    """The sign for a control character, or its number if it has no sign."""
    code = ord(found[0])
    return "\u2421" if code == _DELETE else chr(0x2400 + code) if code < 0x20 else f"\\x{code:02x}"
