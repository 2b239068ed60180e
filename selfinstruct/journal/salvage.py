"""Reads the good rows of a damaged journal, and counts the lost replies.

SQLite stops at the first broken page. So each table is read row by row from both ends, and between two breaks
each row is looked up by its key. A row with a wrong checksum is left out.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from selfinstruct.journal.check import suspects, tables_of
from selfinstruct.journal.checksums import COLUMNS, KEYS, Value, Values, checksum, stage_of
from selfinstruct.journal.file import look_at
from selfinstruct.journal.wording import lacking

Place = tuple[str, str]  # a table and a stage
BY_PEOPLE = ("review/", "reviewing/")  # how the keys of notes about reviews begin
BESIDE_REPLIES = ("prompt_cache", "thinking")  # tables with more about some of the replies
MOST_STEPS = 10_000  # look-ups between two breaks; a break is a few pages, each of a few rows
_ABSENT: dict[str, Value] = {"sends": 1, "counted": 0}  # values of columns that an older format lacks


@dataclass
class Saved:
    """The rows that could be read and are as they were written.

    Attributes:
        rows: the rows by table.
        counted: for each table and stage, how many rows it had and their combined checksums, as far as that
            can be read.
        summed: whether the rows have checksums; those of older formats do not.
    """

    rows: dict[str, list[Values]] = field(default_factory=lambda: {table: [] for table in COLUMNS})
    counted: dict[Place, tuple[int, int]] = field(default_factory=dict)
    summed: bool = False

    @property
    def replies(self) -> int:
        """How many replies are left."""
        return len(self.rows["reply"])

    def whole(self, table: str) -> bool:
        """Whether a table is known to have every row that was written to it."""
        found: dict[str, tuple[int, int]] = {}
        for row in self.rows[table]:
            number, sums = found.get(stage_of(table, row), (0, 0))
            found[stage_of(table, row)] = number + 1, sums ^ checksum(table, row)
        counted = {stage: facts for (name, stage), facts in self.counted.items() if name == table}
        return self.summed and found == {stage: facts for stage, facts in counted.items() if facts[0]}

    def kept(self, replies: bool = True) -> dict[str, list[Values]]:
        """The rows for the repaired journal; records only if all records, replies and requests are whole.

        If not, the run reads the replies again, which makes the records and the missing requests again.

        Args:
            replies: whether to keep requests and replies; a replay takes both from its source. What people
                have said about its records is kept.
        """
        if not replies:
            said = [row for row in self.rows["meta"] if str(row[0]).startswith(BY_PEOPLE)]
            return {"vector": self.rows["vector"], "meta": said}
        requests = self.rows["request"] if self.whole("turns") else self._sure_of_turns()
        facts = {row[0] for row in self.rows["meta"]}
        more = {row[:2]: row[2] for row in self.rows["turns"]}
        requests = [row for row in requests if not lacking(row, more.get(row[:2]), facts)]
        asked = {row[:2] for row in requests}
        answered = {row[:2] for row in self.rows["reply"]}
        beside = {table: [row for row in self.rows[table] if row[:2] in answered] for table in BESIDE_REPLIES}
        turns = [row for row in self.rows["turns"] if row[:2] in asked]
        rows = {**self.rows, **beside, "request": requests, "turns": turns}
        if self.whole("reply") and self.whole("record") and answered <= asked:
            return rows
        taken = COLUMNS["reply"].index("taken")
        untaken: list[Values] = [(*row[:taken], 0, *row[taken + 1 :]) for row in self.rows["reply"]]
        return {**rows, "reply": untaken, "record": []}

    def _sure_of_turns(self) -> list[Values]:
        """The requests that have all their messages; the run composes the others again."""
        counted = {stage for (table, stage) in self.counted if table == "turns"}
        there = {row[:2] for row in self.rows["turns"]}
        return [row for row in self.rows["request"] if row[0] not in counted or row[:2] in there]

    def lost(self) -> dict[str, int]:
        """By stage, how many replies the journal had that cannot be read, as far as that is known."""
        here: dict[str, list[int]] = {}
        for row in self.rows["reply"]:
            here.setdefault(str(row[0]), []).append(int(row[1] or 0))
        counted = {stage: rows for (table, stage), (rows, _) in self.counted.items() if table == "reply"}
        asked = Counter(str(row[0]) for row in self.rows["request"])
        lost = {}
        for stage in sorted({*here, *counted, *asked}):
            numbers = here.get(stage, [])
            guess = max([0 if self.counted else asked[stage], *numbers], default=0)
            lost[stage] = max(0, counted.get(stage, guess) - len(numbers))
        return {stage: count for stage, count in lost.items() if count}

    def lost_thoughts(self) -> int:
        """How many thoughts of the replies that are left cannot be read; nothing makes them again."""
        written = sum(rows for (table, _), (rows, _) in self.counted.items() if table == "thinking")
        return max(0, min(written - len(self.rows["thinking"]), self.replies))

    def cost(self) -> float | None:
        """About what the lost replies cost, estimated from those left; None if that is not possible."""
        column, attempts = (COLUMNS["reply"].index(name) for name in ("cost_usd", "attempts"))
        usd = 0.0
        for stage, number in self.lost().items():
            paid = [row[column] for row in self.rows["reply"] if row[0] == stage and row[attempts]]
            known = [float(cost) for cost in paid if isinstance(cost, (int, float))]
            if not known:
                return None
            usd += number * sum(known) / len(known)
        return usd


def read_what_can_be(path: Path) -> Saved:
    """The good rows of a damaged journal; the file is not changed."""
    try:
        with closing(look_at(path)) as db:
            return read_from(db)
    except sqlite3.DatabaseError:  # not even its first page
        return Saved()


def read_from(db: sqlite3.Connection) -> Saved:
    """The good rows of a journal that is open."""
    saved = Saved()
    with suppress(sqlite3.DatabaseError):
        tables = tables_of(db)  # without views, which may yield rows without end
        saved.summed = "sum" in tables.get("reply", ())
        tally = _rows(db, "tally", ("name", "stage")) if "tally" in tables else ()
        for name, stage, rows, sums, sum_ in tally:
            if checksum("tally", (name, stage, rows, sums)) == sum_:
                saved.counted[str(name), str(stage)] = int(rows or 0), int(sums or 0)
        for table in (name for name in COLUMNS if name in tables):
            saved.rows[table] = [*_good(db, table, saved.summed)]
    return saved


def put_in_place(path: Path, mended: Path) -> Path:
    """Replace a damaged journal with the repaired one; return the new path of the damaged one."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    _link(path, aside)
    for suffix in ("-wal", "-shm"):  # SQLite would take them for the repaired journal's
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    mended.replace(path)
    return aside


