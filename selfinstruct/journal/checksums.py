"""Checksums and row counts, which show whether the journal is still as it was written.

SQLite notices a broken page. It does not notice a flipped bit in a text, a row that another program changed
or deleted, or a page that a disk has put back to an older state. So each row has a checksum over its table
and its values, and for each table and stage the journal keeps the number of rows and their combined
checksums. Both are written in the transaction that writes the rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from selfinstruct.errors import DamagedJournal

Value = str | bytes | int | float | None
Values = tuple[Value, ...]

# For each table, its columns without the checksum, in the order of creation. The key's columns come first.
COLUMNS: dict[str, tuple[str, ...]] = {
    "meta": ("key", "value"),
    "request": (
        *("stage", "number", "prompt", "system", "sampling", "examples", "parent", "variant", "sends"),
        "content",
    ),
    "reply": (
        *("stage", "number", "text", "finish_reason", "model", "prompt_tokens", "completion_tokens"),
        *("cost_usd", "seconds", "attempts", "error", "taken", "others", "counted"),
    ),
    "record": (
        *("id", "stage", "request", "position", "parent", "data", "fate", "check", "reason", "detail"),
    ),
    "vector": ("key", "stage", "vector", "tokens", "cost_usd", "paid"),
    "prompt_cache": ("stage", "number", "cached_tokens", "cache_write_tokens"),
    "thinking": ("stage", "number", "thought", "others", "tokens"),
    "turns": ("stage", "number", "texts"),
}
# How many columns the key has.
KEYS = {
    "meta": 1,
    "request": 2,
    "reply": 2,
    "record": 1,
    "vector": 1,
    "prompt_cache": 2,
    "thinking": 2,
    "turns": 2,
}

_STAGE = {table: columns.index("stage") for table, columns in COLUMNS.items() if table != "meta"}
_KEY = {
    table: " AND ".join(f"{name} = ?" for name in columns[: KEYS[table]])
    for table, columns in COLUMNS.items()
}
_SUM = {table: f"SELECT sum FROM {table} WHERE {key}" for table, key in _KEY.items()}
_VALUES = {table: ", ".join("?" * (len(columns) + 1)) for table, columns in COLUMNS.items()}
_ADD = {table: f"INSERT OR IGNORE INTO {table} VALUES ({marks})" for table, marks in _VALUES.items()}
_PUT = {table: f"INSERT OR REPLACE INTO {table} VALUES ({marks})" for table, marks in _VALUES.items()}


def checksum(name: str, values: Sequence[Value]) -> int:
    """The checksum of a row: 8 bytes of BLAKE2b, as a number that SQLite can store.

    Args:
        name: the table's name, so that a row of one table is never valid in another.
        values: the values of its columns; as in SQLite, an integer and a float of the same value are equal.
    """
    raw = _plain_record(values) if name == "record" else b""
    digest = blake2b(raw or _written(name, values), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _written(name: str, values: Sequence[Value]) -> bytes:
    """What a checksum is taken of."""
    done, text = b"", name
    for value in values:
        if isinstance(value, str) and value.isascii():
            text += f"\ns{len(value)}:{value}"
        elif value is None:
            text += "\nn"
        elif isinstance(value, (str, bytes)):
            kind, raw = ("b", value) if isinstance(value, bytes) else ("s", _raw(value))
            done += f"{text}\n{kind}{len(raw)}:".encode() + raw
            text = ""
        else:  # SQLite has no NaN, and no zero with a sign
            number = float(value) + 0.0
            text += "\nn" if number != number else f"\nd{number!r}"
    return done + text.encode()


def _plain_record(values: Sequence[Any]) -> bytes:
    """The same for a record, if it is ASCII and not rejected; empty for any other row.

    Nearly all rows of a large journal are such records, and a loop over the values takes twice as long.
    """
    id, stage, request, position, parent, data, fate, check, reason, detail = values
    if not (request.__class__ is position.__class__ is int and check is reason is None):
        return b""
    try:
        if not "".join((id, stage, "" if parent is None else parent, data, fate, detail)).isascii():
            return b""
    except TypeError:  # one of them is not a text
        return b""
    of = "n" if parent is None else f"s{len(parent)}:{parent}"
    plain = (
        f"record\ns{len(id)}:{id}\ns{len(stage)}:{stage}\nd{float(request)!r}\nd{float(position)!r}"
        f"\n{of}\ns{len(data)}:{data}\ns{len(fate)}:{fate}\nn\nn\ns{len(detail)}:{detail}"
    )
    return plain.encode()


def _raw(text: str) -> bytes:
    """The bytes that `lenient` has read as this text."""
    return text.encode("utf-8", "surrogateescape")


def lenient(raw: bytes) -> str:
    """A text from SQLite as a Python string; bytes that are not UTF-8 are kept, for the checksum to find."""
    return raw.decode("utf-8", "surrogateescape")


def quoted(columns: Iterable[str]) -> str:
    """The names of columns, quoted for a query."""
    return ", ".join(f'"{column}"' for column in columns)


def stage_of(table: str, row: Sequence[Value]) -> str:
    """The stage that a row belongs to; empty for facts about the run."""
    return str(row[_STAGE[table]]) if table != "meta" else ""


class Rows:
    """The rows of an open journal.

    Args:
        db: a connection to its file.
        path: the file.
    """

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db, self._path = db, path
        self._changed: dict[tuple[str, str], tuple[int, int]] = {}  # since the last commit: rows, checksums
        self._counted: dict[tuple[str, str], tuple[int, int]] = {}  # the stored counts, as last written here

    def begin(self) -> None:
        """Begin a transaction, unless one is open; wait while another process writes.

        It takes the right to write at once: SQLite refuses it to a transaction that has read before another
        process has written, as a review does while a run works.
        """
        if not self._db.in_transaction:
            self._changed.clear()  # rows that a full disk has rolled back must not count
            self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Write the counts of the changed rows and end the transaction, if there is one."""
        if not self._db.in_transaction:
            return
        counted, self._counted = self._counted, {}  # a failure leaves none, and they are read again
        while self._changed:
            place, (rows, sums) = self._changed.popitem()
            counted[place] = count(self._db, *place, rows, sums, counted.get(place))
        self._db.execute("COMMIT")
        counted.pop(("meta", ""), None)  # another process may write facts, as a review does
        self._counted = counted

    def uncommitted(self, table: str, stage: str) -> int:
        """How many rows of a table and stage were added since the last commit."""
        return self._changed.get((table, stage), (0, 0))[0]

    def mark(self) -> dict[tuple[str, str], tuple[int, int]]:
        """The state of the counts, to give to `undo`."""
        return dict(self._changed)

    def undo(self, mark: dict[tuple[str, str], tuple[int, int]]) -> None:
        """Set the counts back to their state at the mark."""
        self._changed = mark

    def add(self, table: str, row: Sequence[Value]) -> bool:
        """Write a row, unless a row with its key exists; return whether it was written.

        Args:
            table: its table.
            row: the values of its columns.
        """
        sum_ = checksum(table, row)
        added = self._db.execute(_ADD[table], (*row, sum_)).rowcount > 0
        if added:
            self._count(table, row, 1, sum_)
        return added

    def add_all(self, table: str, rows: Sequence[Sequence[Value]]) -> bool:
        """Write rows; False if some of their keys exist: the caller must then roll back what was written."""
        sums = [checksum(table, row) for row in rows]
        summed = [(*row, sum_) for row, sum_ in zip(rows, sums, strict=True)]
        if self._db.executemany(_ADD[table], summed).rowcount < len(rows):
            return False
        for row, sum_ in zip(rows, sums, strict=True):
            self._count(table, row, 1, sum_)
        return True

    def put(self, table: str, row: Sequence[Value]) -> None:
        """Write a row; it replaces the row with the same key, if there is one."""
        if self.add(table, row):
            return
        old = self._db.execute(_SUM[table], row[: KEYS[table]]).fetchone()
        sum_ = checksum(table, row)
        self._db.execute(_PUT[table], (*row, sum_))  # unlike `add`, fails if a NOT NULL column gets None
        self._count(table, row, 0 if old else 1, (old[0] if old else 0) ^ sum_)

    def change(self, table: str, column: str, value: Value, key: Sequence[Value]) -> None:
        """Change one value in the row with this key, if there is one."""
        for row in self.read(table, _KEY[table], key):
            self.change_in(table, column, value, row, checksum(table, row))

    def change_in(self, table: str, column: str, value: Value, row: Sequence[Value], before: int) -> None:
        """Change one value in a row that was read or written a moment ago, with its checksum from then."""
        place = COLUMNS[table].index(column)
        new = (*row[:place], value, *row[place + 1 :])
        sum_ = checksum(table, new)
        query = f"UPDATE {table} SET {column} = ?, sum = ? WHERE {_KEY[table]}"
        if self._db.execute(query, (value, sum_, *row[: KEYS[table]])).rowcount:
            self._count(table, new, 0, before ^ sum_)

    def read(self, table: str, where: str = "TRUE", values: Sequence[Value] = ()) -> Iterator[Values]:
        """Yield the values of each row that meets a condition, after a check of its checksum.

        Args:
            table: the table.
            where: the condition, and the order if it matters.
            values: the values for the condition's placeholders.

        Raises:
            DamagedJournal: if a row is not as it was written.
        """
        query = f"SELECT {quoted(COLUMNS[table])}, sum FROM {table} WHERE {where}"
        for whole in self._db.execute(query, values):
            row = whole[:-1]
            if checksum(table, row) != whole[-1]:
                raise DamagedJournal(self._path, [f"{name_of(table, row)} is not as it was written"])
            yield row

    def _count(self, table: str, row: Sequence[Value], more: int, changed: int) -> None:
        place = (table, stage_of(table, row))
        rows, sums = self._changed.get(place, (0, 0))
        self._changed[place] = rows + more, sums ^ changed

    def empty(self, table: str) -> None:
        """Delete all rows of a table."""
        self.begin()
        self._db.execute(f"DELETE FROM {table}")
        self._db.execute("DELETE FROM tally WHERE name = ?", (table,))
        for places in (self._changed, self._counted):
            for place in [place for place in places if place[0] == table]:
                del places[place]


