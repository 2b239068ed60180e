"""`expand`: one request for each record, which gives its children (arXiv 2212.10560, section 2.2, step 3).

A stage rewrites its records if its prompt reads fields that they already have. Then the variants of its
prompt are the ways of rewriting, drawn by weight: to evolve instructions as in Evol-Instruct (arXiv
2304.12244), use two or three such stages, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field as Bound

from selfinstruct.config import Machine
from selfinstruct.errors import Fault
from selfinstruct.prompts.templates import Prompt
from selfinstruct.records import KEPT
from selfinstruct.stages import STAGES, Stage, variants
from selfinstruct.stages.each import PATIENCE, AboutEach, Endurance, Share, Times
from selfinstruct.stages.fields import Field, Sample, read_from
from selfinstruct.stages.forecast import Forecast, Known, asked_of_each
from selfinstruct.where import Conditions, Where


@STAGES.register
def expand(
    *,
    of: str | None = None,
    by: str | None = None,
    where: Conditions | None = None,
    share: Share = 0.5,
    expected: Annotated[float, Bound(gt=0, le=1_000), Machine] = 1.0,
    draw: dict[str, Annotated[float, Bound(ge=0, le=1_000_000, allow_inf_nan=False)]] | None = None,
    variant_field: str | None = None,
    keep: bool = False,
    times: Times = 1,
    patience: Endurance = PATIENCE,
) -> Expand:
    """Makes children of each record; a child has its parent's fields and its own.

    Args:
        of: the stage whose records to expand; by default the nearest one before it that makes records.
        by: the field that picks the prompt's variant.
        where: field: condition; only the records that fit get children. A condition is a value, a list of
            values, or {not: …}, {at_least: …}, {at_most: …}, {above: …}, {below: …}.
        share: the share of the records that `where` is expected to pick, in the plan that check prints.
        expected: how many accepted records a reply is assumed to give, in the plan, until enough replies
            came.
        draw: variant: its weight, to draw variants instead; 0 turns one off.
        variant_field: the field of a child that gets the name of the drawn variant, or `kept`.
        keep: a record with no accepted child goes on unchanged, as its own child.
        times: how many requests to send about each record; each is answered and sampled on its own.
        patience: stop after this many replies in a row that were not usable, or after half as many if none
            was usable from the start; may change when a run continues.
    """
    if draw is not None:
        _check(draw, by)
    elif variant_field is not None:
        raise ValueError("variant_field names the field for the variant drawn, but there is no draw")
    if keep and times > 1:
        raise ValueError("keep and times do not go together: each request would keep the record once more")
    allowed = Where.of(where)
    return Expand(
        of=of,
        by=by,
        where=allowed,
        share=share if allowed else 1.0,
        patience=patience,
        keep=keep,
        times=times,
        expected=expected,
        draw=draw or {},
        variant_field=variant_field,
    )


@dataclass(frozen=True, kw_only=True)
class Expand(AboutEach):
    """The kind `expand`.

    Attributes:
        expected: how many accepted children a reply may give, for a plan.
        draw: the weight of each variant by its name, if variants are drawn.
        variant_field: the field of each child that holds the name of the drawn variant.
    """

    expected: float = 1.0
    draw: Mapping[str, float] = field(default_factory=dict)
    variant_field: str | None = None

    @property
    def varies(self) -> bool:
        """See `AboutEach`; the variants are drawn for each request."""
        return bool(self.draw)

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        own = self._names_variant(stage.name if stage else "")
        return read_from(stage, own) if stage else own

    def inherited(self, stage: Stage, fields: Sample) -> Sample:
        """See `StageKind`; the record has the name of the variant before its reply is read."""
        return {**super().inherited(stage, fields), **self._names_variant(stage.name)}

    def stamp(self, variant: str | None) -> dict[str, Any]:
        """See `StageKind`."""
        return {self.variant_field: variant} if self.variant_field else {}

    def _names_variant(self, stage: str) -> Sample:
        """The field with the name of the drawn variant."""
        values = (*self.draw, *([KEPT] if self.keep else []))
        return {self.variant_field: Field(values[0], stage, values)} if self.variant_field else {}

    def _of_variants(self, stage: Stage, fields: Sample, names: dict[str, Any]) -> list[Fault]:
        if self.draw:
            return list(variants.drawn_faults(stage, self.draw, self.variant_field, names))
        return super()._of_variants(stage, fields, names)

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        return f"expands {self.which(stage)}, {self.how_often}"

    def remarks(self, stage: Stage) -> list[str]:
        """See `StageKind`; with the weights from the options."""
        return ["variants drawn by weight"] if self.draw else super().remarks(stage)

    def _tried(
        self, stage: Stage, row: Mapping[str, Any], data: dict[str, Any], number: int, seed: int
    ) -> Prompt:
        if self.draw:
            return self.variant(stage, data, number, seed)
        return super()._tried(stage, row, data, number, seed)

    def forecast(self, stage: Stage, known: Known) -> Forecast:
        """See `StageKind`."""
        return asked_of_each(stage.name, known, self.part(stage, known), self.expected, self.keep)

    def variant(self, stage: Stage, data: Mapping[str, Any], number: int, seed: int) -> Prompt:
        """See `StageKind`."""
        if self.draw:
            return variants.drawn(stage, self.draw, dict(data), number, seed)
        return super().variant(stage, data, number, seed)


def _check(draw: dict[str, float], by: str | None) -> None:
    if by is not None:
        raise ValueError("by and draw both pick the prompt's variant; leave one of them out")
    if not any(draw.values()):
        raise ValueError("draw gives no variant a weight above 0")
    if KEPT in draw:
        raise ValueError(
            f"draw: no variant can be named {KEPT!r}: this name marks records that went on unchanged"
        )
