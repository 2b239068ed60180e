"""Replies that all runs share, so that no prompt is paid for twice.

One SQLite file in the user's cache folder, which many processes may use at once. The key of a reply has all
that affects it (the model, the texts, the sampling) and how often the run asked the same before. So a prompt
asked three times has three replies, and the second run gets the same three. Vectors of texts are stored
beside them; their key has the model and the text. Failures are never stored.

Each reply has a checksum; a reply that no longer matches it counts as missing. If SQLite finds the file
damaged, the file is set aside and a new one takes its place. After any other fault a run continues without
the cache. The user gets one message about each of these.
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
LONGEST_FRESH = 4_000_000  # characters after which they are written
CHECK_EVERY = 200  # replies between two checks of the size
SHARE_DROPPED = 10  # a tenth is dropped at a time if the file is too large
MAGIC = b"SQLite format 3\0"
KEPT = ("stop", "length")  # other finish reasons are failures, or may turn out to be

_TABLE = """
CREATE TABLE IF NOT EXISTS reply (
    key BLOB PRIMARY KEY, reply TEXT NOT NULL, used REAL NOT NULL, sum INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reply_used ON reply (used);
"""


def key_of(model: str, request: Request) -> bytes:
    """The key of a reply.

    Args:
        model: everything about the model that affects its replies.
        request: the request, and how often the same was asked before.
    """
    asked = f"{model}\n{request.nth}\n".encode() + request.content
    return hashlib.blake2b(asked, digest_size=16).digest()


class Cache:
    """The shared replies; without a file it finds nothing and stores nothing.

    Args:
        config: its file, and its largest size; None for no cache.
        project: the folder in which a relative path is resolved.
        say: called with a message, once, if the cache cannot be used.
    """

    def __init__(self, config: CacheConfig | None, project: Path, say: Callable[[str], None]) -> None:
        self._db: sqlite3.Connection | None = None
        self._say, self._put_since = say, 0
        self._spoiled = self._set_aside = False  # whether the message was given, and the file set aside
        self._claims: Claims | None = None
        self._fresh: dict[bytes, str | bytes] = {}  # not written yet
        self._length = 0  # their characters
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
        """Whether there is a cache."""
        return self._db is not None

    def get(self, key: bytes) -> Reply | None:
        """The reply with this key; None if there is none."""
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
        ):  # from an earlier version, without a checksum
            self._tell_of_spoiled()
            return None

    def claim(self, key: bytes) -> bool:
        """Whether to request this reply; False while another run does, if runs wait for each other."""
        if self._claims is None:
            return True
        try:
            return self._claims.take(key)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return True

    def release(self, key: bytes) -> None:
        """Let other runs request a reply that was claimed: it has arrived, or will not."""
        if self._claims is None or self._db is None:
            return
        try:
            if self._fresh:
                self._write(self._db)
            self._claims.release(key)
        except sqlite3.Error as error:
            self._give_up(error)

    def put(self, key: bytes, reply: Reply) -> None:
        """Store a reply, unless it is a failure."""
        nothing = not (reply.text.strip() or reply.thought)
        if self._db is None or reply.error or reply.finish_reason not in KEPT or nothing:
            return
        try:
            values = {name: getattr(reply, name) for name in _FIELDS}
            values |= {name: value for name in _OF_THOUGHT if (value := getattr(reply, name))}
            self._keep(self._db, key, blotted(json.dumps(values)))
        except sqlite3.Error as error:
            self._give_up(error)

    def vectors(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The stored vectors, by key, of these keys."""
        if self._db is None:
            return {}
        try:
            found = {key: self._fresh.get(key) or self._read(self._db, key) for key in keys}
        except sqlite3.Error as error:
            self._give_up(error)
            return {}
        return {key: vector for key, vector in found.items() if isinstance(vector, bytes)}

    def put_vector(self, key: bytes, vector: bytes) -> None:
        """Store a vector, unless it is empty."""
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
        self._length += len(content)
        late = time.monotonic() - self._written > WRITE_EVERY
        if late or len(self._fresh) >= MOST_FRESH or self._length > LONGEST_FRESH:
            self._write(db)

    def _read(self, db: sqlite3.Connection, key: bytes) -> str | bytes | None:
        row = db.execute("SELECT reply, used, sum FROM reply WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        content: str | bytes = row[0]
        used: float = row[1]
        odd = isinstance(content, str) and not content.isascii()  # our JSON is ASCII
        if odd or row[2] not in (None, checksum("reply", (key, content))):
            self._tell_of_spoiled()
            return None
        if time.time() - used > DAY:  # not at each use, which would write as often as it reads
            db.execute("UPDATE reply SET used = ? WHERE key = ?", (time.time(), key))
        return content

    def _write(self, db: sqlite3.Connection) -> None:
        """Write the new replies together; a kill loses them here, but the run's journal has them."""
        db.execute("BEGIN IMMEDIATE")
        rows = [(key, content, time.time()) for key, content in self._fresh.items()]
        summed = ((*row, checksum("reply", row[:2])) for row in rows)
        db.executemany("INSERT OR REPLACE INTO reply VALUES (?, ?, ?, ?)", summed)
        db.execute("COMMIT")
        self._fresh.clear()
        self._length = 0
        self._written = time.monotonic()
        self._put_since += len(rows)
        if self._put_since >= CHECK_EVERY:
            self._put_since = 0
            self._shrink(db)

    def _shrink(self, db: sqlite3.Connection) -> None:
        """Drop the replies unused for longest while the file is too large; their space is reused."""
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
        for wrong in strange(db, ("reply", "claim"), more=True):  # it does as much damage as a broken page
            raise sqlite3.DatabaseError(wrong)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLE + CLAIMS_TABLE)
        db.execute("BEGIN IMMEDIATE")  # another run may do the same now
        if "sum" not in [row[1] for row in db.execute("PRAGMA table_info(reply)")]:  # from an earlier version
            db.execute("ALTER TABLE reply ADD COLUMN sum INTEGER")
        db.execute("COMMIT")
        if self._wait:
            self._claims = Claims(db, self._path.with_name(f"{self._path.name}.claims"))

    def _tell_of_spoiled(self) -> None:
        if not self._spoiled:
            self._spoiled = True
            self._say("a reply in the cache is damaged, so its prompt is sent again")

    def _is_ours(self) -> bool:
        """Whether the file is a cache, and not another file that the user named by mistake."""
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
            self._say(f"the cache of replies is damaged ({error}); it is kept as {aside}; a new one begins")
        self._open()

    def _give_up(self, error: Exception) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = self._claims = None
        damaged = type(error) is sqlite3.DatabaseError  # its subclasses: locks, full disks and the like
        if damaged and not self._set_aside and self._is_ours():
            try:
                self._begin_anew(error)
                return
            except (sqlite3.Error, OSError) as another:
                self._db, error = None, another
        self._say(
            f"the cache of replies cannot be used ({error}); this run continues without it. "
            f"Delete it ({self._path}), choose another by cache.path, or set cache=off"
        )


def _reply(values: dict[str, Any]) -> Reply:
    others = tuple((said, why) for said, why in values.pop("others", ()))
    thoughts = tuple(values.pop("other_thoughts", ()))
    return Reply(**values, others=others, other_thoughts=thoughts, attempts=0)


_FIELDS = ("text", "finish_reason", "model", "prompt_tokens", "completion_tokens", "cost_usd", "others")
_OF_THOUGHT = ("thought", "other_thoughts", "thinking_tokens")  # an earlier version's replies lack them


def _on_local_disk(path: Path, say: Callable[[str], None]) -> Path:
    """The path, or one on this machine if it is on a network file system."""
    kind = network_file_system(path)
    if not kind:
        return path
    local = local_folder() / path.name
    say(f"the cache of replies is {local} on this machine, because {path} is on {kind}")
    return local


def _default() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("selfinstruct", appauthor=False) / "replies.sqlite"
