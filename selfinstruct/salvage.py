"""What can be read of a damaged journal.

SQLite stops at the first broken page it meets. So each table is read from both ends, row by row, and around
what lies broken in between by stepping over it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]
MOST_STEPS = 10_000  # tries to get past a break; a break is a few pages of some rows each


@dataclass
class Saved:
    """Rows that could be read, by column.

    Attributes:
        meta: facts about the run.
        requests: what was sent.
        replies: what came back.
    """

    meta: list[Row] = field(default_factory=list)
    requests: list[Row] = field(default_factory=list)
    replies: list[Row] = field(default_factory=list)


def read_what_can_be(path: Path) -> Saved:
    """Read a damaged journal; the file stays as it is."""
    saved = Saved()
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            saved.meta = list(_rows(db, "meta", ("key",)))
            saved.requests = list(_rows(db, "request", ("stage", "number")))
            saved.replies = list(_rows(db, "reply", ("stage", "number")))
    except sqlite3.DatabaseError:  # not even its first page
        pass
    return saved


def set_aside(path: Path) -> Path:
    """Rename a damaged journal, and what SQLite keeps beside it; its new name."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):  # the file itself last: until then the damage is still found
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _rows(db: sqlite3.Connection, table: str, key: tuple[str, ...]) -> Iterator[Row]:
    """The rows of a table, by key from the front and from the back, each once."""
    seen: set[tuple[Any, ...]] = set()
    for order in ("ASC", "DESC"):
        ordered = ", ".join(f"{column} {order}" for column in key)
        cursor = _execute(db, f"SELECT * FROM {table} ORDER BY {ordered}")
        while cursor is not None:
            try:
                row = cursor.fetchone()
            except sqlite3.DatabaseError:
                break
            if row is None:
                break
            values = dict(row)
            place = tuple(values[column] for column in key)
            if place not in seen:
                seen.add(place)
                yield values
    if table == "meta":
        return
    yield from _between(db, table, seen)


def _between(db: sqlite3.Connection, table: str, seen: set[tuple[Any, ...]]) -> Iterator[Row]:
    """The rows that lie between two breaks, asked for one by one."""
    for stage in sorted({stage for stage, _ in seen}):
        numbers = {number for name, number in seen if name == stage}
        missing = [number for number in range(1, max(numbers) + 1) if number not in numbers]
        for number in missing[:MOST_STEPS]:
            cursor = _execute(db, f"SELECT * FROM {table} WHERE stage = ? AND number = ?", stage, number)
            try:
                row = cursor.fetchone() if cursor else None
            except sqlite3.DatabaseError:
                continue
            if row is not None:
                yield dict(row)


def _execute(db: sqlite3.Connection, query: str, *values: Any) -> sqlite3.Cursor | None:
    try:
        return db.execute(query, values)
    except sqlite3.DatabaseError:
        return None
