"""A seed file as rows, whatever its format: what the readers make and what the columns are found in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault

LINE, ITEM, ROW = "line", "item", "row"
JSON_LINES = "JSON lines"


LARGEST = 200_000_000  # bytes of a seed file, unpacked; Alpaca's 52,000 rows are 23 MB
TOO_LARGE = (
    f"has more than {LARGEST // 1_000_000} MB (unpacked, where it is packed)",
    "take some of its rows: a prompt shows a few seeds, and all of them are held in memory",
)


@dataclass(frozen=True)
class Row:
    """A row of a seed file.

    Attributes:
        number: its line, or its number among the items or rows.
        place: the same in words, for messages.
        data: what it holds; an object, unless somebody wrote something else.
        size: its characters in the file.
    """

    number: int
    place: str
    data: Any
    size: int


@dataclass
class Table:
    """A seed file, read.

    Attributes:
        path: the file or folder.
        format: what it is, in words.
        unit: what a row is called in it: line, item or row.
        header: whether its first line names the columns.
        rows: its rows.
        faults: what cannot be read of it.
    """

    path: Path
    format: str = ""
    unit: str = LINE
    header: bool = False
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def plain(name: str) -> str:
    """A column's name without what people write in different ways: capitals, spaces, hyphens."""
    return "_".join(str(name).strip().lower().replace("-", " ").replace("_", " ").split())
