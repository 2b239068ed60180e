"""The outline of a run: its stages and what each gives its records, kept in the journal.

A run folder can outlive its recipe: seed files move, prompts change. The outline and the seed tasks in the
journal are enough to read a folder, to report on it and to export it, without the recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from selfinstruct.journal.store import Journal
from selfinstruct.recipe.build import Recipe
from selfinstruct.records import ACCEPTED, Record
from selfinstruct.sources.pool import SEED_STAGE, Seeds
from selfinstruct.stages import Stage

OUTLINE, SEEDS = "outline", "seed_tasks"  # the meta keys


class OfStage(Protocol):
    """The part of a stage that its records are read with; `Stage` and `StageOutline` both have it."""

    @property
    def name(self) -> str:
        """Its name in the pipeline."""

    @property
    def of(self) -> str | None:
        """The stage whose records it works on."""

    @property
    def own(self) -> Sequence[str]:
        """The fields that it gives its records itself."""


class Pipeline(Protocol):
    """The stages of a run; `Recipe` and `Outline` both have them."""

    def stage(self, name: str) -> OfStage:
        """A stage by its name."""

    def labels_of(self, name: str, before: str | None = None) -> Sequence[OfStage]:
        """The stages that label the records of a stage, up to another stage."""


@dataclass(frozen=True)
class StageOutline:
    """A stage of a run.

    Attributes:
        name: its name in the pipeline.
        kind: its kind.
        of: the stage that makes the records it works on; None if it works on no other stage's records.
        labels: whether it sets fields of another stage's records instead of making records.
        own: the fields that it gives its records itself.
        model: the name of its model; empty if it asks none.
        checks: the kind of each filter and of the schema, by name, in order.
        tells: the details that its filters keep of the records that pass, with their meanings.
        lines: the names of the lines that its prompt draws from files.
    """

    name: str
    kind: str
    of: str | None = None
    labels: bool = False
    own: list[str] = field(default_factory=list)
    model: str = ""
    checks: dict[str, str] = field(default_factory=dict)
    tells: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Outline:
    """A run without the parts that are only needed to continue it.

    Attributes:
        recipe: the recipe's name.
        language: the language of the seeds, as a BCP 47 tag.
        seed: the run's seed.
        target: the target of its last start.
        stages: the stages, in order.
    """

    recipe: str
    language: str
    seed: int
    target: int
    stages: list[StageOutline]

    def stage(self, name: str) -> StageOutline:
        """A stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def makers(self) -> list[StageOutline]:
        """The stages that make records, in order."""
        return [stage for stage in self.stages if not stage.labels]

    def labels_of(self, name: str, before: str | None = None) -> list[StageOutline]:
        """The stages that label the records of a stage, up to another stage."""
        names = [stage.name for stage in self.stages]
        until = names.index(before) if before in names else len(names)
        return [stage for stage in self.stages[:until] if stage.labels and stage.of == name]


def outline_of(recipe: Recipe) -> Outline:
    """The outline of a recipe."""
    config = recipe.config
    stages = [_outlined(stage, config.pipeline[stage.name].kind) for stage in recipe.stages]
    return Outline(recipe.name, config.seeds.language, config.seed, config.target, stages)


def store_outline(journal: Journal, recipe: Recipe) -> None:
    """Keep the outline and the seed tasks of a run in its journal, unless they are there already."""
    outline = asdict(outline_of(recipe))
    if journal.meta(OUTLINE) != outline:
        journal.set_meta(OUTLINE, outline)
    seeds = recipe.seeds
    if journal.meta(SEEDS, {}).get("digest") != seeds.digest:
        tasks, rows = ([_row(one) for one in some] for some in (seeds.tasks, seeds.rows))
        file = {"file": seeds.path.name, "count": seeds.count, "digest": seeds.digest}
        journal.set_meta(SEEDS, {**file, "tasks": tasks, "rows": rows})


def stored_outline(journal: Journal) -> Outline | None:
    """The outline that a run has kept; None for a run of a version that kept none."""
    found = journal.meta(OUTLINE)
    if found is None:
        return None
    return Outline(**{**found, "stages": [StageOutline(**stage) for stage in found["stages"]]})


def stored_seeds(journal: Journal) -> Seeds | None:
    """The seed tasks that a run has kept; None for a run of a version that kept none."""
    found = journal.meta(SEEDS)
    if found is None:
        return None
    tasks, rows = (_records(found[key]) for key in ("tasks", "rows"))
    return Seeds(tasks, rows, Path(found["file"]), found["count"], digest=found["digest"])


def _outlined(stage: Stage, kind: str) -> StageOutline:
    checks: Mapping[str, Any] = dict(stage.judge.checks)
    tells: dict[str, str] = {}
    for check in checks.values():
        tells |= check.tells
    return StageOutline(
        name=stage.name,
        kind=kind,
        of=stage.of,
        labels=stage.labels,
        own=stage.own,
        model=stage.model.name if stage.prompts else "",
        checks={name: check.kind or name for name, check in checks.items()},
        tells=tells,
        lines=list(stage.lines),
    )


def _row(record: Record) -> list[Any]:
    return [record.id, record.request, record.position, record.data]


def _records(rows: Iterable[Sequence[Any]]) -> list[Record]:
    return [
        Record(id, SEED_STAGE, number, position, data, fate=ACCEPTED) for id, number, position, data in rows
    ]
