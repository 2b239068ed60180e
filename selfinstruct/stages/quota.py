"""A quota for each record: it is asked about again until so many accepted records were made from it.

The requests about a record follow each other, and those about different ones do not depend on each other. So
each record is asked about once, then each one that lacks some is asked about again, and so on. Requests are
numbered in that order, and replies are taken in by number. So the numbers are the same at any concurrency,
and a run that goes on with a larger quota adds records after those that there are.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from selfinstruct.journal.places import Reader, packed
from selfinstruct.records import ACCEPTED, WAITING, Record, Rejection, Reply, Request, stream
from selfinstruct.stages import Stage, StageContext
from selfinstruct.stages.patience import Patience

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

TARGET = "target"
QUOTA = "quota"  # the check that rejects candidates beyond the quota
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
        weights = {number: self._weight(rows[number]) if self.weight else 1.0 for number in order}
        found = dict.fromkeys(sorted(rows), 0)
        heap = [(-weights[number], place, number) for place, number in enumerate(order) if weights[number]]
        heapq.heapify(heap)
        for _ in range(target if heap else 0):
            _, place, number = heap[0]
            found[number] += 1
            heapq.heapreplace(heap, (-weights[number] / (2 * found[number] + 1), place, number))
        return found

    def _weight(self, row: Record) -> float:
        value = row.data.get(self.weight or "")
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
        number: the record's number.
        id: its id.
        wanted: how many records to make from it.
        made: the places of those that are accepted; see `journal.places`.
        tries: requests about it that were taken in.
        idle: replies in a row that added nothing.
        sent: requests about it that were composed.
    """

    number: int
    id: str
    wanted: int
    made: array[int]
    tries: int = 0
    idle: int = 0
    sent: int = 0

    @property
    def pending(self) -> bool:
        """Whether a request about it is not yet taken in."""
        return self.sent > self.tries

    @property
    def missing(self) -> int:
        """How many are still to be made."""
        return max(0, self.wanted - len(self.made))

    def count(self, accepted: Sequence[Record]) -> None:
        """Count a reply that was taken in."""
        self.made.extend(packed(record.request, record.position) for record in accepted)
        self.tries += 1
        self.idle = 0 if accepted else self.idle + 1


