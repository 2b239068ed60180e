"""A kind of stage."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from selfinstruct.records import Record
from selfinstruct.stages import Kind, Stage, StageContext
from selfinstruct.stages.each import Each


def label_long(
    *, field: str, characters: Annotated[int, Field(ge=1)], of: str | None = None, by: str | None = None
) -> Kind:
    """As `label`, but asks only about records with a long text; the others go on without the label.

    Args:
        field: the field whose length counts.
        characters: a text is long from this many on.
        of: the stage whose records to label; the nearest before it that makes records.
        by: the field that picks the prompt's variant.
    """

    def open(stage: Stage, run: StageContext) -> Each:
        def rows() -> dict[int, Record]:
            found = run.rows()
            return {key: row for key, row in found.items() if len(row.data.get(field, "")) >= characters}

        return Each(stage, replace(run, rows=rows))

    return Kind(open, labels=True, of=of, by=by)
