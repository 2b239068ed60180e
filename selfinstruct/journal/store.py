"""The journal: one SQLite file for each run, with every request, reply, candidate and fate.

A reply is stored the moment it arrives; the candidates read from it and their fates are stored in one
transaction when its turn comes. So however a process ends, the next start goes on from the journal, and all
files that a user reads are written from it. The file is in WAL mode: others can read it while a run writes
it. Stored rows survive the end of the process at once, and a power cut after the next `checkpoint`.

Rows written within two milliseconds share one commit, since a commit costs more than the writing. A writer
awaits `settled` before it does anything that depends on the rows.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from selfinstruct.errors import DamagedJournal
from selfinstruct.journal.checksums import COLUMNS, Rows, Value, Values, checksum
from selfinstruct.journal.file import connect, open_file
from selfinstruct.journal.row_values import (
    json_of,
    record_of_row,
    row_of_record,
    row_of_reply,
    row_of_thinking,
    storable_turns,
    text_of,
)
from selfinstruct.journal.stage_stats import (
    PAID,
    Particulars,
    StageStats,
    fates_of,
    particulars_of,
    read_from,
    spending_of,
    stats_of,
)
from selfinstruct.journal.wording import PROMPT, SYSTEM, TURNS, Wordings
from selfinstruct.records import (
    ACCEPTED,
    WAITING,
    Record,
    Reply,
    Request,
    Spent,
    StoredVector,
)
from selfinstruct.safety.blot import blotted

# The meta keys:
FINISHED = "finished"  # whether the run has ended normally
GAVE_UP = "gave_up"  # the stage that stopped early because its replies gave nothing, and why
SUMMED_UP = "summary"  # the digests of the last written summary, and of the events up to then
ASKED = "vectors/"  # with the name of a stage: how many requests for vectors it has sent
SETTINGS = "settings"  # the digests of the files in .hydra/, by name; two if a start ended while writing one
THROUGH_LITELLM = "through_litellm"  # by model, why it could not be asked directly although that was expected
LIMITS = "limits/"  # with the names of a stage and a model: what held the model back
BATCHES = "batch/"  # with the name of a stage and a key: a batch of requests; see `llm.batch.stored`
AT_PROVIDER = ("making", "sent")  # the states of a batch whose replies may still come
REPLAYED = "replay"  # the facts that a replay notes about itself
MERGED = "merged"  # the facts about the runs that a merge takes its records from, in order
MERGED_OF = "merged/"  # with the name of a stage: how many of its records each of them gave, and their fates
REVIEWS = "review/"  # with REVIEWER/RECORD: what a reviewer says of a record
GIVEN = "reviewing/"  # with REVIEWER: the ids of the records that the reviewer was given, in order

_REPLY, _CACHED = COLUMNS["reply"][2:], COLUMNS["prompt_cache"][2:]
_HERE = "stage = ? AND number = ?"
APART = 0.002  # seconds between two commits, in which other tasks' rows join the next
LONGEST_HELD = 20_000  # characters of a reply whose row is held until it is taken in; others are read again
_LIKE, _ESCAPED = re.compile("[%_!]"), r"!\g<0>"  # what LIKE reads as a pattern, and how it is escaped


Place = tuple[str, int]  # a stage, and the number of a request in it


class Journal:
    """The journal of one run.

    Args:
        path: the SQLite file; it is made if it does not exist.
        db: a connection to it, already checked, for a journal that is only read.

    Raises:
        DamagedJournal: if it is damaged; each row is checked now, and again whenever it is read.
        RunFolderError: if it cannot be opened, or is of a newer format.
    """

    def __init__(self, path: Path, db: sqlite3.Connection | None = None) -> None:
        self.path = path
        self._db = db or open_file(path)
        self._rows = Rows(self._db, path)
        self._wordings = Wordings(self._rows, path)
        self._sent: dict[Place, tuple[str, ...]] = {}  # examples of the requests sent and not taken in yet
        self._arrived: dict[Place, Values] = {}  # rows of the replies that arrived and are not taken in yet
        self._waiting: list[asyncio.Future[None]] = []  # for the next commit
        self._due = False  # whether a commit is due
        self._committed = 0.0

    def close(self) -> None:
        """Close the file."""
        self.commit()
        self._db.close()

    async def settled(self) -> None:
        """Wait until all written rows are stored.

        Rows of all tasks share a commit: those that are ready now write first, and a commit waits until
        `APART` after the one before.
        """
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append(stored)
        self.commit_soon()
        await stored

    def commit_soon(self) -> None:
        """Store all written rows in a moment, as `settled` does, and don't wait for it; in an event loop."""
        if not self._due:
            self._due = True
            loop = asyncio.get_running_loop()
            loop.call_later(max(0.0, self._committed + APART - loop.time()), self._settle, loop)

    def _settle(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting, self._due = self._waiting, [], False
        error: Exception | None = None
        try:
            self.commit()
        except Exception as failure:  # raised in each task that waits for its rows
            error = failure
        self._committed = loop.time()
        for stored in waiting:
            if stored.done():
                continue
            if error:
                stored.set_exception(error)
            else:
                stored.set_result(None)

    def commit(self) -> None:
        """Store all written rows now."""
        self._rows.commit()

    def checkpoint(self) -> None:
        """Make all stored rows safe from a power cut; may be called from another thread.

        A run does this every few seconds in another thread. Waiting for the disk at each reply would take
        longer than everything else.
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
        self._rows.put("meta", (key, json_of(value)))
        self.commit()

    def facts(self, prefix: str) -> dict[str, Any]:
        """The facts whose keys begin so, by the rest of the key, in the order of the keys."""
        end = f"{prefix}\U0010ffff"
        rows = self._rows.read("meta", "key >= ? AND key < ? ORDER BY key", (prefix, end))
        return {str(key)[len(prefix) :]: json.loads(blotted(str(value))) for key, value in rows}

    def sent(self, requests: Iterable[Request], sends: int = 1) -> None:
        """Store requests as they are sent; one that is sent again replaces the first, and its sends add up.

        Args:
            requests: the requests.
            sends: how often each is sent now; 0 if the cache has the reply, -1 if it was not sent after all.
        """
        rows = [(request, *self._asked(request)) for request in requests]
        self._rows.begin()
        for request, row, turns in rows:
            key = (request.stage, request.number)
            self._sent[key] = request.examples
            if turns is not None:
                self._rows.put("turns", (*key, turns))
            if not self._rows.add("request", (*row, sends, request.content)):
                before = self._db.execute(f"SELECT sends FROM request WHERE {_HERE}", key).fetchone()
                self._rows.put("request", (*row, before[0] + sends, request.content))

    def _asked(self, request: Request) -> tuple[Values, Value]:
        """The values of a request's row but the last two, and its further messages."""
        pack, turns = self._wordings.packed, request.turns
        row = (
            request.stage,
            request.number,
            pack(request, PROMPT, text_of(request.prompt)),
            pack(request, SYSTEM, text_of(request.system)),
            blotted(request.parameters),
            json_of(request.examples),
            request.parent,
            request.variant,
        )
        return row, pack(request, TURNS, json_of(storable_turns(turns))) if turns else None

    def arrived(self, request: Request, reply: Reply) -> None:
        """Store a reply the moment it arrives."""
        self._rows.begin()
        row = row_of_reply(request, reply)
        self._rows.put("reply", row)
        if reply.attempts and (reply.cached_tokens or reply.cache_write_tokens):
            tokens = (reply.cached_tokens, reply.cache_write_tokens)
            self._rows.put("prompt_cache", (request.stage, request.number, *tokens))
        if reply.thought or reply.other_thoughts or reply.thinking_tokens:
            self._rows.put("thinking", row_of_thinking(request, reply))
        if len(reply.text) <= LONGEST_HELD and not reply.others:
            self._arrived[request.stage, request.number] = row

    def restore(self, rows: Mapping[str, Iterable[Values]]) -> None:
        """Store the rows that were read from a damaged journal."""
        with self._together():
            for table, good in rows.items():
                for row in good:
                    if row[0] != "format":
                        self._rows.put(table, row)
        self.commit()

    def has_replies(self) -> bool:
        """Whether this run has received a reply, or may: a batch of its requests is at a provider."""
        there = self._db.execute("SELECT EXISTS (SELECT 1 FROM reply)").fetchone()[0]
        return bool(there) or any(one["state"] in AT_PROVIDER for one in self.facts(BATCHES).values())

    def count(self, table: str, stage: str) -> int:
        """How many rows a table has of a stage, as kept beside the rows; it reads none of them."""
        row = self._db.execute("SELECT rows FROM tally WHERE name = ? AND stage = ?", (table, stage))
        return int((row.fetchone() or (0,))[0]) + self._rows.uncommitted(table, stage)

    def forget(self) -> None:
        """Delete all requests and records, in a journal without replies."""
        for table in ("request", "turns", "record"):
            self._rows.empty(table)
        self.commit()

    def untaken(self, stage: str) -> set[int]:
        """The numbers of the replies that have arrived but are not yet taken in."""
        rows = self._db.execute("SELECT number FROM reply WHERE stage = ? AND NOT taken", (stage,))
        return {number for (number,) in rows}

    def reply(self, stage: str, number: int) -> Reply | None:
        """The stored reply to a request; None if none has arrived."""
        row = next(self._rows.read("reply", _HERE, (stage, number)), None)
        if row is None:
            return None
        values: dict[str, Any] = dict(zip(_REPLY, row[2:], strict=True))
        del values["taken"]
        values["counted"] = bool(values["counted"])
        values["others"] = tuple((text, why) for text, why in json.loads(values["others"] or "[]"))
        cached = next(self._rows.read("prompt_cache", _HERE, (stage, number)), None)
        if cached:
            values.update(zip(_CACHED, cached[2:], strict=True))
        thinking = next(self._rows.read("thinking", _HERE, (stage, number)), None)
        if thinking:
            _, _, thought, others, tokens = thinking
            values["other_thoughts"] = tuple(json.loads(str(others or "[]")))
            values.update(thought=thought, thinking_tokens=tokens)
        return Reply(**values)

    def asked(self, stages: Iterable[str]) -> dict[bytes, int]:
        """By content, how many requests of these stages have a reply that was taken in."""
        stages = list(stages)
        rows = self._db.execute(
            "SELECT content, COUNT(*) FROM request JOIN reply USING (stage, number)"
            f" WHERE taken AND content IS NOT NULL AND stage IN ({','.join('?' * len(stages))}) GROUP BY 1",
            stages,
        )
        return dict(rows.fetchall())

    def spent(self) -> Spent:
        """The amounts that the run has spent so far."""
        usd, tokens = self._db.execute(
            "SELECT COALESCE(SUM(cost_usd), 0.0), COALESCE(SUM(prompt_tokens + completion_tokens), 0)"
            f" FROM reply WHERE {PAID}"
        ).fetchone()
        requests = self._db.execute("SELECT COALESCE(SUM(sends), 0) FROM request").fetchone()[0]
        of_vectors = "SELECT COALESCE(SUM(cost_usd), 0.0), COALESCE(SUM(tokens), 0) FROM vector"
        more_usd, more_tokens = self._db.execute(of_vectors).fetchone()
        for _, asked in self._rows.read("meta", "key LIKE ?", (f"{ASKED}%",)):
            requests += json.loads(str(asked))
        return Spent(usd + more_usd, tokens + more_tokens, requests)

    def sent_for_vectors(self, stage: str) -> None:
        """Count a request for vectors as it is sent; each attempt counts."""
        self._rows.begin()
        self._rows.put("meta", (f"{ASKED}{stage}", json_of(self.meta(f"{ASKED}{stage}", 0) + 1)))

    def keep_vectors(self, stage: str, vectors: Iterable[StoredVector]) -> None:
        """Store vectors of texts as they arrive; a stored one is not replaced."""
        self._rows.begin()
        for one in vectors:
            row = (one.key, stage, one.vector, one.tokens, one.cost_usd, one.paid)
            self._rows.add("vector", row)

    def adopt_vectors(self, other: Journal) -> None:
        """Copy the vectors of another run, as not paid for in this one."""
        self._rows.begin()
        for row in other._rows.read("vector"):
            self._rows.add("vector", (*row[:-1], 0))
        self.commit()

    def vectors(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The stored vectors of these keys; a key without one is left out."""
        rows = (row for key in keys for row in self._rows.read("vector", "key = ?", (key,)))
        return {key: vector for key, _, vector, *_ in rows}  # type: ignore[misc]

    def take(self, stage: str, number: int, records: Iterable[Record]) -> None:
        """Store the candidates of a reply with their fates, all or none.

        The reply counts as taken in when no candidate is waiting.
        """
        records = list(records)
        rows = [row_of_record(record) for record in records]
        with self._together():
            if not self._rows.add_all("record", rows):  # some had waited, and are stored already
                self._db.execute("ROLLBACK TO together")
                for row in rows:
                    self._rows.put("record", row)
            if all(record.fate != WAITING for record in records):
                self._take((stage, number))

    def _take(self, place: Place) -> None:
        """Note that a reply was taken in."""
        self._sent.pop(place, None)
        row = self._arrived.pop(place, None)
        if row is None:
            self._rows.change("reply", "taken", 1, place)
        else:
            self._rows.change_in("reply", "taken", 1, row, checksum("reply", row))

    def examples(self, stage: str, number: int) -> tuple[str, ...] | None:
        """The ids of the examples that a request showed; None if it was not sent."""
        shown = self._sent.get((stage, number))
        if shown is None:
            request = self.request(stage, number)
            return request.examples if request else None
        return shown

    def replied(self, stage: str, among: tuple[int, int] | None = None) -> set[int]:
        """The numbers of the requests that have a reply.

        Args:
            stage: the stage.
            among: the first and the last number to look at; all unless given.
        """
        only, values = ("", ()) if among is None else (" AND number BETWEEN ? AND ?", among)
        rows = self._db.execute(f"SELECT number FROM reply WHERE stage = ?{only}", (stage, *values))
        return {number for (number,) in rows}

    def models(self, stage: str) -> list[str]:
        """The names of models in the provider's replies, each once; one is empty if a reply has none."""
        rows = self._db.execute("SELECT DISTINCT model FROM reply WHERE stage = ?", (stage,))
        return [name for (name,) in rows]

    def model(self, stage: str, number: int) -> str:
        """The model's name in the provider's reply to a request; empty if there is none."""
        row = self._db.execute(f"SELECT model FROM reply WHERE {_HERE}", (stage, number)).fetchone()
        return str(row[0]) if row else ""

    def requests(self, stage: str) -> Iterator[Request]:
        """The requests of a stage, in order."""
        has_turns = self._db.execute("SELECT EXISTS (SELECT 1 FROM turns WHERE stage = ?)", (stage,))
        found = map(self._request, self._rows.read("request", "stage = ? ORDER BY number", (stage,)))
        yield from map(self._with_turns, found) if has_turns.fetchone()[0] else found

    def request(self, stage: str, number: int) -> Request | None:
        """A request as it was sent; None if there is none."""
        row = next(self._rows.read("request", _HERE, (stage, number)), None)
        return None if row is None else self._with_turns(self._request(row))

    def _request(self, row: tuple[Any, ...]) -> Request:
        stage, number, prompt, system, sampling, examples, parent, variant, *_ = row
        shown = tuple(json.loads(examples))
        kinds = ((PROMPT, prompt), (SYSTEM, system))
        prompt, system = (self._wordings.whole(text, stage, number, kind, variant) for kind, text in kinds)
        return Request(stage, number, prompt or "", system, json.loads(sampling), shown, parent, variant)

    def _with_turns(self, request: Request) -> Request:
        """A stored request with its messages besides the prompt."""
        row = next(self._rows.read("turns", _HERE, (request.stage, request.number)), None)
        if row is None:
            return request
        texts = self._wordings.whole(row[2], request.stage, request.number, TURNS, request.variant)
        return request.with_turns(json.loads(str(texts)))

    def taken(self, stage: str) -> set[int]:
        """The numbers of the replies that were taken in."""
        rows = self._db.execute("SELECT number FROM reply WHERE stage = ? AND taken", (stage,))
        return {number for (number,) in rows}

    def records(
        self,
        stage: str,
        fate: str | None = None,
        request: int | None = None,
        check: str | None = None,
        like: Iterable[Sequence[str]] = (),
    ) -> Iterator[Record]:
        """The records of a stage, in order; every condition that is given has to hold.

        Args:
            stage: its name.
            fate: only those with this fate.
            request: only those of this request.
            check: only those that this check rejected.
            like: only those whose stored JSON has one of each of these alternatives; upper and lower case of
                ASCII letters are the same.
        """
        query = "stage = ?"
        values: list[Any] = [stage]
        for column, value in (("fate", fate), ("request", request), ('"check"', check)):
            if value is not None:
                query += f" AND {column} = ?"
                values.append(value)
        for alternatives in like:
            query += f" AND ({' OR '.join(['data LIKE ? ESCAPE ?'] * len(alternatives))})"
            for part in alternatives:
                values += [f"%{_LIKE.sub(_ESCAPED, part)}%", "!"]
        rows = self._rows.read("record", f"{query} ORDER BY request, position", values)
        yield from map(record_of_row, rows)

    def texts(self, record: Record, field: str) -> Iterator[tuple[str, str]]:
        """Id and text of a field of each record of the stage that was accepted before this one, in order.

        The rows are not checked, so a text is for finding a record, which is then read by its id.
        """
        rows = self._db.execute(
            "SELECT id, json_extract(data, ?) FROM record WHERE stage = ? AND fate = ?"
            " AND (request, position) < (?, ?) ORDER BY request, position",
            (f'$."{field}"', record.stage, ACCEPTED, record.request, record.position),
        )
        yield from ((id, str(text)) for id, text in rows if text is not None)

    def record(self, id: str) -> Record | None:
        """A record by its id, whatever its fate; None if there is none."""
        return next(map(record_of_row, self._rows.read("record", "id = ?", (id,))), None)

    def places(self, stage: str) -> Iterator[tuple[int, int, str | None]]:
        """Request, position and parent of each accepted record of a stage, in order.

        The rows are not checked, so a place is for finding a record, which is then read.
        """
        rows = self._db.execute(
            "SELECT request, position, parent FROM record WHERE stage = ? AND fate = ?"
            " ORDER BY request, position",
            (stage, ACCEPTED),
        )
        yield from rows

    def place(self, id: str) -> tuple[str, int, int] | None:
        """Stage, request and position of a record; None if there is none. The row is not checked."""
        row = self._db.execute("SELECT stage, request, position FROM record WHERE id = ?", (id,)).fetchone()
        return row and (str(row[0]), int(row[1]), int(row[2]))

    def following(
        self, stage: str, request: int, position: int, most: int, fate: str | None = None
    ) -> list[Record]:
        """The record at a place, and those after it.

        Args:
            stage: the stage that made them.
            request: the request of the first.
            position: the position of the first.
            most: how many, at most.
            fate: if given, only those with this fate.

        Raises:
            DamagedJournal: if there is none at this place, or one is not as it was written.
        """
        only, values = ("", ()) if fate is None else (" AND fate = ?", (fate,))
        where = f"stage = ? AND (request, position) >= (?, ?){only} ORDER BY request, position LIMIT ?"
        rows = self._rows.read("record", where, (stage, request, position, *values, most))
        records = list(map(record_of_row, rows))
        if not records or (records[0].request, records[0].position) != (request, position):
            raise DamagedJournal(self.path, [f"record {position} of request {request} of {stage} is gone"])
        return records

    def children(self, *ids: str) -> list[Record]:
        """The records and labels made from these records, in order, whatever their fates."""
        those = f"parent IN ({', '.join('?' * len(ids))}) ORDER BY stage, request, position"
        return list(map(record_of_row, self._rows.read("record", those, ids)))

    def digest(self) -> str:
        """A digest of all its records; it stays the same as long as none is added or changed."""
        rows = self._db.execute("SELECT stage, rows, sums FROM tally WHERE name = 'record' ORDER BY stage")
        return sha256(json.dumps(rows.fetchall()).encode()).hexdigest()[:16]

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add to the time that a stage has taken."""
        self.set_meta(f"seconds/{stage}", self.meta(f"seconds/{stage}", 0.0) + seconds)

    def stats(self, stage: str) -> StageStats:
        """The figures of a stage so far."""
        seconds, asked = self.meta(f"seconds/{stage}", 0.0), self.meta(f"{ASKED}{stage}", 0)
        return stats_of(self._db, stage, round(seconds, 3), asked)

    def spending(self, stage: str) -> list[dict[str, Any]]:
        """The replies of a stage by model, with their tokens and cost; see `spending_of`."""
        return spending_of(self._db, stage)

    def fates(self, stage: str, after: int = 0) -> tuple[int, dict[str, int]]:
        """How many candidates of the requests after a number were accepted, and rejected by each check."""
        return fates_of(self._db, stage, after)

    def particulars(self, stage: str, check: str, after: int = 0) -> Particulars:
        """More about the candidates that a check rejected."""
        return particulars_of(self._db, stage, check, after)

    def read(self, stage: str, checks: Iterable[str]) -> set[int]:
        """The requests with a readable reply; `checks` are the checks that judge candidates."""
        return read_from(self._db, stage, checks)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Write all rows of the block or, if it raises, none; other rows of the transaction are kept."""
        self._rows.begin()
        self._db.execute("SAVEPOINT together")
        mark = self._rows.mark()
        try:
            yield
        except BaseException:
            self._rows.undo(mark)
            if self._db.in_transaction:  # not if a full disk has ended it already
                self._db.execute("ROLLBACK TO together")
            raise
        self._db.execute("RELEASE together")
