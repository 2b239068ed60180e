"""`expand`: one request a record, which yields its children (arXiv 2212.10560, section 2.2, step 3)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from selfinstruct.config import Machine
from selfinstruct.stages import STAGES, Kind
from selfinstruct.stages.each import Each, Share, conditions


@STAGES.register
def expand(
    *,
    of: str | None = None,
    by: str | None = None,
    where: dict[str, Any] | None = None,
    share: Share = 0.5,
    expected: Annotated[float, Field(gt=0), Machine] = 1.0,
) -> Kind:
    """Makes children of each record; a child has the fields of its parent and its own.

    Args:
        of: the stage whose records to expand; the nearest before it that makes records.
        by: the field that picks the prompt's variant.
        where: field: value, or a list of values; only the records that have them get children.
        share: of the records, how many `where` is expected to pick, in the plan that check prints.
        expected: accepted records that a reply is taken to yield, in the plan, until enough have come.
    """
    allowed = conditions(where or {})
    return Kind(open=Each, of=of, by=by, where=allowed, share=share if allowed else 1.0, expected=expected)
