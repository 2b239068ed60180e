"""A kind of stage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from selfinstruct.records import Record
from selfinstruct.stages import Stage, StageContext, StageRun
from selfinstruct.stages.each import Each
from selfinstruct.stages.label import Label


def label_long(
    *, field: str, characters: Annotated[int, Field(ge=1)], of: str | None = None, by: str | None = None
) -> LabelLong:
    """As `label`, but asks only about records with a long text; the others go on without the label.

    Args:
        field: the field whose length counts.
        characters: a text is long from this many on.
        of: the stage whose records to label; the nearest before it that makes records.
        by: the field that picks the prompt's variant.
    """
    return LabelLong(of=of, by=by, field=field, characters=characters)


@dataclass(frozen=True, kw_only=True)
class LabelLong(Label):
    """Answers as `label` does, but for what is different."""

    field: str
    characters: int

    def needs(self) -> tuple[str, ...]:
        """The field has to be there, which `check` sees to."""
        return (self.field,)

    def does(self, stage: Stage, target: int) -> str:
        """The line in the plan."""
        return f"labels each of {stage.of} with {self.characters} characters of {self.field} or more"

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """Ask about the long ones alone."""

        def rows() -> dict[int, Record]:
            long = self.characters
            return {key: row for key, row in run.rows().items() if len(row.data[self.field]) >= long}

        return Each(stage, replace(run, rows=rows), self.patience)
