"""Checks whether a journal is as it was written: SQLite's check, each row's checksum, the number of rows.

The whole journal is checked when it is opened, and each row again when it is read. The sums and counts of a
run are taken by SQLite, which ignores the checksums, so they can be trusted only if all rows were checked.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from selfinstruct.journal.checksums import (
    COLUMNS,
    Value,
    checksum,
    lenient,
    name_of,
    quoted,
    shown,
    stage_of,
)
from selfinstruct.journal.plain_tables import is_plain, strange

FORMAT = 7
READABLE = (6, FORMAT)  # the formats with the same tables; 6 has the whole text of each request
SUMMED = 4  # the first format with a checksum in each row
SINCE = {"prompt_cache": 5, "thinking": 6, "turns": 6}  # the formats in which tables were added
SCHEMA = "schema"  # the entry of the tally with the checksum of the tables' definitions
NAMES = (*COLUMNS, "tally", "record_order")  # the names of its tables and its index
PLURAL = {
    "meta": "notes",
    "request": "requests",
    "reply": "replies",
    "record": "records",
    "vector": "vectors",
    "prompt_cache": "counts of cached tokens",
    "thinking": "thoughts",
    "turns": "lists of messages",
}
JSON = {
    "meta": ("value",),
    "request": ("sampling", "examples"),
    "reply": ("others",),
    "record": ("data", "detail"),
    "thinking": ("others",),
    "turns": ("texts",),
}
_NUMBERS = {  # the other columns hold texts, or bytes
    *("number", "sends", "prompt_tokens", "completion_tokens", "cost_usd", "seconds", "attempts", "taken"),
    *("counted", "request", "position", "tokens", "paid", "cached_tokens", "cache_write_tokens"),
}
_BYTES = {("request", "content"), ("vector", "key"), ("vector", "vector")}
_NONE = (0, 0)  # no rows, and their checksums
_PACKED = {("request", "prompt"), ("request", "system"), ("turns", "texts")}  # texts, or bytes; see `wording`


def damage(db: sqlite3.Connection) -> Iterator[str]:
    """Yield a sentence for each thing that differs from what was written; nothing if the journal is whole.

    Args:
        db: a connection that reads texts with `checksums.lenient`; in a transaction if other processes write.

    Raises:
        sqlite3.DatabaseError: if SQLite cannot read on.
    """
    if others := list(strange(db, NAMES)):
        yield from others
        return
    wrong = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if wrong != "ok":
        yield " ".join(wrong.split())
        return
    tables = tables_of(db)
    if not tables:  # the process was killed before it made the first table
        return
    if not summed(tables):
        yield from _unsummed(db, tables)
        return
    written = format_of(db) or FORMAT
    expected = [name for name in (*COLUMNS, "tally") if SINCE.get(name, 0) <= written]
    missing = [name for name in expected if name not in tables]
    if missing:
        yield from (f"the table {name} is missing" for name in missing)
        return
    counted = dict(_tally(db))
    if counted.get((SCHEMA, "")) != (1, schema_sum(db)):
        yield "the definitions of its tables are not as they were written"
        return
    for table in expected[:-1]:
        yield from _rows(db, table, counted)
    bad = len(counted) - db.execute("SELECT COUNT(*) FROM tally").fetchone()[0]
    if bad:
        yield "the counts of its rows are not as they were written"


def tables_of(db: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns of each of the journal's tables that exists and is safe to read."""
    known = [name for name in (*COLUMNS, "tally") if is_plain(db, name)]
    return {name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for name in known}


def summed(tables: dict[str, list[str]]) -> bool:
    """Whether the rows of these tables have checksums."""
    return "tally" in tables or any("sum" in columns for columns in tables.values())


def schema_sum(db: sqlite3.Connection) -> int:
    """The checksum of the tables' definitions."""
    rows = db.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master"
        f" WHERE name IN ({', '.join('?' * len(NAMES))}) ORDER BY name",
        NAMES,
    )
    return checksum(SCHEMA, [value for row in rows for value in row])


