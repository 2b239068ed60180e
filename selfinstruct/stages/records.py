"""`records`: the accepted records of a finished run, or the rows of a dataset file; it asks no model.

So a second recipe answers, judges or translates what a first one made, without paying for it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from selfinstruct.config import Machine, OnDisk
from selfinstruct.errors import Fault, unknown
from selfinstruct.sources.past_runs import Asked, PastRun, closed_values, columns_of, read_run
from selfinstruct.sources.rows import Mapped, find_column, read
from selfinstruct.stages import STAGES, Material, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.fields import Field, Sample, sure
from selfinstruct.stages.forecast import Known
from selfinstruct.stages.kind import Parts, counted
from selfinstruct.stages.ranges import Range
from selfinstruct.stages.unasked import taken, takes, up_to_target
from selfinstruct.where import Condition, Conditions, Where
from selfinstruct.where import faults as where_faults

SOURCE, SOURCE_ID = "source", "source_id"  # details of each record


@STAGES.register
def records(
    *,
    run: Annotated[str | None, Machine, OnDisk] = None,
    path: Annotated[str | None, Machine, OnDisk] = None,
    stage: str | None = None,
    where: Conditions | None = None,
    columns: dict[str, str | list[str] | None] | None = None,
    optional: list[str] | None = None,
    id_field: str | None = None,
    shuffle: bool = False,
    unfinished: Annotated[bool, Machine] = False,
) -> PastRecords:
    """Makes a record of each accepted record of a finished run, until `target` are accepted; asks no model.

    Each record keeps the name of that run's recipe (`source`) and the id that it had there (`source_id`).

    Args:
        run: the folder of the run, such as runs/chat. The folder may move when a run continues, if the
            records stay the same.
        path: without a run: a dataset file (JSONL, JSON, CSV, TSV or Parquet), or a folder of such files.
        stage: the stage of that run; by default the last one that makes records.
        where: field: condition; only the records that fit. A condition is a value, a list of values, or
            {not: …}, {at_least: …}, {at_most: …}, {above: …}, {below: …}.
        columns: field: the field or column that it is taken from, or several, of which the first that exists
            is used. null leaves the field out. Without this, all are taken.
        optional: the fields of `columns` that no record needs to have.
        id_field: the field that gets the id that the record had; by default it is only kept as `source_id`.
        shuffle: take them in an order drawn with the recipe's seed; by default in their own order.
        unfinished: take the records that an unfinished run has so far.
    """
    if run is None and path is None:
        raise ValueError("needs run=RUN, the folder of a finished run, or path=FILE, a dataset file")
    if run is None and stage is not None:
        raise ValueError("stage names a stage of a run, but there is no run; leave it out")
    return PastRecords(
        run=run,
        path=path or "",
        stage=stage,
        picks=Where.of(where),
        mapped=Mapped(columns or {}, optional=optional or []),
        id_field=id_field,
        shuffle=shuffle,
        unfinished=unfinished,
    )


def taken_from(run: str, parts: Parts) -> Stage | None:
    """A stage that takes the records of a run's stage with the same name, in the place of one that asks."""
    where = f"pipeline.{parts.name}.from_run"
    kind = PastRecords(run=run, stage=parts.name, picks=Where(), mapped=Mapped({}), instead=where)
    return kind.build(parts)


