"""Replies that all runs share, so that no prompt is paid for twice.

One SQLite file in the user's cache folder, which many processes may use at once. A reply is found by all
that shapes it (the model, the texts, the sampling) and by how often the same was asked before in the same
run, so that a prompt asked three times has three replies, and the second run gets the same three. The vector
of a text is kept beside them, found by the model and the text. What failed is never kept.

Each reply has a checksum; one that is not as it was written counts as not there. A file that SQLite finds
damaged is set aside, and a new one takes its place. Whatever else is wrong with it, a run goes on without it.
Each of these is said once.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from selfinstruct.config import CacheConfig
from selfinstruct.journal.checksums import checksum, lenient
from selfinstruct.journal.plain_tables import strange
from selfinstruct.llm.claims import TABLE as CLAIMS_TABLE
from selfinstruct.llm.claims import Claims
from selfinstruct.project.disks import local_folder, network_file_system
from selfinstruct.project.layout import path_below
from selfinstruct.records import Reply, Request
from selfinstruct.safety.blot import blotted

GB = 1_000_000_000
DAY = 86_400.0
MOST_FRESH, WRITE_EVERY = 64, 1.0  # replies, and seconds, after which they are written
CHECK_EVERY = 200  # replies between two looks at the size
SHARE_DROPPED = 10  # a tenth goes at a time when it is too large
MAGIC = b"SQLite format 3\0"
KEPT = ("stop", "length")  # other reasons to end are failures, or may be some other day

_TABLE = """
CREATE TABLE IF NOT EXISTS reply (
    key BLOB PRIMARY KEY, reply TEXT NOT NULL, used REAL NOT NULL, sum INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reply_used ON reply (used);
"""


def key_of(model: str, request: Request) -> bytes:
    """The key of a reply.

    Args:
        model: all about the model that shapes its replies.
        request: what is asked, and how often it was asked before.
    """
    asked = f"{model}\n{request.nth}\n".encode() + request.content
    return hashlib.blake2b(asked, digest_size=16).digest()


class Cache:
    """The shared replies; with no file behind it, it knows nothing and keeps nothing.

    Args:
        config: where it is, and how large it may be; None for none.
        project: the folder from which a path is looked up.
        say: told once, in words, if it cannot be used.
    """

    def __init__(self, config: CacheConfig | None, project: Path, say: Callable[[str], None]) -> None:
        self._db: sqlite3.Connection | None = None
        self._say, self._put_since = say, 0
        self._spoiled = self._set_aside = False  # whether that was said, and done
        self._claims: Claims | None = None
        self._fresh: dict[bytes, str | bytes] = {}  # not written yet
        self._written = time.monotonic()
        if config is None:
            return
        self._most = config.max_gb * GB
        self._path = path_below(project, config.path) if config.path else _default()
        self._wait, self._named = config.wait, config.path is not None
        try:
            self._path = _on_local_disk(self._path, say)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    @property
    def on(self) -> bool:
        """Whether there is one."""
        return self._db is not None

    def get(self, key: bytes) -> Reply | None:
        """The reply of this key; None where there is none."""
        if self._db is None:
            return None
        try:
            content = self._fresh.get(key) or self._read(self._db, key)
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        try:
            return _reply(json.loads(content)) if content else None
        except (
            ValueError,
            TypeError,
            AttributeError,
        ):  # of an earlier version, without checksum
            self._tell_of_spoiled()
            return None

    def claim(self, key: bytes) -> bool:
        """Whether to ask for this reply; False while another run does, if others are waited for."""
        if self._claims is None:
            return True
        try:
            return self._claims.take(key)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return True

    def release(self, key: bytes) -> None:
        """Let others ask for a reply that was claimed and has come, or will not."""
        if self._claims is None or self._db is None:
            return
        try:
            if self._fresh:
                self._write(self._db)
            self._claims.release(key)
        except sqlite3.Error as error:
            self._give_up(error)

    def put(self, key: bytes, reply: Reply) -> None:
        """Keep a reply, unless it is a failure."""
        if self._db is None or reply.error or reply.finish_reason not in KEPT or not reply.text.strip():
            return
        try:
            values = {name: getattr(reply, name) for name in _FIELDS}
            self._keep(self._db, key, blotted(json.dumps(values)))
        except sqlite3.Error as error:
            self._give_up(error)

    def vectors(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The vectors of these keys, of those there are."""
        if self._db is None:
            return {}
        try:
            found = {key: self._fresh.get(key) or self._read(self._db, key) for key in keys}
        except sqlite3.Error as error:
            self._give_up(error)
            return {}
        return {key: vector for key, vector in found.items() if isinstance(vector, bytes)}

    def put_vector(self, key: bytes, vector: bytes) -> None:
        """Keep a vector, unless it is none."""
        if self._db is None or not vector:
            return
        try:
            self._keep(self._db, key, vector)
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        if self._db is None:
            return
        try:
            self._write(self._db)
            if self._claims:
                self._claims.close()
            self._db.close()
            self._db = self._claims = None
        except sqlite3.Error as error:
            self._give_up(error)

    def _keep(self, db: sqlite3.Connection, key: bytes, content: str | bytes) -> None:
        self._fresh[key] = content
        if len(self._fresh) >= MOST_FRESH or time.monotonic() - self._written > WRITE_EVERY:
            self._write(db)

    def _read(self, db: sqlite3.Connection, key: bytes) -> str | bytes | None:
        row = db.execute("SELECT reply, used, sum FROM reply WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        content: str | bytes = row[0]
        used: float = row[1]
        odd = isinstance(content, str) and not content.isascii()  # JSON as we write it
        if odd or row[2] not in (None, checksum("reply", (key, content))):
            self._tell_of_spoiled()
            return None
        if time.time() - used > DAY:  # not at each use, which would write as often as it reads
            db.execute("UPDATE reply SET used = ? WHERE key = ?", (time.time(), key))
        return content

    def _write(self, db: sqlite3.Connection) -> None:
        """Write what is new, many at once; a kill loses it, but not for the run, whose journal has it."""
        db.execute("BEGIN IMMEDIATE")
        rows = [(key, content, time.time()) for key, content in self._fresh.items()]
        summed = ((*row, checksum("reply", row[:2])) for row in rows)
        db.executemany("INSERT OR REPLACE INTO reply VALUES (?, ?, ?, ?)", summed)
        db.execute("COMMIT")
        self._fresh.clear()
        self._written = time.monotonic()
        self._put_since += len(rows)
        if self._put_since >= CHECK_EVERY:
            self._put_since = 0
            self._shrink(db)

    def _shrink(self, db: sqlite3.Connection) -> None:
        """Drop the replies used longest ago while the file is too large; their room is used again."""
        names = ("page_count", "freelist_count", "page_size")
        while True:
            pages, free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
            if (pages - free) * size <= self._most:
                return
            dropped = db.execute(
                "DELETE FROM reply WHERE key IN (SELECT key FROM reply ORDER BY used LIMIT"
                " (SELECT COUNT(*) / ? + 1 FROM reply))",
                (SHARE_DROPPED,),
            )
            if not dropped.rowcount:
                return

    def _open(self) -> None:
        self._db = db = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        self._file = self._path.stat().st_ino
        db.text_factory = lenient
        for wrong in strange(db, ("reply", "claim"), more=True):  # which damages it as much as a broken page
            raise sqlite3.DatabaseError(wrong)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLE + CLAIMS_TABLE)
        db.execute("BEGIN IMMEDIATE")  # another run may be about to do the same
        if "sum" not in [row[1] for row in db.execute("PRAGMA table_info(reply)")]:  # of an earlier version
            db.execute("ALTER TABLE reply ADD COLUMN sum INTEGER")
        db.execute("COMMIT")
        if self._wait:
            self._claims = Claims(db, self._path.with_name(f"{self._path.name}.claims"))

    def _tell_of_spoiled(self) -> None:
        if not self._spoiled:
            self._spoiled = True
            self._say("what the cache has for a prompt is damaged, and is asked again")

    def _is_ours(self) -> bool:
        """Whether the file is a cache, and not something else that somebody took for one."""
        with suppress(OSError), self._path.open("rb") as file:
            return not self._named or file.read(len(MAGIC)) == MAGIC
        return False

    def _begin_anew(self, error: Exception) -> None:
        """Set a damaged file aside, unless another run has done so, and open a new one."""
        self._set_aside = True
        if self._path.exists() and self._path.stat().st_ino == self._file:
            number = 1
            while (aside := self._path.with_name(f"{self._path.stem}.damaged-{number}.sqlite")).exists():
                number += 1
            for suffix in ("-wal", "-shm", ""):
                part = self._path.with_name(self._path.name + suffix)
                if part.exists():
                    part.replace(aside.with_name(aside.name + suffix))
            self._say(f"the cache of replies is damaged ({error}); a new one begins; it is kept as {aside}")
        self._open()

    def _give_up(self, error: Exception) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = self._claims = None
        damaged = type(error) is sqlite3.DatabaseError  # its kinds are locks, full disks and the like
        if damaged and not self._set_aside and self._is_ours():
            try:
                self._begin_anew(error)
                return
            except (sqlite3.Error, OSError) as another:
                self._db, error = None, another
        self._say(
            f"the cache of replies cannot be used ({error}); this run goes on without it. "
            f"Delete it ({self._path}), choose another by cache.path, or set cache=off"
        )


def _reply(values: dict[str, Any]) -> Reply:
    others = tuple((said, why) for said, why in values.pop("others", ()))
    return Reply(**values, others=others, attempts=0)


_FIELDS = ("text", "finish_reason", "model", "prompt_tokens", "completion_tokens", "cost_usd", "others")


def _on_local_disk(path: Path, say: Callable[[str], None]) -> Path:
    """The path, or one on this machine where it is on a network file system."""
    kind = network_file_system(path)
    if not kind:
        return path
    local = local_folder() / path.name
    say(f"the cache of replies is at {local} on this machine, since {path} is on {kind}")
    return local


def _default() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("selfinstruct", appauthor=False) / "replies.sqlite"
