"""`expand`: one request a record, which yields its children (arXiv 2212.10560, section 2.2, step 3)."""

from __future__ import annotations

from selfinstruct.stages import STAGES, Kind
from selfinstruct.stages.each import Each


@STAGES.register
def expand(*, of: str | None = None, by: str | None = None) -> Kind:
    """Makes children of each record; a child has the fields of its parent and its own.

    Args:
        of: the stage whose records to expand; the nearest before it that makes records.
        by: the field that picks the prompt's variant.
    """
    return Kind(open=Each, of=of, by=by)
