"""From a composed config to a recipe that is known to work; everything that can be wrong is found here.

`build` binds the config to its types, makes every filter, parser, prompt, schema and export, reads the seeds
and tries every template out; it collects all faults and raises them together. No request is made and nothing
is written.
"""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfinstruct.config import ModelConfig, RecipeConfig
from selfinstruct.errors import Fault, RecipeError, unknown
from selfinstruct.export import EXPORTS, Export
from selfinstruct.filters import FILTERS, Filter
from selfinstruct.llm.naming import misplaced
from selfinstruct.project.layout import no_path
from selfinstruct.prompts import templates as prompting
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe import objectives, paths
from selfinstruct.recipe import size as spending
from selfinstruct.recipe.asked import with_models
from selfinstruct.recipe.crosscheck import crosscheck, known_fields
from selfinstruct.recipe.exports import checked
from selfinstruct.recipe.fields import Sample
from selfinstruct.recipe.models import Models
from selfinstruct.recipe.said import Said
from selfinstruct.registry import validate
from selfinstruct.schema.validation import compile_schema, fields_of, named_fields
from selfinstruct.sources.lines import Lines, load_lines
from selfinstruct.sources.pool import SEED_STAGE, Seeds, load_seeds
from selfinstruct.stages import STAGES, Kind, Stage
from selfinstruct.stages.judge import Judge
from selfinstruct.where import Where


