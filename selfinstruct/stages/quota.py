"""A quota for each record: it is asked about again until so many accepted records were made from it.

The requests about a record follow each other, and those about different ones do not depend on each other. So
each record is asked about once, then each one that lacks some is asked about again, and so on; replies are
taken in in that order. Request t about record r has the number (r - 1) * tries + t.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import RunFolderError
from selfinstruct.prompts.asked import FilledPrompt
from selfinstruct.records import ACCEPTED, WAITING, Record, Reply, Request, stream
from selfinstruct.stages import Stage, StageContext
from selfinstruct.stages.patience import Patience

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

TARGET = "target"
MADE, MISSING = "made", "missing"  # the names that templates can use besides the record's fields


@dataclass(frozen=True)
class Quota:
    """How many records to make from each record, and when to stop asking about one.

    Attributes:
        each: how many; `target` divides the recipe's target among the records.
        weight: the field with the record's weight, for dividing the target; None for equal parts.
        tries: the most requests about a record.
        idle: stop asking about a record after this many replies in a row that added nothing.
    """

    each: int | str
    weight: str | None
    tries: int
    idle: int

    def of(self, rows: Mapping[int, Record], target: int, seed: int, name: str) -> dict[int, int]:
        """How many records to make from each, by its number.

        The target is divided so that a larger one takes nothing from any record (Sainte-Laguë's method).
        Which of equal records get one more is drawn.

        Args:
            rows: the records, by their number.
            target: the recipe's target.
            seed: the recipe's seed.
            name: the stage.
        """
        if isinstance(self.each, int):
            return dict.fromkeys(rows, self.each)
        order = sorted(rows)
        stream(seed, name, "quota").shuffle(order)
        weights = {number: self._weight(rows[number]) for number in order}
        found = dict.fromkeys(sorted(rows), 0)
        heap = [(-weights[number], place, number) for place, number in enumerate(order) if weights[number]]
        heapq.heapify(heap)
        for _ in range(target if heap else 0):
            _, place, number = heap[0]
            found[number] += 1
            heapq.heapreplace(heap, (-weights[number] / (2 * found[number] + 1), place, number))
        return found

    def _weight(self, row: Record) -> float:
        value = row.data.get(self.weight) if self.weight else 1.0
        usable = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        return float(value) if usable and value is not None else 0.0

    def requests(self, records: float, target: int, each: float) -> float:
        """How many requests so many records take, if each reply gives `each` accepted records."""
        if not records:
            return 0.0
        low, more = (self.each, 0.0) if isinstance(self.each, int) else divmod(target, records)
        return (records - more) * self._times(low, each) + more * self._times(low + 1, each)

    def _times(self, wanted: float, each: float) -> float:
        return min(self.tries, -(-wanted // max(each, 1e-9)))

    def wanted(self, records: float, target: int) -> float:
        """How many records are made from so many in all."""
        return records * self.each if isinstance(self.each, int) else float(target if records else 0)

    def __str__(self) -> str:
        if isinstance(self.each, int):
            return f"until it has {self.each}"
        return f"until it has its share of the target{f', by {self.weight}' if self.weight else ''}"


@dataclass
class Share:
    """A record and what has been made from it so far.

    Attributes:
        row: the record.
        wanted: how many records to make from it.
        made: the fields of those that are accepted.
        tries: requests about it that were taken in.
        idle: replies in a row that added nothing.
    """

    row: Record
    wanted: int
    made: list[dict[str, Any]]
    tries: int = 0
    idle: int = 0

    @property
    def missing(self) -> int:
        """How many are still to be made."""
        return max(0, self.wanted - len(self.made))

    def count(self, accepted: Sequence[Record]) -> None:
        """Count a reply that was taken in to its end."""
        self.tries += 1
        self.idle = 0 if accepted else self.idle + 1


class Filled:
    """A stage that asks about each record until its quota is reached, during a run; see `StageRun`."""

    def __init__(self, stage: Stage, run: StageContext, quota: Quota, patience: int) -> None:
        self.stage, self.run, self._quota = stage, run, quota
        self.gave_up: int | None = None
        rows = {number: row for number, row in run.rows().items() if stage.kind.where.fits(row.data)}
        wanted = quota.of(rows, run.target, run.seed, stage.name)
        self._shares = {number: Share(rows[number], wanted[number], []) for number in sorted(rows)}
        self.goal = sum(wanted.values())
        self._stored: dict[int, list[Record]] = {}  # by request: the candidates of a reply that was cut short
        stage.judge.learn_all(run.seeds)
        done = self._continue()
        self.patience = Patience(stage, run.journal, patience, done)
        self._to_take, self._to_send = self._places(), self._places()
        self._taking, self._sending = next(self._to_take, None), next(self._to_send, None)
        if done and self.turn() is not None and (later := run.asked_about()):
            raise RunFolderError(
                f"{stage.name}: more records would be made among those that there are, but "
                f"{' and '.join(later)} asked about them by their order. Choose another run_dir, or set "
                "fresh=true to set the old run aside (nothing is deleted); what was asked before comes from "
                "the cache"
            )

    @property
    def note(self) -> str:
        """See `StageRun`."""
        if self.gave_up is not None:
            return self.patience.note(self.stage.name)
        if self.turn() is not None:
            return ""
        short = [share for share in self._shares.values() if share.missing]
        if not short:
            return ""
        quota, key = self._quota, f"pipeline.{self.stage.name}"
        return (
            f"{len(short)} of {len(self._shares)} {self.stage.of} have fewer records than their quota: "
            f"{quota.idle} replies in a row added nothing, or {quota.tries} requests were sent. summary.json "
            f"has them under coverage. To try longer, run the same command with {key}.idle={2 * quota.idle}"
        )

    def turn(self) -> int | None:
        """See `StageRun`."""
        while self._taking and self._passed(*self._taking):
            self._taking = next(self._to_take, None)
        if self._taking and self.patience.over:
            self.gave_up = self.patience.last
            return None
        return self._number(*self._taking) if self._taking else None

    def compose(self) -> Request | None:
        """See `StageRun`."""
        while self._sending and self._passed(*self._sending):
            self._sending = next(self._to_send, None)
        if self._sending is None:
            return None
        row, time = self._sending
        share = self._shares[row]
        if share.tries < time - 1:  # the reply before has not been taken in
            return None
        self._sending = next(self._to_send, None)
        number, names = self._number(row, time), names_for(share.row.data, share.made, share.missing)
        prompt = self.stage.variant(share.row.data, number, self.run.seed)
        return self.stage.request(prompt, number, names, self.run.seed, parent=share.row)

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """See `StageRun`."""
        if self.stage.judge.prepares:
            records = self._stored.get(number) or self._read(number, reply)
            await self.stage.judge.prepare(records, context, self.stage.name)

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `StageRun`. Candidates beyond the quota stay waiting, for a larger one."""
        share = self._shares[self._row(number)]
        if not share.tries and number not in self._stored:
            self.stage.judge.learn_all(self._rewritten(share.row))
        stored = self._stored.pop(number, [])
        records = stored or self._read(number, reply)
        new = [record for record in records if record.fate == WAITING] if stored else records
        for record in records:
            if share.missing and record.fate == WAITING and self.stage.judge.admit(record):
                share.made.append(record.data)
        self.patience.see(number, records)
        if all(record.fate != WAITING for record in records):
            share.count([record for record in records if record.fate == ACCEPTED])
        return new

    def skip(self, number: int) -> None:
        """See `StageRun`."""
        self._shares[self._row(number)].count([])

    def _read(self, number: int, reply: Reply) -> list[Record]:
        row, seed = self._shares[self._row(number)].row, self.run.seed
        prompt = self.stage.variant(row.data, number, seed)
        return self.stage.read(prompt, number, reply, seed, parent=row, asked=FilledPrompt(prompt, row.data))

    def _number(self, row: int, time: int) -> int:
        return (row - 1) * self._quota.tries + time

    def _row(self, number: int) -> int:
        return (number - 1) // self._quota.tries + 1

    def _places(self) -> Iterator[tuple[int, int]]:
        """The places of all requests that may be needed, in order: record and time."""
        for time in range(1, self._quota.tries + 1):
            yield from ((row, time) for row in self._shares)

    def _passed(self, row: int, time: int) -> bool:
        """Whether this request was taken in already, or is not needed."""
        share = self._shares[row]
        return time <= share.tries or not share.missing or share.idle >= self._quota.idle

    def _continue(self) -> list[int]:
        """Restore what was made before an interruption; returns the requests taken in, in order."""
        journal, name, tries = self.run.journal, self.stage.name, self._quota.tries
        taken = journal.taken(name)
        made: dict[int, list[Record]] = {}
        for record in journal.records(name):
            made.setdefault(record.request, []).append(record)
        order = sorted({*taken, *made}, key=lambda number: ((number - 1) % tries, number))
        for number in order:
            share = self._shares.get(self._row(number))
            if share is None:
                continue
            accepted = [record for record in made.get(number, []) if record.fate == ACCEPTED]
            if not share.tries:
                self.stage.judge.learn_all(self._rewritten(share.row))
            self.stage.judge.learn_all(accepted)
            share.made += [record.data for record in accepted]
            if number in taken:
                share.count(accepted)
            else:
                self._stored[number] = made[number]
        return order

    def _rewritten(self, row: Record) -> Iterator[Record]:
        """The record with only the fields that the stage rewrites; nothing if it rewrites none."""
        own = {key: row.data[key] for key in sorted(set(self.stage.own) & set(row.data))}
        if own:
            yield replace(row, data=own)


def names_for(data: Mapping[str, Any], made: list[dict[str, Any]], missing: int) -> dict[str, Any]:
    """The names that a template can use: the record's fields, what was made from it, how many are missing."""
    return {**data, MADE: [*made], MISSING: missing}
