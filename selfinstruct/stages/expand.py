"""`expand`: one request for each record, which gives its children (arXiv 2212.10560, section 2.2, step 3).

A stage rewrites its records if its prompt reads fields that they already have. Then the variants of its
prompt are the ways of rewriting, drawn by weight: to evolve instructions as in Evol-Instruct (arXiv
2304.12244), use two or three such stages, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field as Bound

from selfinstruct.config import Machine
from selfinstruct.errors import Fault, unknown
from selfinstruct.journal.store import Journal
from selfinstruct.prompts.templates import Prompt
from selfinstruct.records import KEPT, Record, Request
from selfinstruct.stages import STAGES, Stage, StageContext, StageRun, variants
from selfinstruct.stages.each import PATIENCE, AboutEach, Endurance, Share, Times
from selfinstruct.stages.fields import Field, Sample, read_from
from selfinstruct.stages.forecast import Forecast, Known, asked_of_each, asked_until_filled
from selfinstruct.stages.kind import Rest, Trial, counted
from selfinstruct.stages.quota import MADE, MISSING, TARGET, Filled, Quota, names_for
from selfinstruct.stages.tape import ByRecord, ReplayStats, Tape
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
    quota: Annotated[int, Bound(ge=1, le=100_000)] | Literal["target"] | None = None,
    weight: str | None = None,
    tries: Annotated[int, Bound(ge=1, le=1_000), Machine] = 20,
    idle: Annotated[int, Bound(ge=1, le=1_000), Machine] = 3,
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
        quota: how many accepted children each record gets: it is asked about again until it has them.
            `target` divides the recipe's target among the records. Then templates can use `made`, the
            children that it has so far, and `missing`, how many it lacks.
        weight: the field that says how much of the target a record gets, compared with the others; by default
            all get the same.
        tries: with a quota, the most requests about a record; may change when a run continues.
        idle: with a quota, stop asking about a record after this many replies in a row that added nothing;
            may change when a run continues.
        patience: stop after this many replies in a row that were not usable, or after half as many if none
            was usable from the start; may change when a run continues.
    """
    if draw is not None:
        _check(draw, by)
    elif variant_field is not None:
        raise ValueError("variant_field names the field for the variant drawn, but there is no draw")
    if keep and times > 1:
        raise ValueError("keep and times do not go together: each request would keep the record once more")
    if quota is not None and times > 1:
        raise ValueError("times and quota do not go together: a quota asks as often as it takes")
    if quota is not None and keep:
        raise ValueError("keep and quota do not go together: a record cannot be one of its own children then")
    if weight is not None and quota != TARGET:
        raise ValueError("weight divides the target, so it needs quota: target")
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
        quota=None if quota is None else Quota(quota, weight, tries, idle),
    )


@dataclass(frozen=True, kw_only=True)
class Expand(AboutEach):
    """The kind `expand`.

    Attributes:
        expected: how many accepted children a reply may give, for a plan.
        draw: the weight of each variant by its name, if variants are drawn.
        variant_field: the field of each child that holds the name of the drawn variant.
        quota: how many children each record gets; None for those of one reply.
    """

    expected: float = 1.0
    draw: Mapping[str, float] = field(default_factory=dict)
    variant_field: str | None = None
    quota: Quota | None = None

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

    def names(self, stage: Stage, rest: Rest) -> dict[str, Any]:
        """See `StageKind`."""
        names = super().names(stage, rest)
        if not self.quota:
            return names
        return names_for(names, [{key: one.value for key, one in self.gives(stage).items()}], 1)

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """See `StageKind`; a quota's names must not be fields, and its weight must be one."""
        found = super().faults(stage, rest)
        if self.quota and self.quota.weight and self.quota.weight not in {**rest.unsure, **rest.fields}:
            where = f"pipeline.{stage.name}.weight"
            found.append(Fault(where, *unknown("field", self.quota.weight, rest.fields)))
        for name in (MADE, MISSING) if self.quota else ():
            if name in rest.fields:
                what = f"the records have a field {name!r}, but with a quota templates use this name"
                found.append(Fault(f"pipeline.{stage.name}.quota", what, "rename the field"))
        return found

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        if self.quota:
            return f"expands {self.which(stage)}, again {self.quota}, {self.quota.tries} requests at most"
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
        part = self.part(stage, known)
        if quota := self.quota:
            return asked_until_filled(
                stage.name,
                known,
                part,
                self.expected,
                lambda records, each: quota.requests(records, known.target, each),
                lambda records: quota.wanted(records, known.target),
            )
        return asked_of_each(stage.name, known, part, self.expected, self.keep)

    def trials(self, stage: Stage, trial: Trial) -> Iterator[Request]:
        """See `StageKind`; with a quota, as if nothing was made yet."""
        if self.quota:
            share = self.quota.wanted(1, max(1, trial.config.target // max(1, len(trial.rows))))
            trial = replace(trial, fields=names_for(trial.fields, [], round(share)))
        return super().trials(stage, trial)

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        return Filled(stage, run, self.quota, self.patience) if self.quota else super().open(stage, run)

    def progress(self, stage: Stage, journal: Journal) -> int | None:
        """See `StageKind`; with a quota, accepted records count."""
        return None if self.quota else super().progress(stage, journal)

    @property
    def repeats(self) -> bool:
        """See `StageKind`."""
        return self.quota is not None

    def tape(self, stage: Stage, source: Journal, into: Journal, stats: ReplayStats) -> Tape:
        """See `StageKind`."""
        if self.quota:
            return ByRecord(stage.name, source, into, stats)
        return super().tape(stage, source, into, stats)

    def quotas(
        self, stage: Stage, rows: Callable[[], Mapping[int, Record]], target: int, seed: int
    ) -> Mapping[int, int]:
        """See `StageKind`."""
        if not self.quota:
            return {}
        return self.quota.of(self.fitting(rows()), target, seed, stage.name)

    @property
    def _divides(self) -> bool:
        """Whether the recipe's target says how many records it makes."""
        return self.quota is not None and self.quota.each == TARGET

    def falls_short(self, accepted: int, goal: int) -> bool:
        """See `StageKind`."""
        return self._divides and accepted < goal

    def came(self, stage: Stage, accepted: int, left: int, target: int | None) -> str:
        """See `StageKind`."""
        if not self._divides:
            return super().came(stage, accepted, left, target)
        return counted(stage.name, accepted, left, target)

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
