"""`derive`: sets a field of each record from others by a rule, and asks no model; several judges' verdict.

To add a rule, add a line to `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import Annotated, Any, Literal

from pydantic import Field

from selfinstruct.stages import STAGES, Kind, Stage, StageContext, StageRun, is_one_of
from selfinstruct.stages.unasked import Unasked

RULES: dict[str, Callable[[list[float]], float]] = {
    "mean": fmean,
    "median": median,
    "minimum": min,
    "maximum": max,
}


@STAGES.register
def derive(
    *,
    field: str,
    sources: Annotated[list[str], Field(min_length=1)],
    rule: Literal["mean", "median", "minimum", "maximum", "majority"],
    otherwise: Any = "undecided",
    of: str | None = None,
) -> Kind:
    """Sets a field of each record from other fields of it by a rule; no model is asked.

    Args:
        field: the field to set.
        sources: the fields it follows from.
        rule: `mean`, `median`, `minimum` or `maximum` of those that are numbers; or `majority`, the value
            that more than half of the sources have.
        otherwise: the value where no source is a number, or none has a majority; a source that has it itself
            does not vote.
        of: the stage whose records these are; the nearest before it that makes records.
    """

    def value(found: Sequence[Any]) -> Any:
        if rule == "majority":
            votes = [one for one in found if not is_one_of(one, [None, otherwise])]
            return next((one for one in votes if 2 * _count(one, votes) > len(found)), otherwise)
        numbers = [one for one in found if isinstance(one, int | float) and not isinstance(one, bool)]
        return RULES[rule](numbers) if numbers else otherwise

    def open(stage: Stage, run: StageContext) -> StageRun:
        made = (
            stage.record(number, 0, {**row.data, field: value([row.data.get(key) for key in sources])}, row)
            for number, row in run.rows().items()
        )
        return Unasked(stage, run, made)

    sample = "text" if rule == "majority" else 1.0
    return Kind(open, labels=True, of=of, asks=False, gives={field: sample}, uses=tuple(sources))


def _count(value: Any, votes: Sequence[Any]) -> int:
    return sum(is_one_of(vote, [value]) for vote in votes)
