"""`label`: one request for each record, which sets a field of it (arXiv 2212.10560, section 2.2, step 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from selfinstruct.stages import STAGES, Stage
from selfinstruct.stages.each import PATIENCE, AboutEach, Endurance, Share
from selfinstruct.stages.forecast import Forecast, Known, labels_of_each
from selfinstruct.where import Conditions, Where


@STAGES.register
def label(
    *,
    of: str | None = None,
    by: str | None = None,
    where: Conditions | None = None,
    share: Share = 0.5,
    patience: Endurance = PATIENCE,
) -> Label:
    """Sets a field of each record, or several; a record whose label is rejected is dropped.

    Args:
        of: the stage whose records to label; by default the nearest one before it that makes records.
        by: the field that picks the prompt's variant.
        where: field: condition; only the records that fit are asked about, and the others go on unchanged. A
            condition is a value, a list of values, or {not: …}, {at_least: …}, {at_most: …}, {above: …},
            {below: …}.
        share: the share of the records that `where` is expected to pick, in the plan that check prints.
        patience: stop after this many replies in a row that were not usable, or after half as many if none
            was usable from the start; may change when a run continues.
    """
    allowed = Where.of(where)
    return Label(of=of, by=by, where=allowed, share=share if allowed else 1.0, patience=patience)


@dataclass(frozen=True, kw_only=True)
class Label(AboutEach):
    """The kind `label`."""

    labels: ClassVar[bool] = True

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        return f"labels {self.which(stage)}, one request per record"

    def forecast(self, stage: Stage, known: Known) -> Forecast:
        """See `StageKind`."""
        return labels_of_each(known, self.part(stage, known))
