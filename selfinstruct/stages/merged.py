"""`merged`: the records of the stage with the same name in several runs, as one; it asks no model.

`selfinstruct merge` composes a recipe whose stages are all of this kind. The filters compare the records of
all runs, in the order of the runs, so the first of two that are alike stays. Children go with their parents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field as Bound

from selfinstruct.config import Machine, OnDisk
from selfinstruct.errors import Fault, unknown
from selfinstruct.journal import labelled_records
from selfinstruct.journal.store import MERGED, MERGED_OF, REVIEWS, Journal
from selfinstruct.records import (
    ACCEPTED,
    KEPT,
    MENDED,
    OTHERWISE,
    REJECTED,
    WAITING,
    Record,
    Rejection,
    Reply,
    Request,
    stream,
)
from selfinstruct.sources.giving_runs import GivingRun, fields_of, read_runs
from selfinstruct.sources.past_runs import Asked
from selfinstruct.stages import STAGES, Material, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.forecast import Forecast, Known
from selfinstruct.stages.kind import Parts, samples
from selfinstruct.stages.ranges import exactly

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

FROM_RUN, FROM_ID, FIRST_RUN, FIRST_ID, MODEL = "from_run", "from_id", "first_run", "first_id", "model"
NEAREST, NEAREST_RUN, NEAREST_ID = "nearest", "nearest_run", "nearest_id"
HANDED_ON = "handed_on"  # the record that gets what was made of a dropped one
WITH_PARENT = "parent"  # the check that drops the children of a record that was dropped
# Details that name other records of the run that they are from, or that have a place of their own here.
LEFT_BEHIND = {MENDED, OTHERWISE, KEPT, NEAREST, "score", "most_similar", "average_similarity"}
LEFT_BEHIND |= {"nearest_in_meaning", "score_in_meaning", FROM_RUN, FROM_ID, FIRST_RUN, FIRST_ID, MODEL}
AHEAD = 64  # records that are prepared together, as an embedding model takes several texts


@STAGES.register
def merged(
    *,
    runs: Annotated[list[str], Bound(min_length=1), Machine, OnDisk],
    of: str | None = None,
    hand_on: bool = False,
    unfinished: Annotated[bool, Machine] = False,
) -> Merging:
    """Takes the records of the stage with this name in several runs, in their order; asks no model.

    `selfinstruct merge` writes a recipe with such stages. Each record keeps its run (`from_run`) and the id
    that it had there (`from_id`). `target` does not limit it.

    Args:
        runs: the folders of the runs. They may move when a run continues, if the records stay the same.
        of: the stage of this recipe with the records that these are made of; those of a record that was not
            accepted here are rejected by the check `parent`.
        hand_on: what was made of a record that is dropped is not dropped with it, but goes to the record that
            it is like; for topics, which several runs have in common.
        unfinished: take the records that unfinished runs have so far.
    """
    return Merging(runs=tuple(runs), of=of, hand_on=hand_on, unfinished=unfinished)


@dataclass(frozen=True, kw_only=True)
class Merging(StageKind):
    """The kind `merged`.

    Attributes:
        given: the runs, once they were read.
    """

    runs: tuple[str, ...]
    hand_on: bool = False
    unfinished: bool = False
    given: tuple[GivingRun, ...] = ()

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`."""
        where = f"pipeline.{parts.name}"
        asked = Asked(f"{where}.runs", f"{where}.runs", "", f"{where}.unfinished")
        of = parts.source(self.of) if self.of else None
        given = read_runs(self.runs, parts.project, asked, self.unfinished, parts.faults)
        for run in given:
            makers = [stage.name for stage in run.outline.makers]
            if parts.name not in makers:
                what, known = unknown("stage", parts.name, makers)
                parts.faults.append(Fault(where, f"{what} in {run.path}", known))
                return None
        digests = [[run.name, run.digest] for run in given]
        digest = sha256(repr(digests).encode()).hexdigest()[:16]
        material = Material([], f"records of {len(given)} runs", digest=digest)
        stage = parts.unasked(replace(self, of=of, given=tuple(given)), of, material=material)
        return stage if given else None

    @property
    def steps(self) -> bool:
        """See `StageKind`."""
        return True

    @property
    def reads_files(self) -> bool:
        """See `StageKind`."""
        return True

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`; the sample values are those of the first records."""
        if stage is None:
            return {}
        values: dict[str, Any] = {}
        for run in reversed(self.given):
            fields = fields_of(run.outline, stage.name)
            values |= {name: run.first[stage.name].get(name, "text") for name in fields}
        return samples(values, stage.name)

    @property
    def tells(self) -> Mapping[str, str]:  # type: ignore[override]
        """See `StageKind`; the details of the runs' own stages too."""
        found: dict[str, str] = {}
        for run in self.given:
            for stage in run.outline.stages:
                found |= dict.fromkeys(stage.lines, "the line of a file that the prompt drew")
                found |= stage.tells
        return {
            **{name: meaning for name, meaning in found.items() if name not in LEFT_BEHIND},
            FROM_RUN: "the run that the record was taken from",
            FROM_ID: "the id that the record had there",
            FIRST_RUN: "where that run is a merge: the run that made the record",
            FIRST_ID: "where that run is a merge: the id in the run that made the record",
        }

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        counts = [f"{run.accepted[stage.name]:,} of {run.name}" for run in self.given]
        return f"takes the records of {len(counts)} runs: {', '.join(counts)}, without a model"

    def forecast(self, stage: Stage, known: Known) -> Forecast:
        """See `StageKind`."""
        return Forecast(makes=exactly(sum(run.accepted[stage.name] for run in self.given)))

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        return Merge(stage, run, self)

    def wasted(self, rejected: Mapping[str, int]) -> int:
        """See `StageKind`; what several runs have in common is no fault of theirs."""
        return 0


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
        kind: its kind, with the runs.
    """

    note = ""
    gave_up: int | None = None

    def __init__(self, stage: Stage, run: StageContext, kind: Merging) -> None:
        self.stage, self.run, self._hand_on = stage, run, kind.hand_on
        places = {one.name: place for place, one in enumerate(kind.given)}
        self._parents = self._merged_ids(stage.of, places) if stage.of else {}
        self._last_parent = ""
        self._rows: list[tuple[int, Record] | None] = []  # by number; None once it was taken
        self._reviews: dict[tuple[int, str], list[tuple[str, Any]]] = {}  # reviewer and review
        for place, one in enumerate(kind.given):
            with one.opened() as journal:
                self._rows += [(place, record) for record in self._read(journal, one)]
                for key, said in journal.facts(REVIEWS).items():
                    reviewer, _, id = key.partition("/")
                    self._reviews.setdefault((place, id), []).append((reviewer, said))
                if any(check.asks for _, check in stage.judge.checks):
                    run.journal.adopt_vectors(journal)
        self.goal = len(self._rows)
        self._turn, self._prepared = 1, 0
        self._given = [Given(one.name) for one in kind.given]
        run.journal.set_meta(MERGED, [dict(one.facts) for one in kind.given])
        stage.judge.learn_all(run.seeds)
        for record in run.journal.records(stage.name):  # of an earlier start
            self._after(record.request, record)
            if record.fate == ACCEPTED and KEPT not in record.detail:
                stage.judge.learn(record)
        self._store()

    def turn(self) -> int | None:
        """See `StageRun`."""
        return self._turn if self._turn <= self.goal else None

    def compose(self) -> Request | None:
        """See `StageRun`."""
        return None

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """See `StageRun`; some of the next records are prepared together."""
        if self.stage.judge.prepares and number > self._prepared:
            self._prepared = number + AHEAD - 1
            ahead = [row[1] for row in self._rows[number - 1 : self._prepared] if row]
            await self.stage.judge.prepare(
                [replace(one, fate=WAITING, detail={}) for one in ahead], context, self.stage.name
            )

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `StageRun`."""
        row = self._rows[number - 1]
        assert row, "each number has one turn"
        place, old = row
        record = self.stage.record(number, 0, old.data)
        record.detail = old.detail
        record.parent, dropped = self._parents.get((place, old.parent or ""), (None, None))
        if dropped:
            what = f"made from {record.parent}, which is not taken: {dropped}"
            record.reject(WITH_PARENT, Rejection(what))
        elif KEPT in record.detail:  # it was compared in the stage before
            self.stage.judge.approve(record)
        else:
            self._judge(record)
        if record.fate == REJECTED and NEAREST in record.detail:
            self._name_both(record)
        self._after(number, record)
        return [record]

    def skip(self, number: int) -> None:
        """See `StageRun`."""
        self._turn = number + 1

    def _merged_ids(
        self, stage: str, places: Mapping[str, int]
    ) -> dict[tuple[int, str], tuple[str | None, str | None]]:
        """By run and id there, the id here of the records that these are made of, and why one was dropped."""
        return {
            (places[one.detail[FROM_RUN]], one.detail[FROM_ID]): (
                (one.detail[HANDED_ON], None) if HANDED_ON in one.detail else (one.id, one.reason)
            )
            for one in self.run.journal.records(stage)
            if one.detail.get(FROM_RUN) in places
        }

    def _read(self, journal: Journal, run: GivingRun) -> Iterator[Record]:
        """The records of a run as they join the merge: with only the details that keep their meaning."""
        name = self.stage.name
        models, usual = journal.models(name), run.outline.stage(name).model
        for record in labelled_records.rows(run.outline, journal, name).values():
            before = record.detail
            model = models.get(record.request) or before.get(MODEL) or usual
            record.detail = {key: value for key, value in before.items() if key not in LEFT_BEHIND}
            record.detail |= {FROM_RUN: run.name, FROM_ID: record.id}
            if FROM_RUN in before:
                record.detail[FIRST_RUN] = before.get(FIRST_RUN) or before[FROM_RUN]
                record.detail[FIRST_ID] = before.get(FIRST_ID) or before[FROM_ID]
            if KEPT in before:
                record.detail[KEPT] = before[KEPT]
            elif model:
                record.detail[MODEL] = model
            yield record

    def _judge(self, record: Record) -> None:
        """Compare a record with those before it, and first let the checks learn what it rewrites."""
        judge, own = self.stage.judge, set(self.stage.own)
        if record.parent and record.parent != self._last_parent:
            self._last_parent = record.parent
            parent = self.run.journal.record(record.parent) if judge.learns else None
            rewritten = {key: parent.data[key] for key in sorted(own & set(parent.data))} if parent else {}
            if parent and rewritten:
                judge.learn(replace(parent, data=rewritten))
        judge.sift([record], stream(self.run.seed, self.stage.name, record.request, "sift"))
        if record.fate == WAITING:
            judge.admit(record)

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

    def _after(self, number: int, record: Record) -> None:
        """Count a record that has its fate, and take over its reviews; store the counts after the last."""
        row, self._rows[number - 1] = self._rows[number - 1], None
        assert row, "each number has one turn"
        place, old = row
        self._given[place].count(record)
        for reviewer, said in self._reviews.get((place, old.id), ()) if record.fate == ACCEPTED else ():
            key = f"{REVIEWS}{reviewer}/{record.id}"
            if self.run.journal.meta(key) is None:
                self.run.journal.set_meta(key, said)
        self._turn = number + 1
        if number == self.goal:
            self._store()

    def _store(self) -> None:
        self.run.journal.set_meta(MERGED_OF + self.stage.name, [asdict(one) for one in self._given])