def format_of(db: sqlite3.Connection) -> int | None:
    """The format that a journal names; None if it names none, or the note that names it is damaged."""
    if "meta" not in (tables := tables_of(db)):
        return None
    has_sum = "sum" in tables["meta"]
    row = db.execute(f"SELECT value, {'sum' if has_sum else 0} FROM meta WHERE key = 'format'").fetchone()
    if row is None or (has_sum and row[1] != checksum("meta", ("format", row[0]))):
        return None
    return int(row[0]) if str(row[0]).isdecimal() else None


def suspects(table: str, row: Sequence[Value]) -> list[str]:
    """The columns of a row with an impossible value; this does not find damage inside a text."""
    return [name for name, value in zip(COLUMNS[table], row, strict=True) if _odd(table, name, value)]


def _odd(table: str, column: str, value: Value) -> bool:
    if value is None:
        return False
    if (table, column) in _BYTES:
        return not isinstance(value, bytes)
    if (table, column) in _PACKED and isinstance(value, bytes):
        return False
    if column in _NUMBERS:
        return not isinstance(value, (int, float))
    if not isinstance(value, str) or any("\udc80" <= letter <= "\udcff" for letter in value):
        return True
    if column in JSON.get(table, ()):
        try:
            json.loads(value)
        except ValueError:
            return True
    return False


def _tally(db: sqlite3.Connection) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """For each table and stage: how many rows it has, and their combined checksums."""
    for *entry, sum_ in db.execute("SELECT name, stage, rows, sums, sum FROM tally"):
        if checksum("tally", entry) == sum_:
            name, stage, rows, sums = entry
            yield (name, stage), (rows, sums)


def _rows(
    db: sqlite3.Connection, table: str, counted: dict[tuple[str, str], tuple[int, int]]
) -> Iterator[str]:
    """Yield a sentence for each damaged row of a table, and for missing or additional rows."""
    found: dict[str, tuple[int, int]] = {}  # by stage: its rows and their combined checksums
    whole = True
    for written in _read(db, f"SELECT {quoted(COLUMNS[table])}, sum FROM {table}"):
        row, sum_ = written[:-1], written[-1]
        if checksum(table, row) != sum_:
            whole, sum_ = False, 0
            yield damaged(table, row)
        stage = stage_of(table, row)
        rows, combined = found.get(stage, _NONE)
        found[stage] = rows + 1, combined ^ sum_
    expected = {stage: facts for (name, stage), facts in counted.items() if name == table}
    for stage in sorted({*found, *expected}):
        facts, those = expected.get(stage, _NONE), found.get(stage, _NONE)
        of = f"{PLURAL[table]} of {shown(stage)}" if stage else PLURAL[table]
        if facts[0] > those[0]:
            yield f"{of}: {facts[0] - those[0]:,} missing"
        elif whole and facts != those:
            yield f"{of}: not those that were written"


def _read(db: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a query; as long as all texts are UTF-8, SQLite's module decodes them, which is quicker."""
    count, db.text_factory = 0, str
    try:
        for row in db.execute(query):
            yield row
            count += 1
        return
    except sqlite3.OperationalError:  # a text is not UTF-8; any other error comes again below
        pass
    finally:
        db.text_factory = lenient
    yield from islice(db.execute(query), count, None)


def damaged(table: str, row: Sequence[Value]) -> str:
    """The sentence that says which row is damaged, and in which columns if that can be seen."""
    odd = suspects(table, row)
    return f"{name_of(table, row)} is not as it was written" + (f" ({', '.join(odd)})" if odd else "")


def _unsummed(db: sqlite3.Connection, tables: dict[str, list[str]]) -> Iterator[str]:
    """Yield a sentence for each damage that can be seen in a journal without checksums (an older format)."""
    if format_of(db) not in range(1, SUMMED):
        yield "the note of its format is missing or is not as it was written"
        return
    for table, columns in COLUMNS.items():
        if table in tables:
            there = [name for name in columns if name in tables[table]]
            blank = ["NULL" if name not in there else f'"{name}"' for name in columns]
            for row in db.execute(f"SELECT {', '.join(blank)} FROM {table}"):
                if suspects(table, row):
                    yield damaged(table, row)
