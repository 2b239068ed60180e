"""A stage of the kind `merged` during a run: records of several runs, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from selfinstruct.journal.store import MERGED, MERGED_OF, REVIEWS
from selfinstruct.records import ACCEPTED, KEPT, REJECTED, WAITING, Record, Rejection, Reply, Request, stream
from selfinstruct.sources.given_records import FROM_ID, FROM_RUN, NEAREST, Merged, given_records
from selfinstruct.sources.giving_runs import GivingRun
from selfinstruct.stages import Stage, StageContext

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

NEAREST_RUN, NEAREST_ID = "nearest_run", "nearest_id"
HANDED_ON = "handed_on"  # the record that gets what was made of a dropped one
WITH_PARENT = "parent"  # the check that drops the children of a record that was dropped
NAMING = ("chosen_id", "rejected_id", "first_id", "second_id")  # fields of a pair that name its answers
AHEAD = 64  # records that are prepared together, as an embedding model takes several texts


@dataclass
class Given:
    """What a run has given to a stage.

    Attributes:
        run: its name.
        given: how many records.
        accepted: how many of these were accepted.
        rejected: the others, by the check that rejected them.
    """

    run: str
    given: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def count(self, record: Record) -> None:
        """Count a record that has its fate."""
        self.given += 1
        if record.fate == ACCEPTED:
            self.accepted += 1
        else:
            check = record.check or ""
            self.rejected[check] = self.rejected.get(check, 0) + 1


class Merge:
    """A merge during a run, record by record; see `StageRun`.

    Args:
        stage: the stage.
        run: the run.
        runs: the runs that give their records.
        hand_on: whether what was made of a dropped record goes to the record that it is like.

    Raises:
        DamagedJournal: if a row of a run is not as it was written.
    """

    note = ""
    gave_up: int | None = None

    def __init__(self, stage: Stage, run: StageContext, runs: tuple[GivingRun, ...], hand_on: bool) -> None:
        self.stage, self.run, self._hand_on = stage, run, hand_on
        self.goal = sum(one.accepted[stage.name] for one in runs)  # at most: a label may leave some out
        self._own = set(stage.own)
        self._parents = Merged(run.journal, stage.of) if stage.of else None
        makers = [one.name for one in runs[0].outline.makers]
        self._before = makers[: makers.index(stage.name)]  # stages whose records are merged already
        self._answers: dict[str, Merged] = {}  # those of stages whose records are named in fields
        self._last_parent = ""
        self._runs = {one.name: one for one in runs}
        self._given = {one.name: Given(one.name) for one in runs}
        self._reviewed = ""  # the run whose records are taken
        self._reviews: dict[str, list[tuple[str, Any]]] = {}  # what reviewers said of it, by record
        run.journal.set_meta(MERGED, [dict(one.facts) for one in runs])
        if any(check.asks for _, check in stage.judge.checks):
            deque(given_records(runs, stage.name), 0)  # damaged rows are found before a model is asked
            for one in runs:
                with one.opened() as journal:
                    run.journal.adopt_vectors(journal)
        stage.judge.learn_all(run.seeds)
        done = 0
        for record in run.journal.records(stage.name):  # of an earlier start
            done = record.request
            self._learn_again(record)
            self._count(record)
        self._coming = islice(given_records(runs, stage.name), done, None)
        self._ahead: deque[tuple[GivingRun, Record]] = deque()
        self._turn, self._prepared = done + 1, 0
        self._look_ahead(1)
        self._store()

    def turn(self) -> int | None:
        """See `StageRun`."""
        return self._turn if self._ahead else None

    def compose(self) -> Request | None:
        """See `StageRun`."""
        return None

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """See `StageRun`; some of the next records are prepared together."""
        if self.stage.judge.prepares and number > self._prepared:
            self._look_ahead(AHEAD)
            self._prepared = number + len(self._ahead) - 1
            waiting = [replace(one, fate=WAITING, detail={}) for _, one in self._ahead]
            await self.stage.judge.prepare(waiting, context, self.stage.name)

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `StageRun`."""
        run, old = self._ahead.popleft()
        record = self.stage.record(number, 0, self._renamed(run.name, old.data))
        record.detail = old.detail
        parent = self._parents.record(run.name, old.parent) if self._parents and old.parent else None
        record.parent = parent.detail.get(HANDED_ON, parent.id) if parent else None
        if old.parent and not parent:  # an unfinished run, which goes on meanwhile
            what = f"made from {old.parent} of {run.name}, which was not there yet"
            why = f"{what} when {self.stage.of} were taken; this is {old.detail[FROM_ID]} of {run.name}"
            record.reject(WITH_PARENT, Rejection(why))
        elif parent and parent.fate == REJECTED and HANDED_ON not in parent.detail:
            what = f"made from {parent.id}, which is not taken: {parent.reason}"
            record.reject(WITH_PARENT, Rejection(what))
        elif KEPT in record.detail:  # it was compared in the stage before
            self.stage.judge.approve(record)
        else:
            self._judge(record, parent)
        if record.fate == REJECTED and NEAREST in record.detail:
            self._name_both(record)
        self._count(record)
        self._turn = number + 1
        self._look_ahead(1)
        if not self._ahead:
            self._store()
        return [record]

    def skip(self, number: int) -> None:
        """See `StageRun`."""
        raise AssertionError("no reply is missing where none is asked for")

    def _renamed(self, run: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a record; where they name other records, with the ids that these have here."""
        found = dict(data)
        for name in NAMING:
            id = found.get(name)
            stage = id.rsplit("-", 2)[0] if isinstance(id, str) else ""
            if stage in self._before:
                if stage not in self._answers:
                    self._answers[stage] = Merged(self.run.journal, stage)
                named = self._answers[stage].record(run, str(id))
                found[name] = named.id if named else id
        return found

    def _look_ahead(self, many: int) -> None:
        """Read until so many records wait for their turn, or all that are left."""
        self._ahead.extend(islice(self._coming, max(0, many - len(self._ahead))))

    def _judge(self, record: Record, parent: Record | None) -> None:
        """Compare a record with those before it."""
        self._learn_original(record, parent)
        judge = self.stage.judge
        judge.sift([record], stream(self.run.seed, self.stage.name, record.request, "sift"))
        if record.fate == WAITING:
            judge.admit(record)

    def _learn_original(self, record: Record, parent: Record | None = None) -> None:
        """Let the checks learn what the record rewrites, before the first record that does."""
        judge = self.stage.judge
        if not judge.learns or not record.parent or record.parent == self._last_parent:
            return
        self._last_parent = record.parent
        if parent is None or parent.id != record.parent:  # read already, unless it was handed on
            parent = self.run.journal.record(record.parent)
        rewritten = {key: parent.data[key] for key in sorted(self._own & set(parent.data))} if parent else {}
        if parent and rewritten:
            judge.learn(replace(parent, data=rewritten))

    def _learn_again(self, record: Record) -> None:
        """Let the checks learn what they learned from a record in an earlier start."""
        if record.check != WITH_PARENT and KEPT not in record.detail:
            self._learn_original(record)
            if record.fate == ACCEPTED:
                self.stage.judge.learn(record)

    def _name_both(self, record: Record) -> None:
        """Say of a rejected record which record of which run it is, and which one it is like."""
        other = self.run.journal.record(str(record.detail[NEAREST]))
        this = f"this is {record.detail[FROM_ID]} of {record.detail[FROM_RUN]}"
        if other is None:
            record.reason = f"{record.reason}; that is a seed task, {this}"
            return
        if self._hand_on:
            record.detail[HANDED_ON] = other.id
        record.detail[NEAREST_RUN], record.detail[NEAREST_ID] = other.detail[FROM_RUN], other.detail[FROM_ID]
        that = f"that is {other.detail[FROM_ID]} of {other.detail[FROM_RUN]}"
        record.reason = f"{record.reason}; {that}, {this}"

    def _count(self, record: Record) -> None:
        """Count a record that has its fate; take over its reviews if it is accepted and has none yet."""
        name, id = record.detail[FROM_RUN], record.detail[FROM_ID]
        self._given[name].count(record)
        if name != self._reviewed:
            self._reviewed, self._reviews = name, self._reviews_of(name)
        for reviewer, said in self._reviews.get(id, ()) if record.fate == ACCEPTED else ():
            key = f"{REVIEWS}{reviewer}/{record.id}"
            if self.run.journal.meta(key) is None:
                self.run.journal.set_meta(key, said)

    def _reviews_of(self, run: str) -> dict[str, list[tuple[str, Any]]]:
        """By record of a run, what each reviewer said."""
        found: dict[str, list[tuple[str, Any]]] = {}
        with self._runs[run].opened() as journal:
            for key, said in journal.facts(REVIEWS).items():
                reviewer, _, id = key.partition("/")
                found.setdefault(id, []).append((reviewer, said))
        return found

    def _store(self) -> None:
        given = [asdict(one) for one in self._given.values()]
        self.run.journal.set_meta(MERGED_OF + self.stage.name, given)
