"""`prefer`: the chosen and the rejected answer of a pair, by a judge that has compared it in both orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from selfinstruct.errors import Fault
from selfinstruct.records import Record, Rejection
from selfinstruct.stages import STAGES, Stage, StageContext, StageKind, StageRun, lengths
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.kind import Rest, samples
from selfinstruct.stages.lengths import CHOSEN, LENGTH_BIAS, REJECTED, Bound, Tally
from selfinstruct.stages.unasked import Unasked
from selfinstruct.where import is_one_of

FIRST, SECOND, TIE = "first", "second", "tie"
OTHER = {FIRST: SECOND, SECOND: FIRST, TIE: TIE}
POSITION, UNDECIDED = "position", "undecided"  # the checks besides `tie` and `length_bias`
PREFERRED = "preferred"


@STAGES.register
def prefer(
    *,
    of: str | None = None,
    verdict: str = "verdict",
    swapped: str | None = "verdict_swapped",
    ties: Literal["reject", "shorter"] = "reject",
    length_bias: Bound | None = None,
) -> Prefer:
    """Sets `chosen`, `rejected` and `preferred` of pairs that a judge has compared; asks no model.

    A pair has the answers `first` and `second` (kind `pair` without `by`). A verdict is `first`, `second` or
    `tie`. A pair is rejected as `tie` if both verdicts say so, as `position` if the verdict changed with the
    order, as `undecided` if there is no verdict, and as `length_bias`.

    Args:
        of: the stage with the pairs; by default the nearest one before it that makes records.
        verdict: the field with the verdict.
        swapped: the field with the verdict in the other order, where `first` is the second answer of the
            pair; null if the judge was asked once.
        ties: what to do with a pair whose verdicts are a tie, or changed with the order: `reject` it, or
            choose the `shorter` answer.
        length_bias: the largest share of pairs whose chosen answer is the longer one, in characters; in the
            order of the records, one that would be too many (rounded up to a whole pair) is rejected.
    """
    return Prefer(of=of, verdict=verdict, swapped=swapped, ties=ties, length_bias=length_bias)


@dataclass(frozen=True, kw_only=True)
class Prefer(StageKind):
    """The kind `prefer`."""

    verdict: str
    swapped: str | None
    ties: str
    length_bias: float | None
    labels: ClassVar[bool] = True

    @property
    def verdicts(self) -> list[str]:
        """The fields with the verdicts."""
        return [self.verdict, *([self.swapped] if self.swapped else [])]

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        values = {CHOSEN: "text", REJECTED: "text", PREFERRED: FIRST}
        return samples(values, stage.name if stage else "")

    def needs(self) -> Sequence[str]:
        """See `StageKind`."""
        return (FIRST, SECOND, *self.verdicts)

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """See `StageKind`; a verdict must be able to name either answer."""
        found = super().faults(stage, rest)
        for name in self.verdicts:
            one = rest.fields.get(name)
            lacking = [
                side for side in (FIRST, SECOND) if one and one.values and not is_one_of(side, one.values)
            ]
            if lacking:
                what = f"{name!r} of stage {one.stage if one else ''} is never {lacking[0]}"
                remedy = "have the judge answer first, second or tie"
                found.append(Fault(f"pipeline.{stage.name}", what, remedy))
        return found

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        both = "both verdicts agree" if self.swapped else "the verdict is clear"
        return f"sets chosen and rejected of each of {stage.of} where {both}, without a model"

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        tally = Tally(self.length_bias)
        work = Unasked(stage, run, self._candidates(stage, run, tally))
        work.note = tally.note
        return work

    def _candidates(self, stage: Stage, run: StageContext, tally: Tally) -> Iterator[Record]:
        """A record for each pair; those that the run has already are counted only."""
        for place, row in run.rows().items():
            before = [*run.journal.records(stage.name, request=place)]
            record = before[0] if before else self._decided(stage, place, row, tally)
            yield record  # it gets its fate before the next one is made
            tally.count(record)

    def _decided(self, stage: Stage, place: int, row: Record, tally: Tally) -> Record:
        said = [row.data.get(name) for name in self.verdicts]
        record = stage.record(place, 0, dict(row.data), row)
        better, check, why = self._better(said, row.data)
        if better is None:
            record.reject(check, Rejection(why))
            return record
        texts = {CHOSEN: row.data[better], REJECTED: row.data[OTHER[better]]}
        if not tally.allows(*(str(text).strip() for text in texts.values())):
            record.reject(LENGTH_BIAS, tally.rejection)
            return record
        record.data |= {**texts, PREFERRED: better}
        return record

    def _better(self, said: Sequence[Any], data: Mapping[str, Any]) -> tuple[str | None, str, str]:
        """The better answer, or None with the check that rejects the pair and the reason."""
        for name, value in zip(self.verdicts, said, strict=True):
            if not isinstance(value, str) or value not in OTHER:
                return None, UNDECIDED, f"{name} is {value}, not first, second or tie"
        straight, other = said[0], OTHER[said[-1]] if self.swapped else said[0]
        if straight == other != TIE:
            return straight, "", ""
        if self.ties == "shorter":
            sizes = {side: len(str(data[side]).strip()) for side in (FIRST, SECOND)}
            return min(sizes, key=lambda side: sizes[side]), "", ""
        if straight == other:
            return None, TIE, "neither answer is better"
        return None, POSITION, f"the verdict changed with the order: {straight}, then {other}"

    def flawed(self, rejected: Mapping[str, int]) -> dict[str, int]:
        """See `StageKind`; nothing is wrong with a pair of equally good answers."""
        usual = (TIE, POSITION, LENGTH_BIAS)
        return {check: count for check, count in rejected.items() if check not in usual}

    def figures(self, stage: Stage, records: Mapping[str, Iterable[Record]]) -> dict[str, Any]:
        """See `StageKind`; the lengths of chosen and rejected answers."""
        return lengths.figures(records.get(stage.of or "", ()))
