"""The outline of a run and its seed tasks, from its recipe to its journal and back.

A run folder can outlive its recipe: seed files move, prompts change. The outline and the seed tasks in the
journal are enough to read a folder, to report on it and to export it, without the recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.journal.outline import OUTLINE
from selfinstruct.journal.outline import Outline as Outline
from selfinstruct.journal.outline import StageOutline as StageOutline
from selfinstruct.journal.outline import stored_outline as stored_outline
from selfinstruct.journal.store import Journal
from selfinstruct.records import ACCEPTED, Record
from selfinstruct.sources.pool import SEED_STAGE, Seeds

if TYPE_CHECKING:  # a folder is read without what makes a recipe, which takes long to import
    from selfinstruct.recipe.build import Recipe
    from selfinstruct.stages import Stage

SEEDS = "seed_tasks"  # the meta key


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


def stored_seeds(journal: Journal) -> Seeds | None:
    """The seed tasks that a run has kept; None for a run of a version that kept none."""
    found = journal.meta(SEEDS)
    if found is None:
        return None
    tasks, rows = (_records(found[key]) for key in ("tasks", "rows"))
    return Seeds(tasks, rows, Path(found["file"]), found["count"], digest=found["digest"])


def _outlined(stage: Stage, kind: str) -> StageOutline:
    checks: Mapping[str, Any] = dict(stage.judge.checks)
    tells: dict[str, str] = dict(stage.kind.tells)
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
