"""The journal's file: its tables, how an older one is brought up to date, and whether it can be trusted."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from selfinstruct.errors import DamagedJournal, RunFolderError

FORMAT = 3

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS request (
    stage TEXT, number INTEGER, prompt TEXT NOT NULL, system TEXT, sampling TEXT NOT NULL,
    examples TEXT NOT NULL, parent TEXT, variant TEXT, sends INTEGER NOT NULL DEFAULT 1, content BLOB,
    PRIMARY KEY (stage, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reply (
    stage TEXT, number INTEGER, text TEXT NOT NULL, finish_reason TEXT NOT NULL, model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cost_usd REAL, seconds REAL NOT NULL,
    attempts INTEGER NOT NULL, error TEXT, taken INTEGER NOT NULL DEFAULT 0, others TEXT,
    counted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stage, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY, stage TEXT NOT NULL, request INTEGER NOT NULL, position INTEGER NOT NULL,
    parent TEXT, data TEXT NOT NULL, fate TEXT NOT NULL, "check" TEXT, reason TEXT, detail TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_order ON record (stage, request, position);
CREATE TABLE IF NOT EXISTS vector (
    key BLOB PRIMARY KEY, stage TEXT NOT NULL, vector BLOB NOT NULL, tokens INTEGER NOT NULL, cost_usd REAL,
    paid INTEGER NOT NULL);
"""
_UPGRADES = {  # by the format that needs them
    1: """
ALTER TABLE request ADD COLUMN sends INTEGER NOT NULL DEFAULT 1;
ALTER TABLE request ADD COLUMN content BLOB;
ALTER TABLE reply ADD COLUMN others TEXT;
""",
    2: "ALTER TABLE reply ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;",
}


def open_file(path: Path) -> sqlite3.Connection:
    """Open a journal's file, made where it does not exist and brought up to date where it is older.

    Raises:
        DamagedJournal: if it is damaged.
        RunFolderError: if it cannot be opened, or is of a newer format.
    """
    if path.exists() and path.stat().st_size:
        _inspect(path)
    try:
        db = connect(path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        _upgrade(db)
    except sqlite3.Error as error:
        raise RunFolderError(f"{path}: cannot be used as a journal: {error}") from error
    return db


def _upgrade(db: sqlite3.Connection) -> None:
    """Make the tables, or give those of an older format what they lack."""
    db.executescript("BEGIN;" + _TABLES + "COMMIT;")
    row = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    found = json.loads(row[0]) if row else None
    for older in range(found or FORMAT, FORMAT):
        db.executescript("BEGIN;" + _UPGRADES[older] + "COMMIT;")
    if found != FORMAT:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('format', ?)", (json.dumps(FORMAT),))


def connect(path: Path) -> sqlite3.Connection:
    """A connection to it, as it is."""
    # A checkpoint beside the run holds the file for moments only.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)


def _inspect(path: Path) -> None:
    """Refuse a file that is damaged or of a newer format, before anything is written to it."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            wrong = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            row = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):  # killed before the first table was there
            return
        if isinstance(error, sqlite3.OperationalError):  # locked, not readable
            raise RunFolderError(f"{path}: cannot be used as a journal: {error}") from error
        raise DamagedJournal(path, str(error)) from error
    if wrong != "ok":
        raise DamagedJournal(path, " ".join(wrong.split()))
    found = json.loads(row[0]) if row else FORMAT
    if found > FORMAT:
        raise RunFolderError(
            f"{path}: is a journal of format {found}, this version reads up to {FORMAT}; "
            "use the version of selfinstruct that wrote it. Nothing was changed"
        )
