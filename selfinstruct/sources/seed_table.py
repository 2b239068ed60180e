"""The rows of a file in any format: readers fill a `Table`; of seeds, `seed_columns` maps the columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault

LINE, ITEM, ROW = "line", "item", "row"
JSON_LINES = "JSON lines"
TEXT_LINES = "a text file, one instruction per line"

LARGEST = 200_000_000  # bytes of a file, unpacked; Alpaca's 52,000 rows are 23 MB
TOO_LARGE = f"has more than {LARGEST // 1_000_000} MB (unpacked, if it is packed)"
FEWER_SEEDS = "take some of its rows: a prompt shows only a few seeds, and all of them are held in memory"


@dataclass(frozen=True)
class Row:
    """A row of a file.

    Attributes:
        number: its line number, or its number among the items or rows.
        place: the same in words, for messages.
        data: its value; an object, unless the file is wrong.
        size: the number of its characters in the file.
    """

    number: int
    place: str
    data: Any
    size: int


@dataclass
class Table:
    """The content of a file.

    Attributes:
        path: the file or folder.
        noun: what its rows are, for messages.
        smaller: what to do if it is too large.
        format: its format, in words.
        unit: the word for a row: line, item or row.
        header: whether its first line names the columns.
        rows: its rows.
        faults: the faults found while reading it.
    """

    path: Path
    noun: str = "seeds"
    smaller: str = FEWER_SEEDS
    format: str = ""
    unit: str = LINE
    header: bool = False
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def plain(name: str) -> str:
    """A column's plain name: lower case, with underscores in place of spaces and hyphens."""
    return "_".join(str(name).strip().lower().replace("-", " ").replace("_", " ").split())
