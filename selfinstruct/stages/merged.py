"""`merged`: the records of the stage with the same name in several runs, as one; it asks no model.

`selfinstruct merge` composes a recipe whose stages are all of this kind. The filters compare the records of
all runs, in the order of the runs, so the first of two that are alike stays. Children go with their parents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Any

from pydantic import Field as Bound

from selfinstruct.config import Machine, OnDisk
from selfinstruct.errors import Fault, unknown
from selfinstruct.journal.store import Journal
from selfinstruct.sources.given_records import FIRST_ID, FIRST_RUN, FROM_ID, FROM_RUN, LEFT_BEHIND
from selfinstruct.sources.giving_runs import GivingRun, fields_of, read_runs
from selfinstruct.sources.past_runs import Asked
from selfinstruct.stages import STAGES, Material, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.forecast import Forecast, Known
from selfinstruct.stages.kind import Parts, samples
from selfinstruct.stages.merging import Merge
from selfinstruct.stages.ranges import exactly


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

    def progress(self, stage: Stage, journal: Journal) -> int:
        """See `StageKind`; its records count, since it has no replies."""
        return journal.count("record", stage.name)

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        return Merge(stage, run, self.given, self.hand_on)

    def wasted(self, rejected: Mapping[str, int]) -> int:
        """See `StageKind`; what several runs have in common is no fault of theirs."""
        return 0
