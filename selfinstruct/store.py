"""The journal: one SQLite file a run that holds every request, reply, candidate and fate.

A reply is stored the moment it arrives; the candidates read from it and their fates are stored in one
transaction when its turn comes. So whatever ends a process, starting again goes on from here, and the files a
user reads are all written from here. The file is in WAL mode: it can be read while a run writes it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.errors import RunFolderError
from selfinstruct.records import ACCEPTED, REJECTED, WAITING, Record, Reply, Request

FORMAT = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS request (
    stage TEXT, number INTEGER, prompt TEXT NOT NULL, system TEXT, sampling TEXT NOT NULL,
    examples TEXT NOT NULL, parent TEXT, variant TEXT, PRIMARY KEY (stage, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reply (
    stage TEXT, number INTEGER, text TEXT NOT NULL, finish_reason TEXT NOT NULL, model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cost_usd REAL, seconds REAL NOT NULL,
    attempts INTEGER NOT NULL, error TEXT, taken INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stage, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY, stage TEXT NOT NULL, request INTEGER NOT NULL, position INTEGER NOT NULL,
    parent TEXT, data TEXT NOT NULL, fate TEXT NOT NULL, "check" TEXT, reason TEXT, detail TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_order ON record (stage, request, position);
"""


@dataclass
class StageStats:
    """What a stage has done, as `summary.json` has it."""

    requests: int = 0
    replies: int = 0
    candidates: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0


class Journal:
    """The journal of one run.

    Args:
        path: the SQLite file; made where it does not exist.

    Raises:
        RunFolderError: if it cannot be opened, is damaged, or is of a newer format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            raise RunFolderError(f"{path}: cannot be used as a journal: {error}") from error
        found = self.meta("format", FORMAT)
        if found != FORMAT:
            raise RunFolderError(
                f"{path}: is a journal of format {found}, this version reads {FORMAT}; "
                "use the version of selfinstruct that wrote it"
            )
        if self.meta("format") is None:
            self.set_meta("format", FORMAT)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def meta(self, key: str, default: Any = None) -> Any:
        """A fact about the run."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else default

    def set_meta(self, key: str, value: Any) -> None:
        """Store a fact about the run."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, _json(value)))

    def sent(self, request: Request) -> None:
        """Store a request as it is sent; one sent again after a kill takes the place of the first."""
        self._db.execute(
            "INSERT OR REPLACE INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                request.stage,
                request.number,
                storable(request.prompt),
                storable(request.system),
                _json(request.sampling),
                _json(request.examples),
                request.parent,
                request.variant,
            ),
        )

    def arrived(self, request: Request, reply: Reply) -> None:
        """Store a reply the moment it arrives."""
        values = asdict(reply)
        columns = ", ".join(["stage", "number", *values])
        marks = ", ".join("?" * (len(values) + 2))
        self._db.execute(
            f"INSERT OR REPLACE INTO reply ({columns}) VALUES ({marks})",
            (request.stage, request.number, *map(storable, values.values())),
        )

    def has_replies(self) -> bool:
        """Whether anything was received in this run."""
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM reply)").fetchone()[0])

    def forget_requests(self) -> None:
        """Forget what was sent and never answered."""
        self._db.execute("DELETE FROM request")

    def reply(self, stage: str, number: int) -> Reply | None:
        """The stored reply to a request, None where none has arrived."""
        names = (
            "text, finish_reason, model, prompt_tokens, completion_tokens, cost_usd, seconds, attempts, error"
        )
        row = self._db.execute(
            f"SELECT {names} FROM reply WHERE stage = ? AND number = ?", (stage, number)
        ).fetchone()
        return Reply(*row) if row else None

    def take(self, stage: str, number: int, records: Iterable[Record]) -> None:
        """Store the candidates of a reply with their fates, in one transaction.

        The reply counts as taken in once none of them is waiting.
        """
        records = list(records)
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, records)
            )
            if all(record.fate != WAITING for record in records):
                self._db.execute("UPDATE reply SET taken = 1 WHERE stage = ? AND number = ?", (stage, number))

    def taken(self, stage: str) -> set[int]:
        """The numbers of the replies taken in."""
        rows = self._db.execute("SELECT number FROM reply WHERE stage = ? AND taken", (stage,))
        return {number for (number,) in rows}

    def records(self, stage: str, fate: str | None = None, request: int | None = None) -> Iterator[Record]:
        """The records of a stage, in order: all, those of one fate, or those of one request."""
        query = "SELECT * FROM record WHERE stage = ?"
        values: list[Any] = [stage]
        for column, value in (("fate", fate), ("request", request)):
            if value is not None:
                query += f" AND {column} = ?"
                values.append(value)
        for row in self._db.execute(query + " ORDER BY request, position", values):
            id, stage, number, position, parent, data, fate_, check, reason, detail = row
            yield Record(
                id,
                stage,
                number,
                position,
                json.loads(data),
                parent,
                fate_,
                check,
                reason,
                json.loads(detail),
            )

    def rejected(self) -> Iterator[Record]:
        """All rejected records, in the order of the stages' first requests."""
        stages = [row[0] for row in self._db.execute("SELECT DISTINCT stage FROM record")]
        for stage in stages:
            yield from self.records(stage, REJECTED)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add to the time that a stage has taken."""
        self.set_meta(f"seconds/{stage}", self.meta(f"seconds/{stage}", 0.0) + seconds)

    def stats(self, stage: str) -> StageStats:
        """What a stage has done so far."""
        one = self._db.execute
        requests = one("SELECT COUNT(*) FROM request WHERE stage = ?", (stage,)).fetchone()[0]
        replies, tokens, cost = one(
            "SELECT COUNT(*), COALESCE(SUM(prompt_tokens + completion_tokens), 0), SUM(cost_usd)"
            " FROM reply WHERE stage = ?",
            (stage,),
        ).fetchone()
        rejected = dict(
            one(
                'SELECT "check", COUNT(*) FROM record WHERE stage = ? AND fate = ?'
                " GROUP BY 1 ORDER BY 2 DESC, 1",
                (stage, REJECTED),
            ).fetchall()
        )
        accepted = one(
            "SELECT COUNT(*) FROM record WHERE stage = ? AND fate = ?", (stage, ACCEPTED)
        ).fetchone()[0]
        candidates = accepted + sum(rejected.values())
        seconds = round(self.meta(f"seconds/{stage}", 0.0), 3)
        return StageStats(requests, replies, candidates, accepted, rejected, tokens, cost, seconds)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _row(record: Record) -> tuple[Any, ...]:
    return (
        record.id,
        record.stage,
        record.request,
        record.position,
        record.parent,
        _json(record.data),
        record.fate,
        record.check,
        record.reason,
        _json(record.detail),
    )


def _json(value: Any) -> str:
    return json.dumps(value)


def storable(value: Any) -> Any:
    """SQLite stores UTF-8: an unpaired surrogate, which a broken reply may hold, becomes a mark."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value
