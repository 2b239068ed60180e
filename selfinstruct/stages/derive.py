"""`derive`: sets a field of each record from others by a rule, such as the verdict of several judges.

To add a rule, add a line to `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from selfinstruct.stages import STAGES, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.kind import samples
from selfinstruct.stages.unasked import Unasked
from selfinstruct.where import is_one_of

RULES: dict[str, Callable[[list[float]], float]] = {
    "mean": fmean,
    "median": median,
    "minimum": min,
    "maximum": max,
    "spread": lambda numbers: max(numbers) - min(numbers),
    "deviation": pstdev,
}


@STAGES.register
def derive(
    *,
    field: str,
    sources: Annotated[list[str], Field(min_length=1)],
    rule: Literal["mean", "median", "minimum", "maximum", "spread", "deviation", "majority", "agreement"],
    otherwise: Any = "undecided",
    of: str | None = None,
) -> Derive:
    """Sets a field of each record from other fields of it by a rule; no model is asked.

    Args:
        field: the field to set.
        sources: the fields from which it is computed.
        rule: `mean`, `median`, `minimum` or `maximum` of the sources that are numbers; their `spread`, from
            the lowest to the highest, or their standard `deviation`; or `majority`, the value of more than
            half of the sources, or `agreement`, the share of the sources that have the commonest value.
        otherwise: the value if no source is a number, or no value has a majority; a source that has this
            value itself does not vote.
        of: the stage that makes these records; by default the nearest one before it that makes records.
    """
    return Derive(of=of, field=field, sources=tuple(sources), rule=rule, otherwise=otherwise)


@dataclass(frozen=True, kw_only=True)
class Derive(StageKind):
    """The kind `derive`."""

    field: str
    sources: tuple[str, ...]
    rule: str
    otherwise: Any
    labels: ClassVar[bool] = True

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        sample = "text" if self.rule == "majority" else 1.0
        return samples({self.field: sample}, stage.name if stage else "")

    def needs(self) -> Sequence[str]:
        """See `StageKind`."""
        return self.sources

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        made = (
            stage.record(number, 0, {**row.data, self.field: self._value(row.data)}, row)
            for number, row in run.rows().items()
        )
        return Unasked(stage, run, made)

    def _value(self, data: Mapping[str, Any]) -> Any:
        found = [data.get(key) for key in self.sources]
        votes = [one for one in found if not is_one_of(one, [None, self.otherwise])]
        if self.rule == "majority":
            return next((one for one in votes if 2 * _count(one, votes) > len(found)), self.otherwise)
        if self.rule == "agreement":
            return max(_count(one, votes) for one in votes) / len(found) if votes else self.otherwise
        numbers = [one for one in found if isinstance(one, int | float) and not isinstance(one, bool)]
        return RULES[self.rule](numbers) if numbers else self.otherwise


def _count(value: Any, votes: Sequence[Any]) -> int:
    return sum(is_one_of(vote, [value]) for vote in votes)