@dataclass(frozen=True, kw_only=True)
class PastRecords(StageKind):
    """The kind `records`; the records are the stage's material.

    Attributes:
        picks: the conditions on the records of the run; `where` is for kinds with another stage's records.
        instead: the key of the stage that it takes the place of, which names the run; then the records have
            only the fields that the stage of the run gave them itself.
    """

    run: str | None
    path: str = ""
    stage: str | None = None
    picks: Where
    mapped: Mapped
    id_field: str | None = None
    shuffle: bool = False
    unfinished: bool = False
    instead: str = ""
    tells: ClassVar[Mapping[str, str]] = {
        SOURCE: "the recipe, or the file, that the record was taken from",
        SOURCE_ID: "the id that the record had there",
    }

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`."""
        material = self._of_run(parts, self.run) if self.run else self._of_file(parts)
        stage = parts.unasked(self, material=material, instead=bool(self.instead))
        return stage if material else None

    @property
    def reads_files(self) -> bool:
        """See `StageKind`."""
        return True

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`; the sample values are those of the first record."""
        rows = stage.material.rows if stage and stage.material else []
        name, found = stage.name if stage else "", Sample()
        for key, values in columns_of(rows).items():
            # Only the records that have a field are sure to have it.
            some = Where() if len(values) == len(rows) else Where({key: Condition()})
            found[key] = Field(values[0], name, closed_values(values), some)
        return found

    def ways(self, stage: Stage) -> list[Sequence[str]]:
        """See `StageKind`; some fields may be only in some of the records."""
        fields = self.gives(stage)
        return [tuple(fields), *([tuple(sure(fields))] if len(sure(fields)) < len(fields) else [])]

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        return takes(stage, target)

    def made_of(self, known: Known) -> Range:
        """See `StageKind`."""
        return up_to_target(known)

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        return taken(stage, run, self.shuffle, "records")

    def came(self, stage: Stage, accepted: int, left: int, target: int | None) -> str:
        """See `StageKind`; fewer records than the target are as asked, since there are no more."""
        return counted(stage.name, accepted, left, target, " (all there are)")

    def _of_run(self, parts: Parts, run: str) -> Material | None:
        where = f"pipeline.{parts.name}"
        asked = Asked(f"{where}.run", f"{where}.stage", f"{where}.where", f"{where}.unfinished")
        if self.instead:
            asked = Asked(self.instead, self.instead, f"{where}.where")
        found = read_run(run, self.stage, self.picks, parts.project, asked, parts.faults, self.unfinished)
        if found is None:
            return None
        rows = self._mapped(found, where, parts.faults)
        if rows is None:
            return None
        origins = [{SOURCE: found.recipe, SOURCE_ID: one.id} for one in found.records]
        return self._material(rows, origins, f"records of {found.stage} in {run}")

    def _mapped(self, found: PastRun, where: str, faults: list[Fault]) -> list[dict[str, Any]] | None:
        """The fields that are taken of each record; None after adding a fault."""
        columns = {name: name for name in found.own} if self.instead else self.mapped.columns
        data = [one.data for one in found.records]
        if not columns:
            return [dict(row) for row in data]
        there, before = columns_of(data), len(faults)
        for field, names in columns.items():
            wanted = _listed(names)
            known = field in self.mapped.optional or any(find_column(there, name) for name in wanted)
            if wanted and not known:
                faults.append(Fault(f"{where}.columns.{field}", *unknown("field", wanted[0], there)))
        return [_renamed(row, columns) for row in data] if len(faults) == before else None

    def _of_file(self, parts: Parts) -> Material | None:
        where = f"pipeline.{parts.name}"
        everything = read(self.path, Mapped({}), parts.project, where, parts.faults)
        rows = read(self.path, self.mapped, parts.project, where, parts.faults) if everything else None
        if not rows or not everything:
            return None
        numbered = list(enumerate(zip(everything, rows, strict=True), 1))
        wrong = where_faults(f"{where}.where", self.picks, columns_of(everything), {})
        kept = [(number, row, of) for number, (of, row) in numbered if self.picks.fits(of)]
        if not kept and not wrong:
            wrong.append(Fault(f"{where}.where", f"no row of {self.path} fits: {self.picks}"))
        parts.faults += wrong
        if wrong:
            return None
        name = self.path.rstrip("/").rpartition("/")[2]
        origins = [{SOURCE: name, SOURCE_ID: str(of.get("id") or f"row {number}")} for number, _, of in kept]
        return self._material([row for _, row, _ in kept], origins, f"rows of {self.path}")

    def _material(self, rows: list[dict[str, Any]], origins: list[dict[str, Any]], told: str) -> Material:
        if self.id_field:
            for row, origin in zip(rows, origins, strict=True):
                row[self.id_field] = origin[SOURCE_ID]
        return Material(rows, told, origins=origins)


def _renamed(row: Mapping[str, Any], columns: Mapping[str, str | list[str] | None]) -> dict[str, Any]:
    """The fields of a record under the names that the recipe gives them."""
    made = {}
    for field, names in columns.items():
        found = next((key for name in _listed(names) if (key := find_column(row, name))), None)
        if found:
            made[field] = row[found]
    return made


def _listed(names: str | list[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else names or []