def count(
    db: sqlite3.Connection,
    table: str,
    stage: str,
    rows: int,
    sums: int,
    before: tuple[int, int] | None = None,
) -> tuple[int, int]:
    """Add written rows to the stored count of a table and stage, and combine their checksums with it.

    Args:
        db: a connection to the journal.
        table: the table.
        stage: the stage; empty for facts about the run.
        rows: how many rows there are more.
        sums: the combined checksums of what was written and replaced.
        before: the stored count and checksums, if they are known.

    Returns:
        What is stored now.
    """
    if before is None:
        query = "SELECT rows, sums FROM tally WHERE name = ? AND stage = ?"
        before = db.execute(query, (table, stage)).fetchone() or (0, 0)
    entry = (table, stage, before[0] + rows, before[1] ^ sums)
    db.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?)", (*entry, checksum("tally", entry)))
    return entry[2:]


def name_of(table: str, row: Sequence[Value]) -> str:
    """The name of a row, for messages."""
    if table == "vector":
        return f"a vector of {shown(row[1])}"
    if table == "prompt_cache":
        return f"the count of cached tokens of reply {shown(row[1])} of {shown(row[0])}"
    if table == "thinking":
        return f"the thought of reply {shown(row[1])} of {shown(row[0])}"
    if table == "turns":
        return f"the list of messages of request {shown(row[1])} of {shown(row[0])}"
    name = {"meta": "the note", "record": "record"}.get(table)
    return f"{name} {shown(row[0])}" if name else f"{table} {shown(row[1])} of {shown(row[0])}"


def shown(value: Value) -> str:
    """A value in a form that a terminal can show, since it may be damaged."""
    text = str(value)
    return text if text.isprintable() else ascii(text)
