"""`expand`: one request a record, which yields its children (arXiv 2212.10560, section 2.2, step 3).

A stage whose prompt reads fields that its records have already rewrites them. The variants of its prompt are
then the ways of rewriting, drawn by weight: instructions evolved as in Evol-Instruct (arXiv 2304.12244) are
two or three such stages, one after the other.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from selfinstruct.config import Machine
from selfinstruct.records import KEPT
from selfinstruct.stages import STAGES, Kind
from selfinstruct.stages.each import PATIENCE, Endurance, Share, asking, conditions


@STAGES.register
def expand(
    *,
    of: str | None = None,
    by: str | None = None,
    where: dict[str, Any] | None = None,
    share: Share = 0.5,
    expected: Annotated[float, Field(gt=0, le=1_000), Machine] = 1.0,
    draw: dict[str, Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]] | None = None,
    variant_field: str | None = None,
    keep: bool = False,
    patience: Endurance = PATIENCE,
) -> Kind:
    """Makes children of each record; a child has the fields of its parent and its own.

    Args:
        of: the stage whose records to expand; the nearest before it that makes records.
        by: the field that picks the prompt's variant.
        where: field: value, or a list of values; only the records that have them get children.
        share: of the records, how many `where` is expected to pick, in the plan that check prints.
        expected: accepted records that a reply is taken to yield, in the plan, until enough have come.
        draw: variant: its weight, where variants are drawn instead; 0 switches one off.
        variant_field: the field of a child that gets the name of the variant drawn, or `kept`.
        keep: a record of which no child was accepted goes on as it is, as its own child.
        patience: stop after so many replies in a row that could not be used, or half as many from the start;
            may change when a run goes on.
    """
    if draw is not None:
        _check(draw, by)
    elif variant_field is not None:
        raise ValueError("variant_field names the field for the variant drawn, but there is no draw")
    allowed = conditions(where or {})
    return Kind(
        open=asking(patience),
        of=of,
        by=by,
        where=allowed,
        share=share if allowed else 1.0,
        expected=expected,
        draw=draw or {},
        sets=variant_field,
        keep=keep,
    )


def _check(draw: dict[str, float], by: str | None) -> None:
    if by is not None:
        raise ValueError("by and draw both pick the prompt's variant; leave one of them out")
    if not any(draw.values()):
        raise ValueError("draw gives no variant a weight above 0")
    if KEPT in draw:
        raise ValueError(
            f"draw: no variant can be named {KEPT!r}, which says that a record went on as it was"
        )
