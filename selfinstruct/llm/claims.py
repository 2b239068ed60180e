"""Claims on prompts: they keep two runs that share a cache from paying for the same prompt at the same time.

A claim is a row in the cache's file. Its owner holds a lock file as long as it runs, and the operating system
releases the lock however the process ends. So a claim without a living owner is recognized at once, and taken
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
        db: the cache's open file, with `TABLE` in it.
        folder: the folder for the owners' lock files.

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
        """Claim a prompt; False if another run is asking it."""
        taken = self._db.execute("INSERT OR IGNORE INTO claim VALUES (?, ?)", (key, self._owner)).rowcount
        if taken:
            return True
        row = self._db.execute("SELECT owner FROM claim WHERE key = ?", (key,)).fetchone()
        if row and not self._lives(row[0]):
            self._db.execute("DELETE FROM claim WHERE owner = ?", row)
        return False

    def release(self, key: bytes) -> None:
        """Release a claim; the cache has the reply, if there is one."""
        self._db.execute("DELETE FROM claim WHERE key = ? AND owner = ?", (key, self._owner))

    def close(self) -> None:
        """Release all claims."""
        self._db.execute("DELETE FROM claim WHERE owner = ?", (self._owner,))
        self._lock.release()
        with suppress(OSError):  # a leftover file does no harm
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
