"""Look something up by a key that the journal has no index of, such as the labels of a record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from selfinstruct.errors import RunFolderError


class Lookup:
    """Texts by a key; they are in a temporary file, since a large run has too many for the memory.

    Args:
        pairs: each key and text; a key may have several texts.

    Raises:
        RunFolderError: if the temporary file cannot be written.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a file that SQLite itself deletes
        with _writable():
            self._db.execute("CREATE TABLE pair (key TEXT, text TEXT)")
            self._db.execute("BEGIN")
        for pair in pairs:  # not within `_writable`: reading a journal has errors of its own
            with _writable():
                self._db.execute("INSERT INTO pair VALUES (?, ?)", pair)
        with _writable():
            self._db.execute("CREATE INDEX by_key ON pair (key)")
            self._db.execute("COMMIT")

    def texts(self, key: str) -> list[str]:
        """The texts with this key, in the order in which they were given."""
        with _writable():
            rows = self._db.execute("SELECT text FROM pair WHERE key = ? ORDER BY rowid", (key,))
            return [text for (text,) in rows]


@contextmanager
def _writable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise RunFolderError(
            f"a temporary file cannot be written: {error}; set TMPDIR to a folder with more room"
        ) from error
