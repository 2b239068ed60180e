"""`sample`: passes on a share or a number of the records of a stage, at random or the best by a field.

A share is drawn group by group (one of each ten for 0.1), so that a run that grows keeps what it has drawn. A
number, or the best, is chosen again when there are more records.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Annotated

from pydantic import Field

from selfinstruct.errors import Fault
from selfinstruct.records import Record, Rejection, stream
from selfinstruct.stages import STAGES, Stage, StageContext, StageKind, StageRun, numbers
from selfinstruct.stages.forecast import Known
from selfinstruct.stages.kind import Parts, Rest
from selfinstruct.stages.ranges import Range, exactly
from selfinstruct.stages.unasked import Unasked

NOT_DRAWN = "not_drawn"  # the check that rejects the records not drawn


@STAGES.register
def sample(
    *,
    of: str | None = None,
    count: Annotated[int | None, Field(ge=1, le=100_000_000)] = None,
    share: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None,
    best: str | None = None,
) -> Sample:
    """Passes on a share or a number of the records of a stage, drawn at random or the best; asks no model.

    The others are rejected as `not_drawn`. If it has filters, it takes records until `count` have passed
    them: with `rouge_l`, for example, the best that differ from each other.

    Args:
        of: the stage whose records to draw from; by default the nearest one before it that makes records.
        count: how many of them to take; all if there are fewer.
        share: which part of them to take, instead of a count: 0.1 draws one of each ten.
        best: take the records with the highest number in this field, instead of a random draw; equal ones in
            an order drawn with the recipe's seed, records without a number last.
    """
    if (count is None) == (share is None):
        raise ValueError("give count or share, and not both: count=1000, or share=0.1")
    return Sample(of=of, count=count, share=share, best=best)


@dataclass(frozen=True, kw_only=True)
class Sample(StageKind):
    """The kind `sample`."""

    count: int | None
    share: float | None
    best: str | None

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`; its records come from another stage, so they can have that stage's schema."""
        of = parts.source(self.of)
        parts.inherit_schema(of)
        stage = parts.unasked(self, of)
        return stage if of else None

    @property
    def grows(self) -> bool:
        """See `StageKind`."""
        return self.count is None and self.best is None

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """See `StageKind`; the field in `best` must exist, and hold numbers."""
        found = super().faults(stage, rest)
        if self.best is None:
            return found
        where = f"pipeline.{stage.name}.best"
        return [*found, *numbers.faults(where, self.best, rest.fields, rest.unsure, rest.config.schemas)]

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        much = f"{self.count:,}" if self.count else f"{self.share:g}"
        how = f"the best {much} of {stage.of} by {self.best}" if self.best else f"{much} of {stage.of}"
        return f"passes on {how}{'' if self.best else ', drawn by the seed'}, without a model"

    def made_of(self, known: Known) -> Range:
        """See `StageKind`."""
        return known.rows.at_most(self.count) if self.count else known.rows * exactly(self.share or 0)

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        rows = run.rows()
        if self.grows:
            return Unasked(stage, run, self._groups(stage, run, rows))
        most = self.count or max(1, round((self.share or 0) * len(rows)))
        beyond = partial(self._stays, min(most, len(rows)), len(rows))
        values = list(map(self._value, rows.values())) if self.best else []
        order = self._order(stage, run.seed, array("q", rows), values)
        drawn = (_copy(stage, number, rows[number]) for number in order)
        work = Unasked(stage, run, drawn, most, beyond, anew=True)
        lacking = sum(value is None for value in values)
        work.note = "; ".join(self._notes(stage, len(rows), work.accepted, lacking))
        return work

    def _groups(self, stage: Stage, run: StageContext, rows: Mapping[int, Record]) -> Iterator[Record]:
        """All the records; those not drawn in their group are rejected."""
        share = Fraction(str(self.share))
        rarer = min(share, 1 - share)  # one of each group is drawn, or one is not
        for place, (number, row) in enumerate(rows.items()):
            record, group = _copy(stage, number, row), math.floor(place * rarer)
            first, after = (math.ceil(edge / rarer) if rarer else 0 for edge in (group, group + 1))
            one = rarer and place == stream(run.seed, stage.name, group).choice(range(first, after))
            if bool(one) != (share == rarer):
                reason = f"not among the share of {self.share:g} that the recipe's seed has drawn"
                record.reject(NOT_DRAWN, Rejection(reason))
            yield record

    def _order(
        self, stage: Stage, seed: int, there: Sequence[int], values: Sequence[float | None]
    ) -> Sequence[int]:
        """The numbers of the records, the best first; equal ones keep their order when records are added.

        Args:
            stage: the stage.
            seed: the recipe's seed.
            there: the numbers of the records.
            values: the values of the records, in the same order; empty for a random draw.
        """
        chance = array("d", (stream(seed, stage.name, number).random() for number in there))
        order = sorted(range(len(there)), key=chance.__getitem__, reverse=True)
        if values:  # sorting keeps the order of equal ones
            best = [-math.inf if value is None else value for value in values]
            order.sort(key=best.__getitem__, reverse=True)
        return array("q", (there[place] for place in order))

    def _value(self, record: Record) -> float | None:
        return numbers.number(record.data.get(self.best or ""))

    def _stays(self, drawn: int, there: int, record: Record) -> None:
        """Reject a record after the drawn ones."""
        among = f"not among the {drawn:,} drawn of {there:,}"
        if self.best is None:
            record.reject(NOT_DRAWN, Rejection(f"{among} by the recipe's seed"))
            return
        value = json.dumps(record.data.get(self.best), ensure_ascii=False)
        words = value if len(value) <= 40 else f"{value[:39]}…"
        record.reject(NOT_DRAWN, Rejection(f"{among}, the best by {self.best}, which is {words} here"))

    def _notes(self, stage: Stage, there: int, accepted: int, lacking: int) -> Iterator[str]:
        if self.count and accepted < self.count:
            passed = f"{accepted:,} of {there:,} {stage.of}"
            yield f"count={self.count} asks for more than the {passed} that could be passed on"
        if lacking:
            yield f"{lacking:,} of {there:,} {stage.of} have no number in {self.best!r} and came last"

    def flawed(self, rejected: Mapping[str, int]) -> dict[str, int]:
        """See `StageKind`; nothing is wrong with a record that was not drawn."""
        return {check: count for check, count in rejected.items() if check != NOT_DRAWN}


def _copy(stage: Stage, number: int, row: Record) -> Record:
    return stage.record(number, 0, dict(row.data), row)