def _link(path: Path, aside: Path) -> None:
    """Give a file a second name; it also keeps its own until another file replaces it."""
    try:
        os.link(path, aside)
    except (OSError, NotImplementedError):
        shutil.copyfile(path, aside)


def _good(db: sqlite3.Connection, table: str, summed: bool) -> Iterator[Values]:
    """The rows of a table that are as they were written, with the columns of the newest format."""
    for row in _rows(db, table, COLUMNS[table][: KEYS[table]]):
        values = row[: len(COLUMNS[table])]
        if summed:
            good = len(row) == len(values) + 1 and checksum(table, values) == row[-1]
        else:
            there = _columns(db, table)
            named = dict(zip(there, row, strict=True))
            values = tuple(named.get(name, _ABSENT.get(name)) for name in COLUMNS[table])
            good = not suspects(table, values)
        if good:
            yield values


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _rows(db: sqlite3.Connection, table: str, key: tuple[str, ...]) -> Iterator[Values]:
    """The readable rows of a table, from the front and from the back, each once."""
    seen: set[Values] = set()
    for order in ("ASC", "DESC"):
        ordered = ", ".join(f"{column} {order}" for column in key)
        cursor = _execute(db, f"SELECT * FROM {table} ORDER BY {ordered}")
        while (row := _next(cursor)) is not None:
            if row[: len(key)] not in seen:
                seen.add(row[: len(key)])
                yield row
    if table in ("request", "reply"):
        yield from _between(db, table, seen)


def _between(db: sqlite3.Connection, table: str, seen: set[Values]) -> Iterator[Values]:
    """The rows between two breaks, looked up one by one."""
    places = [place for place in seen if isinstance(place[0], str) and isinstance(place[1], int)]
    for stage in sorted({str(stage) for stage, _ in places}):
        numbers = {number for name, number in places if name == stage}
        last = max(number for number in numbers if isinstance(number, int))
        likely = range(1, min(last, 2 * len(numbers) + MOST_STEPS))
        for number in islice((one for one in likely if one not in numbers), MOST_STEPS):
            query = f"SELECT * FROM {table} WHERE stage = ? AND number = ?"
            row = _next(_execute(db, query, stage, number))
            if row is not None:
                yield row


def _next(cursor: sqlite3.Cursor | None) -> Values | None:
    try:
        row: Values | None = cursor.fetchone() if cursor else None
    except sqlite3.DatabaseError:
        return None
    return row


def _execute(db: sqlite3.Connection, query: str, *values: Value) -> sqlite3.Cursor | None:
    try:
        return db.execute(query, values)
    except (sqlite3.DatabaseError, UnicodeError):
        return None
