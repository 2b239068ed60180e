"""Facts that another process writes into the journal of a run, also while the run works.

A review does so. SQLite lets one process write at a time, and the others wait; so each change is one short
transaction, which reads, decides and writes, together with the counts and checksums of the rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfinstruct.errors import DamagedJournal, RunFolderError
from selfinstruct.journal.check import READABLE, format_of
from selfinstruct.journal.checksums import Rows
from selfinstruct.journal.file import connect, inspect, understood
from selfinstruct.journal.repair import OTHER, offer
from selfinstruct.journal.store import Journal
from selfinstruct.safety.blot import blotted


class Facts:
    """The facts of a journal, to read and to write; made by `open_facts`.

    Args:
        path: the SQLite file.
        db: a connection that may write to it.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        self._rows = Rows(db, path)
        self._file = _identity(path)
        self.journal = Journal(path, db)  # to read from, with everything stored so far

    @contextmanager
    def changing(self) -> Iterator[None]:
        """A transaction: no other process writes meanwhile, and what is put is stored at its end, or nothing.

        Raises:
            RunFolderError: if the file is not the run's journal any more, or cannot be written.
        """
        with _writable(self._path):
            self._rows.begin()
            try:
                if _identity(self._path) != self._file:  # set aside or repaired: nobody would find the fact
                    raise RunFolderError(
                        f"{self._path} was replaced since it was opened (by fresh=true, repair=true or a "
                        "copy), so nothing more is stored in it; start again"
                    )
                yield
                self._rows.commit()
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def put(self, key: str, value: Any) -> None:
        """Store a fact; within `changing`."""
        self._rows.put("meta", (key, blotted(json.dumps(value))))


@contextmanager
def open_facts(path: Path) -> Iterator[Facts]:
    """Open the journal of a run to write facts into it; all of it is checked first.

    Raises:
        DamagedJournal: if it is damaged; the message says how to go on.
        RunFolderError: if it is of another format, or cannot be written.
    """
    with _writable(path):
        db = connect(path)
    try:
        try:
            inspect(path, db)
            if db.in_transaction:
                db.execute("COMMIT")
        except DamagedJournal as error:
            raise offer(error, OTHER) from error
        with _writable(path):
            if format_of(db) not in READABLE:
                raise RunFolderError(
                    f"{path} was written by an earlier version; run its own command once more, which brings "
                    "it up to date"
                )
            db.execute("PRAGMA synchronous = FULL")  # an answer is there after a power cut too
        yield Facts(path, db)
    finally:
        db.close()


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        with understood(path):
            yield
    except OSError as error:
        raise RunFolderError(f"{path} cannot be written: {error.strerror or error}") from error


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
