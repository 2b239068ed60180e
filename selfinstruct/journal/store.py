"""The journal: one SQLite file a run that holds every request, reply, candidate and fate.

A reply is stored the moment it arrives; the candidates read from it and their fates are stored in one
transaction when its turn comes. So whatever ends a process, starting again goes on from here, and the files a
user reads are all written from here. The file is in WAL mode: it can be read while a run writes it, and what
was stored survives the end of the process at once and a power cut from the next `checkpoint` on.

All that is written in one turn of the event loop shares one commit, which costs more than the writing itself:
whoever writes awaits `settled` before anything is done that rests on it.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from selfinstruct.journal.checksums import COLUMNS, Rows, Values
from selfinstruct.journal.file import connect, open_file
from selfinstruct.journal.stage_stats import (
    PAID,
    Particulars,
    StageStats,
    fates_of,
    particulars_of,
    read_from,
    stats_of,
)
from selfinstruct.records import (
    WAITING,
    Record,
    Reply,
    Request,
    Spent,
    StoredVector,
    storable,
)
from selfinstruct.safety.blot import blotted

FINISHED = "finished"  # the meta key of whether the run came to its end
GAVE_UP = "gave_up"  # of the stage that stopped early, since its replies came to nothing, and why
SUMMED_UP = "summary"  # the digests of the summary that was written last, and of the events up to then
SETTINGS = "settings"  # the digests of what is in .hydra/, by name; two where a start ended while it wrote
REPLAYED = "replay"  # and of what a replay has to say of itself

_REPLY = COLUMNS["reply"][2:]
_HERE = "stage = ? AND number = ?"


class Journal:
    """The journal of one run.

    Args:
        path: the SQLite file; made where it does not exist.
        db: it, open and found whole, where it is only to be read.

    Raises:
        DamagedJournal: if it is damaged; each row is looked at now, and again whenever it is read.
        RunFolderError: if it cannot be opened, or is of a newer format.
    """

    def __init__(self, path: Path, db: sqlite3.Connection | None = None) -> None:
        self.path = path
        self._db = db or open_file(path)
        self._rows = Rows(self._db, path)

    def close(self) -> None:
        """Close the file."""
        self.commit()
        self._db.close()

    async def settled(self) -> None:
        """Wait until all that was written is stored."""
        await asyncio.sleep(0)  # the others whose turn it is now write too
        self.commit()

    def commit(self) -> None:
        """Store all that was written, now."""
        self._rows.commit()

    def checkpoint(self) -> None:
        """Make all that is stored safe from a power cut; may be called from another thread.

        Done every few seconds beside the run, since to wait for the disk at each reply would take longer
        than all the rest.
        """
        with closing(connect(self.path)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def meta(self, key: str, default: Any = None) -> Any:
        """A fact about the run."""
        row = next(self._rows.read("meta", "key = ?", (key,)), None)
        return json.loads(blotted(str(row[1]))) if row else default

    def set_meta(self, key: str, value: Any) -> None:
        """Store a fact about the run."""
        self._rows.begin()
        self._rows.put("meta", (key, _json(value)))
        self.commit()

    def sent(self, requests: Iterable[Request], sends: int = 1) -> None:
        """Store requests as they are sent; one sent again takes the place of the first and counts once more.

        Args:
            requests: the requests.
            sends: how often they go out: 0 where the cache has the reply.
        """
        self._rows.begin()
        for request in requests:
            row = _asked(request, sends)
            if not self._rows.add("request", row):
                key = (request.stage, request.number)
                before = self._db.execute(f"SELECT sends FROM request WHERE {_HERE}", key).fetchone()
                self._rows.put("request", _asked(request, before[0] + sends))

    def arrived(self, request: Request, reply: Reply) -> None:
        """Store a reply the moment it arrives."""
        self._rows.begin()
        self._rows.put(
            "reply",
            (
                request.stage,
                request.number,
                _text(reply.text),
                _text(reply.finish_reason),
                _text(reply.model),
                reply.prompt_tokens,
                reply.completion_tokens,
                reply.cost_usd,
                reply.seconds,
                reply.attempts,
                _text(reply.error),
                0,
                _json(reply.others) if reply.others else None,
                reply.counted,
            ),
        )

    def restore(self, rows: Mapping[str, Iterable[Values]]) -> None:
        """Store what was read of a damaged journal."""
        with self._together():
            for table, good in rows.items():
                for row in good:
                    if row[0] != "format":
                        self._rows.put(table, row)
        self.commit()

    def has_replies(self) -> bool:
        """Whether anything was received in this run."""
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM reply)").fetchone()[0])

    def forget(self) -> None:
        """Forget what was sent and never answered, and what was made without asking."""
        for table in ("request", "record"):
            self._rows.empty(table)
        self.commit()

    def untaken(self, stage: str) -> set[int]:
        """The numbers of the replies that arrived and are yet to be taken in."""
        rows = self._db.execute("SELECT number FROM reply WHERE stage = ? AND NOT taken", (stage,))
        return {number for (number,) in rows}

    def reply(self, stage: str, number: int) -> Reply | None:
        """The stored reply to a request, None where none has arrived."""
        row = next(self._rows.read("reply", _HERE, (stage, number)), None)
        if row is None:
            return None
        values: dict[str, Any] = dict(zip(_REPLY, row[2:], strict=True))
        del values["taken"]
        values["counted"] = bool(values["counted"])
        values["others"] = tuple((text, why) for text, why in json.loads(values["others"] or "[]"))
        return Reply(**values)

    def asked(self, stages: Iterable[str]) -> dict[bytes, int]:
        """How often each content was asked in these stages, by the replies that were taken in."""
        stages = list(stages)
        rows = self._db.execute(
            "SELECT content, COUNT(*) FROM request JOIN reply USING (stage, number)"
            f" WHERE taken AND content IS NOT NULL AND stage IN ({','.join('?' * len(stages))}) GROUP BY 1",
            stages,
        )
        return dict(rows.fetchall())

    def spent(self) -> Spent:
        """What the run has spent so far."""
        usd, tokens = self._db.execute(
            "SELECT COALESCE(SUM(cost_usd), 0.0), COALESCE(SUM(prompt_tokens + completion_tokens), 0)"
            f" FROM reply WHERE {PAID}"
        ).fetchone()
        requests = self._db.execute("SELECT COALESCE(SUM(sends), 0) FROM request").fetchone()[0]
        of_vectors = "SELECT COALESCE(SUM(cost_usd), 0.0), COALESCE(SUM(tokens), 0) FROM vector"
        more_usd, more_tokens = self._db.execute(of_vectors).fetchone()
        return Spent(usd + more_usd, tokens + more_tokens, requests)

    def keep_vectors(self, stage: str, vectors: Iterable[StoredVector]) -> None:
        """Store vectors of texts as they arrive; one that is there stays."""
        self._rows.begin()
        for one in vectors:
            row = (one.key, stage, one.vector, one.tokens, one.cost_usd, one.paid)
            self._rows.add("vector", row)

    def adopt_vectors(self, other: Journal) -> None:
        """Take over what another run has paid for."""
        self._rows.begin()
        for row in other._rows.read("vector"):
            self._rows.add("vector", (*row[:-1], 0))
        self.commit()

    def vectors(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The stored vectors of these keys, of those there are."""
        rows = (row for key in keys for row in self._rows.read("vector", "key = ?", (key,)))
        return {key: vector for key, _, vector, *_ in rows}  # type: ignore[misc]

    def take(self, stage: str, number: int, records: Iterable[Record]) -> None:
        """Store the candidates of a reply with their fates, all or none.

        The reply counts as taken in once none of them is waiting.
        """
        records = list(records)
        with self._together():
            for record in records:
                self._rows.put("record", _row(record))
            if all(record.fate != WAITING for record in records):
                self._rows.change("reply", "taken", 1, (stage, number))

    def replied(self, stage: str) -> set[int]:
        """The numbers of the requests that have a reply."""
        rows = self._db.execute("SELECT number FROM reply WHERE stage = ?", (stage,))
        return {number for (number,) in rows}

    def models(self, stage: str) -> dict[int, str]:
        """By number of the request, the name that the provider gave the model which answered."""
        return dict(self._db.execute("SELECT number, model FROM reply WHERE stage = ?", (stage,)).fetchall())

    def requests(self, stage: str) -> Iterator[Request]:
        """The requests of a stage, in order."""
        yield from map(_request, self._rows.read("request", "stage = ? ORDER BY number", (stage,)))

    def request(self, stage: str, number: int) -> Request | None:
        """A request as it was sent, None where there is none."""
        return next(map(_request, self._rows.read("request", _HERE, (stage, number))), None)

    def taken(self, stage: str) -> set[int]:
        """The numbers of the replies taken in."""
        rows = self._db.execute("SELECT number FROM reply WHERE stage = ? AND taken", (stage,))
        return {number for (number,) in rows}

    def records(self, stage: str, fate: str | None = None, request: int | None = None) -> Iterator[Record]:
        """The records of a stage, in order: all, those of one fate, or those of one request."""
        query = "stage = ?"
        values: list[Any] = [stage]
        for column, value in (("fate", fate), ("request", request)):
            if value is not None:
                query += f" AND {column} = ?"
                values.append(value)
        yield from map(_record, self._rows.read("record", f"{query} ORDER BY request, position", values))

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add to the time that a stage has taken."""
        self.set_meta(f"seconds/{stage}", self.meta(f"seconds/{stage}", 0.0) + seconds)

    def stats(self, stage: str) -> StageStats:
        """What a stage has done so far."""
        return stats_of(self._db, stage, round(self.meta(f"seconds/{stage}", 0.0), 3))

    def fates(self, stage: str, after: int = 0) -> tuple[int, dict[str, int]]:
        """How many candidates were accepted and rejected, by check, of the requests after a number."""
        return fates_of(self._db, stage, after)

    def particulars(self, stage: str, check: str, after: int = 0) -> Particulars:
        """More of what a check rejected."""
        return particulars_of(self._db, stage, check, after)

    def read(self, stage: str, checks: Iterable[str]) -> set[int]:
        """The requests whose reply had something to judge; `checks` are those that judge."""
        return read_from(self._db, stage, checks)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """All of it or nothing, whatever else the transaction holds."""
        self._rows.begin()
        self._db.execute("SAVEPOINT together")
        mark = self._rows.mark()
        try:
            yield
        except BaseException:
            self._rows.undo(mark)
            if self._db.in_transaction:  # a full disk has ended it already
                self._db.execute("ROLLBACK TO together")
            raise
        self._db.execute("RELEASE together")


def _asked(request: Request, sends: int) -> Values:
    return (
        request.stage,
        request.number,
        _text(request.prompt),
        _text(request.system),
        blotted(request.parameters),
        _json(request.examples),
        request.parent,
        request.variant,
        sends,
        request.content,
    )


def _row(record: Record) -> Values:
    return (
        record.id,
        record.stage,
        record.request,
        record.position,
        record.parent,
        _json(record.data),
        record.fate,
        record.check,
        _text(record.reason),
        _json(record.detail),
    )


def _record(row: tuple[Any, ...]) -> Record:
    id, stage, number, position, parent, data, fate, check, reason, detail = row
    found = json.loads(data), parent, fate, check, reason, json.loads(detail)
    return Record(id, stage, number, position, *found)


def _request(row: tuple[Any, ...]) -> Request:
    stage, number, prompt, system, sampling, examples, parent, variant, *_ = row
    shown = tuple(json.loads(examples))
    return Request(stage, number, prompt, system, json.loads(sampling), shown, parent, variant)


def _json(value: Any) -> str:
    return blotted(json.dumps(value))


def _text(value: str | None) -> str | None:
    return None if value is None else blotted(storable(value))
