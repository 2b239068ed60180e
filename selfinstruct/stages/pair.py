"""`pair`: one pair of answers for each record, out of its children.

With the field of a score (`by`), the pair is `chosen` and `rejected`, as a preference dataset has them.
Without one it is `first` and `second`: two answers in a drawn order, for a judge to compare (`prefer` reads
its verdicts).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from selfinstruct.config import Machine
from selfinstruct.errors import Fault, unknown
from selfinstruct.journal.places import Grouped, packed
from selfinstruct.journal.store import Journal
from selfinstruct.records import Record, stream
from selfinstruct.stages import STAGES, Stage, StageContext, StageKind, StageRun, lengths, numbers
from selfinstruct.stages.choosing import MARGIN, Answer, Two, answer, best, drawn
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.forecast import Known
from selfinstruct.stages.kind import Parts, Rest, samples
from selfinstruct.stages.lengths import CHOSEN, LENGTH_BIAS, REJECTED, Bound, Tally
from selfinstruct.stages.ranges import Range, exactly
from selfinstruct.stages.unasked import Unasked

FIRST, SECOND = "first", "second"
Answers = tuple[Mapping[int, Record], Grouped]  # those of a stage, and their numbers by the place answered


@STAGES.register
def pair(
    *,
    of: str | list[str] | None = None,
    field: Annotated[str, Field(min_length=1)] = "output",
    by: Annotated[str | None, Field(min_length=1)] = None,
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
        known = [of for of in map(parts.source, self.answers) if of]
        parents = {of: parts.parent(of) for of in known}
        parts.faults += self._of_parents(f"pipeline.{parts.name}.of", parents)
        first = next(filter(None, parents.values()), None)
        stage = parts.unasked(replace(self, answers=tuple(known)), first)
        return stage if first else None

    def _of_parents(self, where: str, parents: Mapping[str, str | None]) -> Iterator[Fault]:
        """Faults for stages whose records answer nothing, or not the same records."""
        if not self.answers:
            yield Fault(where, "names no stage", "name the stages with the answers")
        for of, parent in parents.items():
            if parent is None:
                what = f"the records of {of} are not made from another stage's, so they answer nothing"
                yield Fault(where, what, "name a stage of kind expand")
        if len(set(parents.values())) > 1:
            told = ", ".join(f"{of} of {parent}" for of, parent in parents.items())
            what = f"the answers are not to the same records: {told}"
            yield Fault(where, what, "name stages with the same `of`")

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
        if len(self.stages) == 1 and _single(rest, self.stages[0]):
            what = f"each of {stage.of} gets one answer, so there is never a pair"
            found.append(Fault(f"{where}.of", what, f"set pipeline.{self.stages[0]}.times to 2 or more"))
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
        apart = f"whose {self.by} is {self.margin:g} apart"
        if self.length_bias is not None:
            apart += f", at most {self.length_bias:.0%} with a longer chosen one"
        return f"pairs two answers to each of {stage.of} {apart}, {among}"

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
        answers = [(rows, Grouped(_by_parent(rows, run.journal))) for rows in map(run.rows_of, self.stages)]
        for place, row in run.rows().items():
            before = [*run.journal.records(stage.name, request=place)]
            record = before[0] if before else self._paired(stage, run.seed, place, row, answers, tally)
            yield record  # it gets its fate before the next one is made
            tally.count(record)

    def _answers(self, row: Record, given: Iterable[Answers]) -> list[Answer]:
        """The answers to a record, in the order of the stages and of the requests."""
        place = packed(row.request, row.position)
        found = (rows[number] for rows, by_parent in given for number in by_parent.of(place))
        return [answer(record, self.field, self.by) for record in found]

    def _paired(
        self, stage: Stage, seed: int, place: int, row: Record, given: Iterable[Answers], tally: Tally
    ) -> Record:
        answers = self._answers(row, given)
        if self.by:
            found = best(answers, self.by, self.margin, tally)
        else:
            found = drawn(answers, stream(seed, stage.name, place))
        record = stage.record(place, 0, dict(row.data), row)
        if isinstance(found, Two):
            record.data |= self._fields(found)
        else:
            record.reject(*found)
        return record

    def _fields(self, two: Two) -> dict[str, Any]:
        sides = dict(zip(self._sides, (two.first, two.second), strict=True))
        fields: dict[str, Any] = {side: one.record.data.get(self.field, "") for side, one in sides.items()}
        if self.by:
            fields |= {f"{side}_score": one.score for side, one in sides.items()}
        return {**fields, **{f"{side}_id": one.record.id for side, one in sides.items()}}

    def flawed(self, rejected: Mapping[str, int]) -> dict[str, int]:
        """See `StageKind`; nothing is wrong with a record whose answers are equally good."""
        return {check: count for check, count in rejected.items() if check not in (MARGIN, LENGTH_BIAS)}

    def figures(self, stage: Stage, records: Mapping[str, Iterable[Record]]) -> dict[str, Any]:
        """See `StageKind`; the lengths of chosen and rejected answers."""
        return lengths.figures(records.get(stage.name, ())) if self.by else {}


def _by_parent(rows: Mapping[int, Record], journal: Journal) -> Iterator[tuple[int, int]]:
    """The numbers of the records, each with the place of its parent."""
    for number, record in rows.items():
        parent = journal.place(record.parent or "")
        if parent is not None:
            yield packed(*parent[1:]), number


def _single(rest: Rest, name: str) -> bool:
    """Whether a stage gives each record one answer: one request, one choice, and the reply is the answer."""
    options, prompt = rest.config.pipeline[name].options, rest.config.prompts.get(name)
    if prompt is None or prompt.parse is None or prompt.parse.kind != "text":
        return False
    return bool(options.get("times", 1) == 1 and prompt.sampling.get("n", 1) == 1)
