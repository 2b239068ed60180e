"""Whether an SQLite file holds plain tables alone, which is looked at before anything is read from it.

A file may come from other hands. To read from a view, a virtual table or a computed column runs what these
have written there, which may have no end; a trigger does so where something is written.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator

_PLAIN = re.compile(r"CREATE\s+TABLE\s", re.IGNORECASE)


def strange(db: sqlite3.Connection, ours: Collection[str], more: bool = False) -> Iterator[str]:
    """What is in a file beside plain tables of ours and their indexes, in words.

    Args:
        db: the file.
        ours: the names of the tables and indexes.
        more: whether it may have other tables and indexes, of which nothing is read.
    """
    for kind, name in db.execute("SELECT type, name FROM sqlite_master").fetchall():
        known = kind in ("table", "index") and (more or name in ours or str(name).startswith("sqlite_"))
        if not known or (kind == "table" and name in ours and not is_plain(db, name)):
            yield f"it holds a {ascii(kind)[1:-1]} that this program does not write: {name!a}"


def is_plain(db: sqlite3.Connection, name: str) -> bool:
    """Whether there is a table of this name that holds nothing but what was written to it.

    Args:
        db: the file.
        name: one of ours.
    """
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    row = db.execute(query, (name,)).fetchone()
    if row is None or not _PLAIN.match(str(row[0])):
        return False
    hidden = db.execute("SELECT COUNT(*) FROM pragma_table_xinfo(?) WHERE hidden", (name,)).fetchone()
    return bool(hidden[0] == 0)
