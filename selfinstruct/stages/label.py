"""`label`: one request a record, which sets one field of it (arXiv 2212.10560, section 2.2, step 2)."""

from __future__ import annotations

from selfinstruct.stages import STAGES, Kind
from selfinstruct.stages.each import Each


@STAGES.register
def label(*, of: str | None = None, by: str | None = None) -> Kind:
    """Sets a field of each record; a record whose label is rejected goes no further.

    Args:
        of: the stage whose records to label; the nearest before it that makes records.
        by: the field that picks the prompt's variant.
    """
    return Kind(open=Each, labels=True, of=of, by=by)
