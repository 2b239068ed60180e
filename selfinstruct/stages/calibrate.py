"""`calibrate`: how well a judge agrees with people, from records that people have scored."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, Any, ClassVar

from pydantic import Field

from selfinstruct.errors import Fault
from selfinstruct.records import Record, Rejection
from selfinstruct.stages import STAGES, Stage, StageContext, StageKind, StageRun, numbers
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.kind import Rest, samples
from selfinstruct.stages.numbers import number
from selfinstruct.stages.unasked import Unasked

UNSCORED = "unscored"
DIFFERENCE = "judge_difference"
Pairs = Sequence[tuple[float, float]]


@STAGES.register
def calibrate(
    *,
    people: Annotated[list[str], Field(min_length=1)],
    judge: str = "score",
    of: str | None = None,
    like: str | None = None,
) -> Calibrate:
    """Compares the scores of a judge with those of people; asks no model.

    It sets `judge_difference`, the judge's score minus the people's mean. The summary of the run has the
    correlations and the mean differences. A record that lacks a score is rejected as `unscored`.

    Args:
        people: the fields with the scores of people; their mean counts.
        judge: the field with the judge's score.
        of: the stage with the records; by default the nearest one before it that makes records.
        like: the stage of the recipe that scores as this judge does, for a recipe to refer to; the part
            `calibration` takes its prompt, model and schema.
    """
    return Calibrate(of=of, judge=judge, people=tuple(people), like=like)


@dataclass(frozen=True, kw_only=True)
class Calibrate(StageKind):
    """The kind `calibrate`."""

    judge: str
    people: tuple[str, ...]
    like: str | None
    labels: ClassVar[bool] = True

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        return samples({DIFFERENCE: 1.0}, stage.name if stage else "")

    def needs(self) -> Sequence[str]:
        """See `StageKind`."""
        return self.people

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """See `StageKind`; the judge's score must be a number in all records."""
        where = f"pipeline.{stage.name}.judge"
        scores = numbers.faults(where, self.judge, rest.fields, rest.unsure, rest.config.schemas)
        found = [*super().faults(stage, rest), *scores]
        for name in self.people:
            if name in rest.fields and written(rest.fields[name].value) is None:
                what = f"{name!r} of the first record of {stage.of} is not a number"
                remedy = "name the fields with the scores that people gave, as numbers"
                found.append(Fault(f"pipeline.{stage.name}.people", what, remedy))
        return found

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        return (
            f"compares {self.judge} of each of {stage.of} with {' and '.join(self.people)}, without a model"
        )

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        rows = run.rows()
        work = Unasked(stage, run, (self._compared(stage, place, row) for place, row in rows.items()))
        work.note = _told(figures(self._pairs(rows.values())))
        return work

    def _compared(self, stage: Stage, place: int, row: Record) -> Record:
        record = stage.record(place, 0, dict(row.data), row)
        judge, people = self._scores(row)
        if judge is None or people is None:
            lacking = self.judge if judge is None else " and ".join(self.people)
            record.reject(
                UNSCORED, Rejection(f"it has no number in {lacking}, so there is nothing to compare")
            )
        else:
            record.data[DIFFERENCE] = round(judge - people, 6)
        return record

    def _scores(self, record: Record) -> tuple[float | None, float | None]:
        """The score of the judge, and the mean of the people's; None for a score that is missing."""
        given = [score for name in self.people if (score := written(record.data.get(name))) is not None]
        return number(record.data.get(self.judge)), fmean(given) if given else None

    def _pairs(self, records: Any) -> list[tuple[float, float]]:
        both = map(self._scores, records)
        return [(judge, people) for judge, people in both if judge is not None and people is not None]

    def figures(self, stage: Stage, records: Mapping[str, Iterable[Record]]) -> dict[str, Any]:
        """See `StageKind`."""
        return figures(self._pairs(records.get(stage.of or "", ())))


def written(value: Any) -> float | None:
    """A number, or one that is written as text, as files have it; None if it is neither."""
    if not isinstance(value, str):
        return number(value)
    try:
        return number(float(value))
    except ValueError:
        return None


def figures(pairs: Pairs) -> dict[str, Any]:
    """How well two lists of scores agree; empty if there are none.

    Args:
        pairs: the score of the judge and that of people, for each record.

    Returns:
        {"records", "pearson", "spearman", "mean_difference", "mean_absolute_difference", "within_one"}. A
        positive mean difference says that the judge is kinder than people; `within_one` is the share of
        records on which they differ by at most 1. A correlation is null if all scores of a side are equal.
    """
    if not pairs:
        return {}
    judge, people = zip(*pairs, strict=True)
    gaps = [one - other for one, other in pairs]
    found = {
        "pearson": pearson(judge, people),
        "spearman": pearson(ranks(judge), ranks(people)),
        "mean_difference": fmean(gaps),
        "mean_absolute_difference": fmean(map(abs, gaps)),
        "within_one": fmean(abs(gap) <= 1 for gap in gaps),
    }
    rounded = {name: None if value is None else round(value, 4) for name, value in found.items()}
    return {"records": len(pairs), **rounded}


def pearson(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Pearson's correlation; None if all values of a side are equal."""
    x, y = fmean(xs), fmean(ys)
    spread = math.sqrt(sum((one - x) ** 2 for one in xs) * sum((one - y) ** 2 for one in ys))
    return (
        sum((one - x) * (other - y) for one, other in zip(xs, ys, strict=True)) / spread if spread else None
    )


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, for Spearman's correlation; equal values share the mean of their ranks."""
    first = {value: place for place, value in reversed([*enumerate(sorted(values), 1)])}
    count = Counter(values)
    return [first[value] + (count[value] - 1) / 2 for value in values]


def _told(found: Mapping[str, Any]) -> str:
    if not found:
        return ""
    correlation = "no correlation, since one side gave all records the same score"
    if found["spearman"] is not None:
        correlation = f"a rank correlation of {found['spearman']:.2f} with people"
    return (
        f"the judge has {correlation}, in {found['records']:,} records; it differs from them by "
        f"{found['mean_absolute_difference']:.2f} on average"
    )