class Filled:
    """A stage that asks about each record until its quota is reached, during a run; see `StageRun`."""

    def __init__(self, stage: Stage, run: StageContext, quota: Quota, patience: int) -> None:
        self.stage, self.run, self._quota = stage, run, quota
        self.note = ""
        self.gave_up: int | None = None
        rows = self._rows = stage.kind.fitting(run.rows())
        wanted = quota.of(rows, run.target, run.seed, stage.name)
        shares = (Share(number, rows[number].id, wanted[number], array("q")) for number in sorted(rows))
        self._shares = {share.id: share for share in shares}
        self.goal = sum(wanted.values())
        self.patience = Patience(stage, run.journal, patience)
        stage.judge.learn_all(run.seeds)
        self._made = Reader(run.journal, stage.name, ACCEPTED)
        self._about: dict[int, str] = {}  # by number of a request that is not taken in: the id of its record
        self._stored: dict[int, str] = {}  # those of replies that arrived before an interruption
        self._turn = self._next = 1
        self._continue()
        self._places = self._in_order()
        self._place = next(self._places, None)

    def turn(self) -> int | None:
        """See `StageRun`."""
        if self._turn == self._next and not self._open():
            self.note = self._lacking()
            return None
        if self.patience.over:
            self.gave_up, self.note = self.patience.last, self.patience.note(self.stage.name)
            return None
        return self._turn

    def compose(self) -> Request | None:
        """See `StageRun`."""
        share = self._open()
        if share is None or share.pending:  # what is asked depends on the reply before
            return None
        number = self._next
        self._next += 1
        self._about[number] = share.id
        share.sent += 1
        row = self._rows[share.number]
        prompt = self.stage.variant(row.data, number, self.run.seed)
        made = [self._made.at(place).data for place in share.made]
        names = names_for(row.data, made, share.missing)
        return self.stage.request(prompt, number, names, self.run.seed, parent=row)

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """See `StageRun`."""
        if self.stage.judge.prepares:
            await self.stage.judge.prepare(self._read(number, reply), context, self.stage.name)

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `StageRun`. Candidates beyond the quota are rejected as `quota`."""
        share = self._shares[self._about[number]]
        if not share.tries:
            self.stage.judge.learn_all(self._rewritten(share))
        records = self._read(number, reply)
        accepted: list[Record] = []
        for record in records:
            if record.fate != WAITING:
                continue
            if len(accepted) >= share.missing:
                reason = f"{share.id} has its {share.wanted} already"
                record.reject(QUOTA, Rejection(reason))
            elif self.stage.judge.admit(record):
                accepted.append(record)
        share.count(accepted)
        del self._about[number]
        self._turn = number + 1
        self.patience.see(number, records)
        return records

    def skip(self, number: int) -> None:
        """See `StageRun`."""
        self._shares[self._about.pop(number)].count([])
        self._turn = number + 1

    def _read(self, number: int, reply: Reply) -> list[Record]:
        row, seed = self._rows[self._shares[self._about[number]].number], self.run.seed
        prompt = self.stage.variant(row.data, number, seed)
        return self.stage.read(prompt, number, reply, seed, parent=row)

    def _open(self) -> Share | None:
        """The record that the next request is about; None if all have their quota or are left."""
        if self._next in self._stored:
            return self._shares[self._stored[self._next]]
        while self._place:
            time, share = self._place
            if share.sent < time and (share.pending or not self._closed(share)):
                return share
            self._place = next(self._places, None)
        return None

    def _closed(self, share: Share) -> bool:
        """Whether a record is not asked about any more, after the replies so far."""
        return not share.missing or share.idle >= self._quota.idle

    def _in_order(self) -> Iterator[tuple[int, Share]]:
        """The places of all requests that may be needed: how often it is about a record, and the record."""
        for time in range(1, self._quota.tries + 1):
            yield from ((time, share) for share in self._shares.values())

    def _continue(self) -> None:
        """Restore what was made before an interruption."""
        journal, name = self.run.journal, self.stage.name
        taken, arrived = journal.taken(name), journal.untaken(name)
        made = groupby(journal.records(name, ACCEPTED), lambda record: record.request)  # both are in order
        number, records = next(made, (0, iter(())))
        for request in journal.requests(name):
            accepted = list(records) if number == request.number else []
            if accepted:
                number, records = next(made, (0, iter(())))
            share = self._shares.get(request.parent or "")
            if share and request.number in taken:
                if not share.tries:
                    self.stage.judge.learn_all(self._rewritten(share))
                self.stage.judge.learn_all(accepted)
                share.sent += 1
                share.count(accepted)
            elif share and request.number in arrived:
                self._stored[request.number] = share.id
        self._turn = self._next = max(taken, default=0) + 1

    def _lacking(self) -> str:
        """A note about the records that have less than their quota; empty if there are none."""
        short = [share for share in self._shares.values() if share.missing]
        if not short:
            return ""
        quota, key = self._quota, f"pipeline.{self.stage.name}"
        return (
            f"{len(short)} of {len(self._shares)} {self.stage.of} have fewer records than their quota: "
            f"{quota.idle} replies in a row added nothing, or {quota.tries} requests were sent. summary.json "
            f"names them under coverage. To try longer, run the same command with {key}.idle={2 * quota.idle}"
        )

    def _rewritten(self, share: Share) -> Iterator[Record]:
        """Its record with only the fields that the stage rewrites; nothing if it rewrites none."""
        row = self._rows[share.number]
        own = {key: row.data[key] for key in sorted(set(self.stage.own) & set(row.data))}
        if own:
            yield replace(row, data=own)


def names_for(data: Mapping[str, Any], made: list[dict[str, Any]], missing: int) -> dict[str, Any]:
    """The names that a template can use: the record's fields, what was made from it, how many are missing."""
    return {**data, MADE: [*made], MISSING: missing}
