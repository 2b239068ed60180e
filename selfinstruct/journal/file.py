"""The journal's file: its tables, the upgrade of an older format, and the check before it is used."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from selfinstruct.errors import DamagedJournal, RunFolderError
from selfinstruct.journal.check import FORMAT, SCHEMA, damage, format_of, schema_sum, summed, tables_of
from selfinstruct.journal.checksums import COLUMNS, KEYS, checksum, count, lenient, quoted, stage_of

MOST_NAMED = 10_000  # damaged rows that are named
HEADER = 100  # bytes at the start of an SQLite file
_TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER)",
    """CREATE TABLE IF NOT EXISTS request (
    stage TEXT, number INTEGER, prompt TEXT NOT NULL, system TEXT, sampling TEXT NOT NULL,
    examples TEXT NOT NULL, parent TEXT, variant TEXT, sends INTEGER NOT NULL DEFAULT 1, content BLOB,
    sum INTEGER, PRIMARY KEY (stage, number)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS reply (
    stage TEXT, number INTEGER, text TEXT NOT NULL, finish_reason TEXT NOT NULL, model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cost_usd REAL, seconds REAL NOT NULL,
    attempts INTEGER NOT NULL, error TEXT, taken INTEGER NOT NULL DEFAULT 0, others TEXT,
    counted INTEGER NOT NULL DEFAULT 0, sum INTEGER, PRIMARY KEY (stage, number)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY, stage TEXT NOT NULL, request INTEGER NOT NULL, position INTEGER NOT NULL,
    parent TEXT, data TEXT NOT NULL, fate TEXT NOT NULL, "check" TEXT, reason TEXT, detail TEXT NOT NULL,
    sum INTEGER) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS record_order ON record (stage, request, position)",
    """CREATE TABLE IF NOT EXISTS vector (
    key BLOB PRIMARY KEY, stage TEXT NOT NULL, vector BLOB NOT NULL, tokens INTEGER NOT NULL, cost_usd REAL,
    paid INTEGER NOT NULL, sum INTEGER)""",
    """CREATE TABLE IF NOT EXISTS prompt_cache (
    stage TEXT, number INTEGER, cached_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,
    sum INTEGER, PRIMARY KEY (stage, number)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS thinking (
    stage TEXT, number INTEGER, thought TEXT NOT NULL, others TEXT, tokens INTEGER NOT NULL, sum INTEGER,
    PRIMARY KEY (stage, number)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS turns (
    stage TEXT, number INTEGER, texts TEXT NOT NULL, sum INTEGER,
    PRIMARY KEY (stage, number)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS tally (
    name TEXT, stage TEXT, rows INTEGER NOT NULL, sums INTEGER NOT NULL, sum INTEGER,
    PRIMARY KEY (name, stage)) WITHOUT ROWID""",
)
_ADDED = {  # columns that are added to a table of an older format, in this order, if it lacks them
    "request": ("sends INTEGER NOT NULL DEFAULT 1", "content BLOB"),
    "reply": ("others TEXT", "counted INTEGER NOT NULL DEFAULT 0"),
}
# Words in SQLite's error if a file is out of reach for now; any other error means that it is damaged.
_OUT_OF_REACH = ("locked", "busy", "unable to open", "readonly", "permission", "full", "disk i/o")


