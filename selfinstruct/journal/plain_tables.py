"""Checks that an SQLite file has only plain tables, before anything is read from it.

A file may come from somebody else. Reading a view, a virtual table or a computed column runs code from the
file, which may never end; writing runs its triggers.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator

_PLAIN = re.compile(r"CREATE\s+TABLE\s", re.IGNORECASE)


def strange(db: sqlite3.Connection, ours: Collection[str], more: bool = False) -> Iterator[str]:
    """Yield a sentence for each thing in a file that is not one of our plain tables or their indexes.

    Args:
        db: the file.
        ours: the names of our tables and indexes.
        more: whether the file may have other tables and indexes, which we do not read.
    """
    for kind, name in db.execute("SELECT type, name FROM sqlite_master").fetchall():
        known = kind in ("table", "index") and (more or name in ours or str(name).startswith("sqlite_"))
        if not known or (kind == "table" and name in ours and not is_plain(db, name)):
            yield f"it holds a {ascii(kind)[1:-1]} that this program does not write: {name!a}"


def is_plain(db: sqlite3.Connection, name: str) -> bool:
    """Whether there is a table of this name with only stored values: no view, no computed column.

    Args:
        db: the file.
        name: the name of one of our tables.
    """
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    row = db.execute(query, (name,)).fetchone()
    if row is None or not _PLAIN.match(str(row[0])):
        return False
    hidden = db.execute("SELECT COUNT(*) FROM pragma_table_xinfo(?) WHERE hidden", (name,)).fetchone()
    return bool(hidden[0] == 0)
