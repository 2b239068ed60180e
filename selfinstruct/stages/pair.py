"""`pair`: one pair of answers for each record, out of its children.

With the field of a score (`by`), the pair is `chosen` and `rejected`, as a preference dataset has them.
Without one it is `first` and `second`: two answers in a drawn order, for a judge to compare (`prefer` reads
its verdicts).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Annotated, Any

from pydantic import Field

from selfinstruct.config import Machine
from selfinstruct.errors import Fault, unknown
from selfinstruct.records import Record, Rejection, stream
from selfinstruct.stages import STAGES, Stage, StageContext, StageKind, StageRun, lengths, numbers
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.forecast import Known
from selfinstruct.stages.kind import Parts, Rest, samples
from selfinstruct.stages.lengths import CHOSEN, LENGTH_BIAS, REJECTED, Bound, Tally
from selfinstruct.stages.numbers import number
from selfinstruct.stages.ranges import Range, exactly
from selfinstruct.stages.unasked import Unasked

# The checks that reject a record without a pair.
ONE_ANSWER, UNSCORED, IDENTICAL, MARGIN = "one_answer", "unscored", "identical_answers", "margin"
Found = tuple[str, Rejection]  # a check that rejects a record, and the reason
FIRST, SECOND = "first", "second"


@STAGES.register
def pair(
    *,
    of: str | list[str] | None = None,
    field: str = "output",
    by: str | None = None,
    margin: Annotated[float | None, Field(gt=0, le=1_000_000_000)] = None,
    length_bias: Bound | None = None,
    expected: Annotated[float, Field(gt=0, le=1), Machine] = 0.7,
) -> Pair:
    """Makes one pair of answers for each record, out of its children in one or more stages; asks no model.

    With `by`, the pair is `chosen` and `rejected`: of all answers that differ, the two whose scores are the
    furthest apart; of equally good pairs, the one with the most similar lengths, then the earliest. Without
    `by`, it is `first` and `second`: two answers drawn with the recipe's seed, for a judge to compare. A
    record without a pair is rejected as `one_answer`, `unscored`, `identical_answers`, `margin` or
    `length_bias`, with the reason.

    Args:
        of: the stage with the answers, or several; their records must be children of the same stage's. By
            default the nearest stage before it that makes records.
        field: the field with the answer.
        by: the field with its score.
        margin: the least difference between the two scores.
        length_bias: the largest share of pairs whose chosen answer is the longer one, in characters; 0.6
            allows 6 of 10. In the order of the records, where one more would be too many (rounded up to a
            whole pair), the record gets its best pair whose chosen answer is not longer, or none.
        expected: the share of the records that are assumed to get a pair, in the plan.
    """
    if (by is None) != (margin is None):
        raise ValueError(
            "by and margin belong together: by=score and margin=1, or neither to compare answers"
        )
    if by is None and length_bias is not None:
        raise ValueError("length_bias needs by: without scores no answer is chosen here")
    return Pair(
        answers=tuple([of] if isinstance(of, str | None) else of),
        field=field,
        by=by,
        margin=margin or 0.0,
        length_bias=length_bias,
        expected=expected,
    )


@dataclass(frozen=True)
class _Two:
    """Two answers: the better one and the worse one, and how much better."""

    chosen: Record
    rejected: Record
    gap: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Pair(StageKind):
    """The kind `pair`; its records are children of the records that were answered.

    Attributes:
        answers: the stages with the answers; None for the nearest before it.
    """

    answers: tuple[str | None, ...]
    field: str
    by: str | None
    margin: float
    length_bias: float | None
    expected: float

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`; the stage works on the records that were answered."""
        where, there = f"pipeline.{parts.name}.of", [parts.source(of) for of in self.answers]
        if not there:
            parts.faults.append(Fault(where, "names no stage", "name the stages with the answers"))
        known = [of for of in there if of]
        parents = {of: parts.parent(of) for of in known}
        for of, parent in parents.items():
            if parent is None:
                what = f"the records of {of} are not made from another stage's, so they answer nothing"
                parts.faults.append(Fault(where, what, "name a stage of kind expand"))
        if len(set(parents.values())) > 1:
            told = ", ".join(f"{of} of {parent}" for of, parent in parents.items())
            what = f"the answers are not to the same records: {told}"
            parts.faults.append(Fault(where, what, "name stages with the same `of`"))
        first = next(filter(None, parents.values()), None)
        stage = parts.unasked(replace(self, answers=tuple(known)), first)
        return stage if first else None

    @property
    def _sides(self) -> tuple[str, str]:
        """The fields of the two answers."""
        return (CHOSEN, REJECTED) if self.by else (FIRST, SECOND)

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        sides = self._sides
        values: dict[str, Any] = dict.fromkeys(sides, "text")
        if self.by:
            values |= {f"{side}_score": 1.0 for side in sides}
        values |= {f"{side}_id": "text" for side in sides}
        return samples(values, stage.name if stage else "")

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """See `StageKind`; each stage with answers must set the answer and its score."""
        found, where = super().faults(stage, rest), f"pipeline.{stage.name}"
        for name in self.stages:
            fields = rest.made.get(name, {})
            if self.field not in {**rest.unsure, **fields}:
                found.append(Fault(f"{where}.field", *unknown("field", self.field, fields)))
            if self.by:
                scores = numbers.faults(f"{where}.by", self.by, fields, rest.unsure, rest.config.schemas)
                found += [fault for fault in scores if fault not in found]
        return found

    @property
    def stages(self) -> list[str]:
        """The names of the stages with the answers."""
        return [name for name in self.answers if name]

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        among = f"among its {' and '.join(self.stages)}, without a model"
        if not self.by:
            return f"draws two different answers to each of {stage.of} to compare, {among}"
        bias = (
            "" if self.length_bias is None else f", at most {self.length_bias:.0%} with a longer chosen one"
        )
        return (
            f"pairs two answers to each of {stage.of} whose {self.by} is {self.margin:g} apart{bias}, {among}"
        )

    def made_of(self, known: Known) -> Range:
        """See `StageKind`."""
        if known.candidates:
            return known.rows * exactly(known.accepted / known.candidates)
        return known.rows * exactly(self.expected)

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        tally = Tally(self.length_bias)
        work = Unasked(stage, run, self._candidates(stage, run, tally))
        work.note = tally.note
        return work

    def _candidates(self, stage: Stage, run: StageContext, tally: Tally) -> Iterator[Record]:
        """A record for each that was answered; those that the run has already are counted only."""
        answers = self._answers(run)
        before = {record.request: record for record in run.journal.records(stage.name)}
        for place, row in run.rows().items():
            record = before.get(place) or self._paired(stage, run, place, row, answers.get(row.id, []), tally)
            yield record  # it gets its fate before the next one is made
            tally.count(record)

    def _answers(self, run: StageContext) -> dict[str, list[Record]]:
        """The answers to each record, by its id, in the order of the stages and of the requests."""
        found: dict[str, list[Record]] = {}
        for name in self.stages:
            for answer in run.rows_of(name).values():
                found.setdefault(answer.parent or "", []).append(answer)
        return found

    def _paired(
        self,
        stage: Stage,
        run: StageContext,
        place: int,
        row: Record,
        answers: Sequence[Record],
        tally: Tally,
    ) -> Record:
        found = self._best(answers, tally) if self.by else self._drawn(stage, run, place, answers)
        if isinstance(found, _Two):
            return stage.record(place, 0, {**row.data, **self._fields(found)}, row)
        record = stage.record(place, 0, dict(row.data), row)
        record.reject(*found)
        return record

    def _fields(self, two: _Two) -> dict[str, Any]:
        sides = dict(zip(self._sides, (two.chosen, two.rejected), strict=True))
        fields = {side: one.data[self.field] for side, one in sides.items()}
        if self.by:
            fields |= {f"{side}_score": one.data[self.by] for side, one in sides.items()}
        return {**fields, **{f"{side}_id": one.id for side, one in sides.items()}}

    def _drawn(self, stage: Stage, run: StageContext, place: int, answers: Sequence[Record]) -> _Two | Found:
        different = list({self._text(one): one for one in reversed(answers)}.values())[::-1]
        if len(different) < 2:
            return self._too_few(answers)
        first, second = stream(run.seed, stage.name, place).sample(different, 2)
        return _Two(first, second)

    def _best(self, answers: Sequence[Record], tally: Tally) -> _Two | Found:
        """The best pair that the limits allow, or the check that rejects the record, with the reason."""
        if len({self._text(one) for one in answers}) < 2:
            return self._too_few(answers)
        scores = {
            one.id: score for one in answers if (score := number(one.data.get(self.by or ""))) is not None
        }
        if len(scores) < 2:
            what = f"{len(answers) - len(scores)} of its {len(answers)} answers have no number in {self.by}"
            return UNSCORED, Rejection(f"{what}, so there are no two to compare")
        scored = [one for one in answers if one.id in scores]
        pairs = [_Two(*two, scores[two[0].id] - scores[two[1].id]) for two in permutations(scored, 2)]
        pairs = [two for two in pairs if self._text(two.chosen) != self._text(two.rejected)]
        apart = sorted((two for two in pairs if two.gap >= self.margin), key=self._place)
        if not pairs:
            return self._too_few(scored)
        if not apart:
            gap = max(two.gap for two in pairs)
            what = f"the scores of its different answers are {gap:g} apart at most, less than {self.margin:g}"
            return MARGIN, Rejection(what, {"score": gap})
        allowed = [two for two in apart if tally.allows(self._text(two.chosen), self._text(two.rejected))]
        return allowed[0] if allowed else (LENGTH_BIAS, tally.rejection)

    def _place(self, two: _Two) -> tuple[float, int]:
        """Pairs further apart come first, then those with similar lengths; sorting is stable."""
        return -two.gap, abs(len(self._text(two.chosen)) - len(self._text(two.rejected)))

    def _text(self, answer: Record) -> str:
        return str(answer.data.get(self.field, "")).strip()

    def _too_few(self, answers: Sequence[Record]) -> Found:
        if len(answers) < 2:
            there = "only one accepted answer" if answers else "no accepted answer"
            return ONE_ANSWER, Rejection(f"it has {there}, and a pair needs two")
        return IDENTICAL, Rejection(f"its {len(answers)} answers are all the same")

    def flawed(self, rejected: Mapping[str, int]) -> dict[str, int]:
        """See `StageKind`; nothing is wrong with a record whose answers are equally good."""
        return {check: count for check, count in rejected.items() if check not in (MARGIN, LENGTH_BIAS)}

    def figures(self, stage: Stage, records: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
        """See `StageKind`; the lengths of chosen and rejected answers."""
        return lengths.figures(records.get(stage.name, ())) if self.by else {}