def open_file(path: Path) -> sqlite3.Connection:
    """Open a journal's file; make it if it does not exist, and upgrade it if its format is older.

    Raises:
        DamagedJournal: if it is damaged.
        RunFolderError: if it cannot be opened, or is of a newer format.
    """
    if path.exists():
        with understood(path), closing(look_at(path)) as db:
            inspect(path, db)
    with understood(path):
        db = connect(path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if format_of(db) != FORMAT:
            _bring_up_to_date(db)
    return db


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the file, without any check or upgrade."""
    # A checkpoint in another thread locks the file, but only for moments.
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    db.text_factory = lenient
    return db


def look_at(path: Path, how: str = "mode=ro") -> sqlite3.Connection:
    """A read-only connection to the file.

    Args:
        path: the file.
        how: parameters of SQLite's URI.
    """
    where = f"{path.resolve().as_uri()}?{how}"
    # In a notebook, a replay opens it in one thread and reads it in another.
    db = sqlite3.connect(where, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
    db.text_factory = lenient
    return db


@contextmanager
def untouched(path: Path, busy: bool) -> Iterator[sqlite3.Connection]:
    """A connection that leaves no new file in the journal's folder.

    Args:
        path: the file.
        busy: whether another process uses it; then the files that SQLite keeps beside it exist already.
    """
    log = path.with_name(f"{path.name}-wal")
    if busy:
        with closing(look_at(path)) as db:
            yield db
    elif log.exists() and log.stat().st_size:  # a killed process left it, and reading it would change it
        with copied(path) as copy, closing(look_at(copy, "mode=rw")) as db:
            yield db
    else:
        with closing(look_at(path, "immutable=1")) as db:
            yield db


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """A temporary copy that may be changed, with the write-ahead log's contents."""
    with tempfile.TemporaryDirectory(prefix="selfinstruct-") as copies:
        for suffix in ("", "-wal"):
            file = path.with_name(path.name + suffix)
            if file.exists():
                shutil.copyfile(file, Path(copies) / file.name)
        yield Path(copies) / path.name


def inspect(path: Path, db: sqlite3.Connection) -> None:
    """Refuse a file that is damaged or of a newer format, before anything is written to it.

    Args:
        path: the file.
        db: a connection to it; the check does not see what another process writes meanwhile.
    """
    if not path.stat().st_size:  # the process was killed before it wrote anything
        return
    readable(path)
    with understood(path):
        db.execute("BEGIN")
        refuse_newer(path, db)
        wrong = list(islice(damage(db), MOST_NAMED))
    if wrong:
        raise DamagedJournal(path, wrong)


def refuse_unreadable(path: Path, db: sqlite3.Connection) -> None:
    """Refuse a file that is not a journal or is of a newer format, without reading all of it."""
    if not path.stat().st_size:
        return
    try:
        with understood(path):
            refuse_newer(path, db)
    except (DamagedJournal, RunFolderError):
        readable(path)
        raise


def readable(path: Path) -> None:
    """Refuse a file with a damaged header, for which SQLite's own error would be misleading.

    Not while this process works with the file: closing a file ends all POSIX locks of the process on it, also
    those of SQLite's connections. Then another process that ends would delete the write-ahead log under them.
    """
    with path.open("rb") as file:
        header = file.read(HEADER)
    if header and (len(header) < HEADER or not {*header[18:20]} <= {1, 2}):  # SQLite would call it read-only
        raise DamagedJournal(path, ["its first bytes are not those of an SQLite file that can be written"])


def refuse_newer(path: Path, db: sqlite3.Connection) -> None:
    """Refuse a journal of a newer format."""
    found = format_of(db)
    if found and found > FORMAT:
        raise RunFolderError(
            f"{path}: is a journal of format {found}, but this version reads formats up to {FORMAT}; "
            "use the version of selfinstruct that wrote it. Nothing was changed"
        )


def _bring_up_to_date(db: sqlite3.Connection) -> None:
    """Make the tables, or add to those of an older format what they lack, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        new = not summed(tables_of(db))
        for statement in _TABLES:
            db.execute(statement)
        if new:
            for table in COLUMNS:
                _complete(db, table)
        else:  # the tables and their rows have not changed since; some tables are new
            _note_format(db)
        entry = (SCHEMA, "", 1, schema_sum(db))
        db.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?)", (*entry, checksum("tally", entry)))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _note_format(db: sqlite3.Connection) -> None:
    """Replace the note of the format in a journal with checksums."""
    row = ("format", str(FORMAT))
    (old,) = db.execute("SELECT sum FROM meta WHERE key = 'format'").fetchone()
    new = checksum("meta", row)
    db.execute("UPDATE meta SET value = ?, sum = ? WHERE key = ?", (row[1], new, row[0]))
    count(db, "meta", "", 0, old ^ new)


def _complete(db: sqlite3.Connection, table: str) -> None:
    """Add the missing columns to a table, and the checksums to its rows."""
    there = tables_of(db)[table]
    for column in (*_ADDED.get(table, ()), "sum INTEGER"):
        if column.split()[0] not in there:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    if table == "meta":
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('format', ?)", (str(FORMAT),))
    keys = COLUMNS[table][: KEYS[table]]
    this = " AND ".join(f"{name} = ?" for name in keys)
    tallied: dict[str, tuple[int, int]] = {}
    for key in db.execute(f"SELECT {quoted(keys)} FROM {table}").fetchall():
        row = db.execute(f"SELECT {quoted(COLUMNS[table])} FROM {table} WHERE {this}", key).fetchone()
        sum_, stage = checksum(table, row), stage_of(table, row)
        db.execute(f"UPDATE {table} SET sum = ? WHERE {this}", (sum_, *key))
        rows, sums = tallied.get(stage, (0, 0))
        tallied[stage] = rows + 1, sums ^ sum_
    for stage, (rows, sums) in tallied.items():
        count(db, table, stage, rows, sums)


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as our own errors."""
    try:
        yield
    except sqlite3.Error as error:
        if any(words in str(error).lower() for words in _OUT_OF_REACH):
            raise RunFolderError(f"{path}: cannot be used as a journal: {error}") from error
        raise DamagedJournal(path, [str(error)]) from error