@dataclass(frozen=True)
class Recipe:
    """A recipe, checked and ready to run.

    Attributes:
        name: its name.
        config: its keys, typed.
        project: the user's folder, from which paths are looked up.
        seeds: the seed tasks.
        stages: the stages, in order.
        exports: the exports by name.
        warnings: what the user should know before paying for it.
        wanting: what a run needs and a plan does not: the models' keys.
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
        return [stage for stage in self.stages if not stage.kind.labels]

    def labels_of(self, name: str, before: str | None = None) -> list[Stage]:
        """The stages that label the records of a stage, up to another stage."""
        found = []
        for stage in self.stages:
            if stage.name == before:
                break
            if stage.kind.labels and stage.of == name:
                found.append(stage)
        return found


def build(name: str, keys: dict[str, Any], project: Path, said: Said | None = None) -> Recipe:
    """A recipe from its composed keys.

    Args:
        name: name of the recipe.
        keys: the composed config as plain dicts and lists.
        project: the user's folder.
        said: who said what; without it all of it is taken for the user's own will.

    Raises:
        RecipeError: with every fault found.
    """
    said = said or Said()
    outside = paths.faults_of(keys, said, project)
    if outside:  # nothing of these is read, not even to look for more faults
        raise RecipeError(outside, name)
    config, found = validate(RecipeConfig, keys, "")
    faults = [misplaced(fault) for fault in found]
    if config is None:  # leave out what cannot be bound, to find what else is wrong
        config = validate(RecipeConfig, without(keys, faults), "")[0]
    if config is None:
        raise RecipeError(faults, name)
    builder = _Builder(name, config, project, faults, said)
    recipe = builder.build()
    if recipe is None or faults:
        raise RecipeError([*faults, *builder.models.wanting], name, builder.of_seeds)
    return recipe


def without(keys: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """A copy of the keys without those that the faults are about."""
    left = deepcopy(keys)
    for fault in faults:
        *path, last = fault.where.split(".")
        level: Any = left
        for part in path:
            level = level.get(part, {}) if isinstance(level, dict) else {}
        if isinstance(level, dict):
            for key in [key for key in level if str(key) == last]:  # of 1 too, which is no text
                del level[key]
    return left


def _asks(kind: Kind | None) -> bool:
    """Whether a stage is known to ask a model."""
    return kind is not None and kind.asks


class _Builder:
    """Builds a recipe part by part; a part that fails leaves a fault and the others are still tried."""

    def __init__(
        self, name: str, config: RecipeConfig, project: Path, faults: list[Fault], said: Said
    ) -> None:
        self.name, self.project, self.faults = name, project, faults
        self.warnings: list[str] = []
        self.of_seeds: list[str] = []  # how they were read, which helps where they have a fault
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
        self.config = config.model_copy(update={"schemas": named})  # so that nothing below trips over one

    def build(self) -> Recipe | None:
        kinds = {
            name: STAGES.build(stage.kind, stage.options, f"pipeline.{name}", self.faults)
            for name, stage in self.config.pipeline.items()
        }
        self._sections(kinds)
        self._paths()
        schema = self.config.schemas.get(SEED_STAGE, {})
        validate = self.schemas.get(SEED_STAGE)
        seeds = load_seeds(self.config.seeds, schema, validate, self.project, self.faults, self.of_seeds)
        self.warnings += self.of_seeds
        stages: list[Stage] = []
        makers: list[str] = []
        for name, kind in kinds.items():
            stage = self._stage(name, kind, makers)
            if stage:
                stages.append(stage)
            if kind is None or not kind.labels:
                makers.append(name)
        records = crosscheck(self.config, stages, seeds, self.faults)
        exports = self._exports(makers, stages, records if len(stages) == len(kinds) else {})
        objectives.check(self.config, stages, self.faults)
        self.warnings += spending.check(self.config, stages, seeds, self.faults)
        self.warnings += [*self.models.notes, *self.models.trust.notes]
        if self.faults or seeds is None:
            return None
        return Recipe(
            self.name, self.config, self.project, seeds, stages, exports, self.warnings, self.models.wanting
        )

    def _paths(self) -> None:
        """The paths of what a run writes, and of what it replays, can be a file's on this machine."""
        given = {key: getattr(self.config, key) for key in ("run_dir", "replay", "scratch")}
        if self.config.cache:
            given["cache.path"] = self.config.cache.path
        for key, path in given.items():
            if path and (wrong := no_path(path)):
                self.faults.append(Fault(key, f"{path[:40]!r} {wrong}", f"name another: {key}=…"))

    def _sections(self, kinds: dict[str, Kind | None]) -> None:
        """Each section of prompts, filters and schema belongs to a stage, and each stage has them."""
        names = list(self.config.pipeline)
        for name in names:
            if name in (SEED_STAGE, "rejected") or not re.fullmatch(r"\w[\w-]*", name):
                remedy = "use letters, digits, - and _, and neither seeds nor rejected"
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
            for name in names:
                if name not in section and group != "filters" and (group == "schema" or _asks(kinds[name])):
                    self.faults.append(Fault(f"{group}.{name}", "is missing", f"stage {name} needs it"))

    def _stage(self, name: str, kind: Kind | None, makers: list[str]) -> Stage | None:
        """One stage; a part with a fault is left out or stood in for, so that the rest is checked too."""
        if kind and not kind.asks:
            return self._unasked(name, kind, makers)
        section = self.config.prompts.get(name)
        model, fallbacks = self.models.of(name, self.config.pipeline[name])
        if section:
            self.models.parameters(section, model, f"prompts.{name}")
        schema = self.config.schemas.get(name, {}) if model.mode == "chat" else None
        prompts = prompting.build(section, f"prompts.{name}", self.faults, schema) if section else []
        of = None if kind is None or kind.begins else self._source(name, kind, makers)
        judge = self._judge(name)
        if not prompts or kind is None or (of is None and not kind.begins):
            return None
        for asked in (model, *fallbacks):
            self._styles(name, prompts, asked)
        for key, known in prompting.unused(prompts).items():
            near = unknown("variable", key, known)[1]
            self.warnings.append(f"prompts.{name}.variables.{key}: no template uses this variable; {near}")
        fields = fields_of(self.config.schemas.get(name, {}))
        lines = self._lines(name, kind, prompts)
        return Stage(name, kind, of, prompts, judge, model, fields, fallbacks, lines=lines)

    def _lines(self, name: str, kind: Kind, prompts: list[Prompt]) -> dict[str, Lines]:
        """The files that lines are drawn from; those that cannot be read are left out and told."""
        found = {}
        named = prompting.names_in(prompts)
        for key, file in kind.lines.items():
            where = f"pipeline.{name}.lines.{key}"
            if not key.isidentifier() or key == "examples":
                self.faults.append(
                    Fault(where, "templates cannot know a line by this name", "use letters, _")
                )
            if named is not None and key not in named:
                self.warnings.append(f"{where}: no template of prompts.{name} shows it as {{{{ {key} }}}}")
            lines = load_lines(file, where, self.project, self.faults)
            if lines:
                found[key] = lines
        return found

    def _unasked(self, name: str, kind: Kind, makers: list[str]) -> Stage | None:
        """A stage that asks no model, which has neither prompts nor a model of its own."""
        prompts, model = self.config.prompts.get(name), self.config.pipeline[name].model
        given = {f"prompts.{name}": prompts, f"pipeline.{name}.model": model}
        for key in [key for key, value in given.items() if value is not None]:
            self.faults.append(Fault(key, f"stage {name} asks no model", "leave this out"))
        of = None if kind.begins else self._source(name, kind, makers)
        judge = self._judge(name)
        for key, check in judge.checks:
            if check.prepare:
                what = f"stage {name} asks no model, so there is nobody to wait for what this filter asks"
                self.faults.append(Fault(f"filters.{name}.{key}", what, "leave it out here"))
        material = kind.load(self.project, f"pipeline.{name}", self.faults) if kind.load else None
        if (of is None and not kind.begins) or (material is None and kind.load):
            return None
        if material:
            self.warnings += material.notes
        fields = {**fields_of(self.config.schemas.get(name, {})), **kind.gives}
        return Stage(name, kind, of, [], judge, self.config.model, fields, material=material)

    def _judge(self, name: str) -> Judge:
        judge = Judge(self._filters(name), self.schemas.get(name) or (lambda data: None))
        self.faults.extend(judge.faults(f"filters.{name}"))
        return judge

    def _source(self, name: str, kind: Kind, makers: list[str]) -> str | None:
        """The stage whose records this one is about: the one it names, or the nearest before it."""
        of = kind.of or (makers[-1] if makers else None)
        if of in makers:
            return of
        what = f"no stage {of!r} makes records before this one" if of else "no stage before it makes records"
        self.faults.append(Fault(f"pipeline.{name}.of", what, f"known: {', '.join(makers) or 'none'}"))
        return None

    def _filters(self, name: str) -> dict[str, Filter]:
        made = {}
        implied = {"language": self.config.seeds.language}
        for key, part in self.config.filters.get(name, {}).items():
            if part is None:
                continue
            where = f"filters.{name}.{key}"
            kind = part.kind or key
            options = with_models(self.models, FILTERS, kind, part.options, ("filters", name, key))
            check = None if options is None else FILTERS.build(kind, options, where, self.faults, implied)
            if check:
                known_fields(self.config, check.fields, name, where, self.faults)
                made[key] = replace(check, kind=kind)
        return made

    def _styles(self, name: str, prompts: list[Prompt], model: ModelConfig) -> None:
        for style in sorted({prompt.style for prompt in prompts} - {model.mode}):
            how = "goes as one user message" if model.mode == "chat" else "goes as one text"
            warning = (
                f"prompts.{name} is written for {style} models and {model.name} is asked in {model.mode} "
                f"mode: it {how}"
            )
            if warning not in self.warnings:
                self.warnings.append(warning)

    def _exports(
        self, makers: list[str], stages: list[Stage], records: dict[str, Sample]
    ) -> dict[str, Export]:
        exports: dict[str, Export] = {}
        for key, part in self.config.export.items():
            export = EXPORTS.build(part.kind or key, part.options, f"export.{key}", self.faults)
            of = part.of or (makers[-1] if makers else "")
            if of not in makers:
                self.faults.append(Fault(f"export.{key}.of", *unknown("stage", of, makers)))
            elif export:
                export = replace(
                    export,
                    of=of,
                    where=Where.of(part.where),
                    file=part.file or f"{key}.jsonl",
                    seed_tasks=part.seed_tasks,
                    shuffle=part.shuffle,
                    columns=tuple(part.columns),
                )
                schema = self.config.schemas.get(of, {})
                exports[key] = checked(
                    key, export, exports, schema, records.get(of, {}), stages, self.faults, self.warnings
                )
        return exports
