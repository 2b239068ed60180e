"""Which prompts are being asked right now by runs that share a cache, so that no two pay for the same one.

A claim is a row in the cache's file. Its owner holds a lock file for as long as it lives, which the operating
system lets go of however the process ends; so a claim whose owner is gone is known as such at once, and taken
over.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import suppress
from pathlib import Path

TABLE = "CREATE TABLE IF NOT EXISTS claim (key BLOB PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID;"


class Claims:
    """The claims of one run.

    Args:
        db: the cache's file, open, with `TABLE` in it.
        folder: where owners have their lock files.

    Raises:
        OSError: if the folder cannot be used.
    """

    def __init__(self, db: sqlite3.Connection, folder: Path) -> None:
        from filelock import FileLock

        folder.mkdir(parents=True, exist_ok=True)
        self._db, self._folder = db, folder
        self._owner = f"{os.getpid()}-{uuid.uuid4().hex}"
        self._lock = FileLock(self._file(self._owner))
        self._lock.acquire(timeout=0)

    def take(self, key: bytes) -> bool:
        """Whether this run is now the one to ask; False while another is at it."""
        taken = self._db.execute("INSERT OR IGNORE INTO claim VALUES (?, ?)", (key, self._owner)).rowcount
        if taken:
            return True
        row = self._db.execute("SELECT owner FROM claim WHERE key = ?", (key,)).fetchone()
        if row and not self._lives(row[0]):
            self._db.execute("DELETE FROM claim WHERE owner = ?", row)
        return False

    def release(self, key: bytes) -> None:
        """Let others ask; what there is to know is in the cache."""
        self._db.execute("DELETE FROM claim WHERE key = ? AND owner = ?", (key, self._owner))

    def close(self) -> None:
        """Let go of all."""
        self._db.execute("DELETE FROM claim WHERE owner = ?", (self._owner,))
        self._lock.release()
        with suppress(OSError):  # one that is left over does no harm
            self._file(self._owner).unlink()

    def _lives(self, owner: str) -> bool:
        from filelock import FileLock, Timeout

        try:
            with FileLock(self._file(owner), timeout=0):
                pass
        except Timeout:
            return True
        with suppress(OSError):
            self._file(owner).unlink()
        return False

    def _file(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"
