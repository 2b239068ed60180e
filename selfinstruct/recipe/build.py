"""From a composed config to a checked recipe; every fault is found here.

`build` binds the config to its types, makes every filter, parser, prompt, schema and export, reads the seeds,
and fills in every template; it collects all faults and raises them together. It sends no request and writes
nothing.
"""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.cluster import lacking
from selfinstruct.config import RecipeConfig
from selfinstruct.errors import Fault, RecipeError, unknown
from selfinstruct.export import Export
from selfinstruct.llm.naming import misplaced
from selfinstruct.project.layout import no_path
from selfinstruct.recipe import objectives, paths
from selfinstruct.recipe import size as spending
from selfinstruct.recipe.crosscheck import crosscheck
from selfinstruct.recipe.exports import built, checked
from selfinstruct.recipe.models import Models
from selfinstruct.recipe.said import Said
from selfinstruct.recipe.stage_parts import StageParts
from selfinstruct.recipe.tools import tool_list_faults
from selfinstruct.registry import validate
from selfinstruct.schema.validation import compile_schema, named_fields
from selfinstruct.sources.pool import SEED_STAGE, Seeds, load_seeds
from selfinstruct.stages import STAGES, Stage, StageKind
from selfinstruct.stages.fields import Sample


@dataclass(frozen=True)
class Recipe:
    """A recipe, checked and ready to run.

    Attributes:
        name: its name.
        config: its keys, typed.
        project: the user's folder; relative paths are resolved in it.
        seeds: the seed tasks.
        stages: the stages, in order.
        exports: the exports by name.
        warnings: what the user should know before paying for a run.
        wanting: what a run needs but a plan does not: the models' keys.
    """

    name: str
    config: RecipeConfig
    project: Path
    seeds: Seeds
    stages: list[Stage]
    exports: dict[str, Export]
    warnings: list[str] = field(default_factory=list)
    wanting: list[Fault] = field(default_factory=list)

    def stage(self, name: str) -> Stage:
        """A stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def makers(self) -> list[Stage]:
        """The stages that make records, in order."""
        return [stage for stage in self.stages if not stage.labels]

    def labels_of(self, name: str, before: str | None = None) -> list[Stage]:
        """The stages that label the records of a stage, up to another stage."""
        found = []
        for stage in self.stages:
            if stage.name == before:
                break
            if stage.labels and stage.of == name:
                found.append(stage)
        return found

    def descending(self, name: str) -> list[Stage]:
        """The stages that work on the records of a stage, or on records made from them."""
        family, found = {name}, []
        for stage in self.stages:
            if stage.of in family:
                family.add(stage.name)
                found.append(stage)
        return found


def build(
    name: str, keys: dict[str, Any], project: Path, said: Said | None = None, seeds: Seeds | None = None
) -> Recipe:
    """A recipe from its composed keys.

    Args:
        name: name of the recipe.
        keys: the composed config as plain dicts and lists.
        project: the user's folder.
        said: who set which value; without it every value counts as the user's own.
        seeds: the seed tasks, if they are there already; otherwise they are read as the keys say.

    Raises:
        RecipeError: with every fault found.
    """
    said = said or Said()
    outside = paths.faults_of(keys, said, project)
    if outside:  # then no file is read, not even to find more faults
        raise RecipeError(outside, name)
    config, found = validate(RecipeConfig, keys, "")
    faults = [misplaced(fault) for fault in found]
    if config is None:  # remove what cannot be bound, to find the other faults
        config = validate(RecipeConfig, without(keys, faults), "")[0]
    if config is None:
        raise RecipeError(faults, name)
    builder = _Builder(name, config, project, faults, said, seeds)
    recipe = builder.build()
    if recipe is None or faults:
        raise RecipeError([*faults, *builder.models.wanting], name, builder.of_seeds)
    return recipe


def without(keys: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """A copy of the keys without those that have a fault."""
    left = deepcopy(keys)
    for fault in faults:
        *path, last = fault.where.split(".")
        level: Any = left
        for part in path:
            level = level.get(part, {}) if isinstance(level, dict) else {}
        if isinstance(level, dict):
            for key in [key for key in level if str(key) == last]:  # 1 is not text
                del level[key]
    return left


class _Builder:
    """Builds a recipe part by part; after a fault in one part the others are still tried."""

    def __init__(
        self,
        name: str,
        config: RecipeConfig,
        project: Path,
        faults: list[Fault],
        said: Said,
        seeds: Seeds | None,
    ) -> None:
        self.name, self.project, self.faults, self.seeds = name, project, faults, seeds
        self.warnings: list[str] = []
        self.of_seeds: list[str] = []  # how the seeds were read, which helps if they have a fault
        self.models = Models(config, project, faults, said)
        self.schemas = {
            stage: compile_schema(schema, f"schema.{stage}", faults)
            for stage, schema in config.schemas.items()
        }
        broken = {stage for stage, validate in self.schemas.items() if validate is None}
        named = {
            stage: named_fields(schema) if stage in broken else schema
            for stage, schema in config.schemas.items()
        }
        self.config = config.model_copy(update={"schemas": named})  # so that they cause no more faults

    def build(self) -> Recipe | None:
        kinds = {
            name: STAGES.build(stage.kind, stage.options, f"pipeline.{name}", self.faults)
            for name, stage in self.config.pipeline.items()
        }
        self._sections()
        self._paths()
        seeds = self.seeds or self._seeds()
        self.warnings += self.of_seeds
        stages: list[Stage] = []
        parents: dict[str, str | None] = {}  # of the stages that make records
        for name, kind in kinds.items():
            stage = self._stage(name, kind, dict(parents))
            if stage:
                stages.append(stage)
            if kind is None or kind.makes_records:
                parents[name] = stage.of if stage else None
        makers = list(parents)
        records = crosscheck(self.config, stages, seeds, self.faults)
        unsure = None in kinds.values()  # then the last stage that makes records may be another one
        exports = self._exports(makers, stages, records if len(stages) == len(kinds) else {}, unsure)
        self.faults += tool_list_faults(stages, seeds)
        objectives.check(self.config, stages, self.faults)
        self.faults += lacking(self.config.executor)
        self.warnings += spending.check(self.config, stages, seeds, self.faults)
        self.warnings += [*self.models.notes, *self.models.trust.notes]
        if self.faults or seeds is None:
            return None
        return Recipe(
            self.name, self.config, self.project, seeds, stages, exports, self.warnings, self.models.wanting
        )

    def _seeds(self) -> Seeds | None:
        schema, validate = self.config.schemas.get(SEED_STAGE, {}), self.schemas.get(SEED_STAGE)
        return load_seeds(self.config.seeds, schema, validate, self.project, self.faults, self.of_seeds)

    def _paths(self) -> None:
        """Check that the paths of what a run writes, or replays, can exist on this machine."""
        given = {key: getattr(self.config, key) for key in ("run_dir", "replay", "scratch")}
        if self.config.cache:
            given["cache.path"] = self.config.cache.path
        for key, path in given.items():
            if path and (wrong := no_path(path)):
                self.faults.append(Fault(key, f"{path[:40]!r} {wrong}", f"name another: {key}=…"))

    def _sections(self) -> None:
        """Check that each section of prompts, filters and schema belongs to a stage with a valid name."""
        names = list(self.config.pipeline)
        for name in names:
            if name in (SEED_STAGE, "rejected") or not re.fullmatch(r"\w[\w-]*", name):
                remedy = "use letters, digits, - and _; seeds and rejected are reserved"
                self.faults.append(Fault(f"pipeline.{name}", "no stage can have this name", remedy))
        sections: dict[str, dict[str, Any]] = {
            "prompts": self.config.prompts,
            "filters": self.config.filters,
            "schema": self.config.schemas,
        }
        for group, section in sections.items():
            allowed = [*names, SEED_STAGE] if group == "schema" else names
            for key in section:
                if key not in allowed:
                    self.faults.append(Fault(f"{group}.{key}", *unknown("stage", key, allowed)))

    def _stage(self, name: str, kind: StageKind | None, makers: dict[str, str | None]) -> Stage | None:
        """One stage; its kind says which parts it needs."""
        parts = StageParts(
            name, self.project, self.faults, self.warnings, self.config, self.schemas, self.models, makers
        )
        return kind.build(parts) if kind else parts.asking(None)

    def _exports(
        self, makers: list[str], stages: list[Stage], records: dict[str, Sample], unsure: bool
    ) -> dict[str, Export]:
        exports: dict[str, Export] = {}
        for key, part in self.config.export.items():
            export = built(key, part, makers, self.project, self.faults)
            if export:
                schema = {} if unsure and not part.of else self.config.schemas.get(export.of, {})
                made = records.get(export.of, {})
                exports[key] = checked(key, export, exports, schema, made, stages, self.faults, self.warnings)
        return exports
