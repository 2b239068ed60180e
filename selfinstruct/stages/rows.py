"""`rows`: the rows of a file as records, about which later stages ask; it asks no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from selfinstruct.config import Machine, OnDisk
from selfinstruct.records import Record, stream
from selfinstruct.sources.rows import Mapped, read
from selfinstruct.stages import STAGES, Material, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.forecast import Known
from selfinstruct.stages.kind import Parts, samples
from selfinstruct.stages.ranges import Range, exactly
from selfinstruct.stages.unasked import Unasked


@STAGES.register
def rows(
    *,
    path: Annotated[str, Machine, OnDisk],
    columns: dict[str, str | list[str] | None] | None = None,
    lists: list[str] | None = None,
    optional: list[str] | None = None,
    most: Annotated[int | None, Field(ge=1, le=100_000_000)] = None,
    shuffle: bool = False,
    instances: Annotated[int | None, Field(ge=1, le=100_000_000)] = None,
) -> Rows:
    """Makes a record of each row of a file; asks no model. `target` does not limit it.

    Args:
        path: JSONL, JSON, CSV, TSV, Parquet or text, or a folder of such files; in your folder, or else among
            ours. It may change when a run continues, if the rows stay the same.
        columns: field: the column, or several, of which the first that a row has is used; a field in `lists`
            uses all of them. null leaves the field out. Without this, all columns are fields.
        lists: the fields that are lists of texts; a single text becomes a list of one.
        optional: the fields that no row needs to have.
        most: take so many rows, drawn with the recipe's seed; null takes all.
        shuffle: take them in an order drawn with the recipe's seed.
        instances: of a row that lists instances, take so many, the first ones; null takes all.
    """
    mapped = Mapped(columns or {}, lists or [], optional or [], instances)
    return Rows(path=path, mapped=mapped, most=most, shuffle=shuffle)


@dataclass(frozen=True, kw_only=True)
class Rows(StageKind):
    """The kind `rows`; the rows are the stage's material."""

    path: str
    mapped: Mapped
    most: int | None
    shuffle: bool

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`."""
        found = read(self.path, self.mapped, parts.project, f"pipeline.{parts.name}", parts.faults)
        material = Material(found, "rows") if found else None
        stage = parts.unasked(self, material=material)
        return stage if material else None

    @property
    def reads_files(self) -> bool:
        """See `StageKind`."""
        return True

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`; the sample values are those of the first row."""
        fields = [field for field, column in self.mapped.columns.items() if column is not None]
        first: dict[str, Any] = dict.fromkeys(fields, "text")
        for row in reversed(stage.material.rows if stage and stage.material else ()):
            first = {**first, **row}
        return samples(first, stage.name if stage else "")

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        assert stage.material, "a stage that is built without one has a fault"
        there = len(stage.material.rows)
        return f"takes {min(self.most or there, there)} of {there} {stage.material.told}, without a model"

    def made_of(self, known: Known) -> Range:
        """See `StageKind`."""
        return exactly(min(self.most or known.rows.expected, known.rows.expected))

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        return Unasked(stage, run, self.candidates(stage, run.seed))

    def candidates(self, stage: Stage, seed: int) -> list[Record]:
        """The records that a run makes, before its checks.

        Args:
            stage: the stage.
            seed: the recipe's seed, which draws the rows if there are more than are taken.
        """
        found = list(enumerate(stage.material.rows if stage.material else [], 1))
        order = found[:]
        stream(seed, stage.name, "order").shuffle(order)
        chosen = order[: self.most]
        if self.shuffle:  # a run has its records in the order of their numbers
            picked = list(enumerate((row for _, row in chosen), 1))
        else:
            picked = sorted(chosen, key=lambda one: one[0])
        return [stage.record(number, 0, row) for number, row in picked]
