"""The parts of one stage, made from a recipe's keys: prompts, model, filters, schema, lines.

A part with a fault is left out or replaced, so that the rest is checked too. The stage's kind knows which
parts it needs (`stages.kind`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from selfinstruct.config import ModelConfig, RecipeConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.filters import FILTERS, Filter
from selfinstruct.prompts import templates as prompting
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe.asked import with_models
from selfinstruct.recipe.crosscheck import known_fields
from selfinstruct.recipe.models import Models
from selfinstruct.schema.validation import Validate, compile_schema, fields_of
from selfinstruct.sources.lines import Lines, load_lines
from selfinstruct.stages import Material, Stage, StageKind
from selfinstruct.stages.judge import Judge

CLOSING = ("additionalProperties", "unevaluatedProperties")  # keywords that forbid other fields


@dataclass
class StageParts:
    """The parts of one stage; see `stages.kind.Parts`.

    Attributes:
        name: the stage.
        project: the user's folder.
        faults: gets the faults of the parts.
        warnings: gets what the user should know.
        config: the recipe's keys.
        schemas: the compiled schemas by stage.
        models: the models.
        makers: the stages before it that make records, each with the stage whose records these are made of.
    """

    name: str
    project: Path
    faults: list[Fault]
    warnings: list[str]
    config: RecipeConfig
    schemas: dict[str, Validate | None]
    models: Models
    makers: Mapping[str, str | None]

    def source(self, of: str | None) -> str | None:
        """The stage whose records this one works on: the named one, or the nearest before it."""
        of = of or next(reversed(list(self.makers)), None)
        if of in self.makers:
            return of
        what = f"no stage {of!r} makes records before this one" if of else "no stage before it makes records"
        self.faults.append(
            Fault(f"pipeline.{self.name}.of", what, f"known: {', '.join(self.makers) or 'none'}")
        )
        return None

    def parent(self, of: str) -> str | None:
        """See `stages.kind.Parts`."""
        return self.makers.get(of)

    def inherit_schema(self, of: str | None) -> None:
        """Check its records with the schema of that stage, if the recipe has none for it.

        They may have other fields too, since labels may have set some.
        """
        if of not in self.config.schemas or self.name in self.config.schemas:
            return
        schema = {key: value for key, value in self.config.schemas[of].items() if key not in CLOSING}
        sound = self.schemas[of] is not None  # otherwise that stage has the fault
        self.config.schemas[self.name] = schema
        self.schemas[self.name] = compile_schema(schema, f"schema.{of}", self.faults) if sound else None

    def asking(
        self, kind: StageKind | None, of: str | None = None, lines: Mapping[str, str] | None = None
    ) -> Stage | None:
        """The stage, with its prompts and its model."""
        section = self.config.prompts.get(self.name)
        model, fallbacks = self.models.of(self.name, self.config.pipeline[self.name])
        if section:
            self.models.parameters(section, model, f"prompts.{self.name}")
        elif kind:
            self.faults.append(Fault(f"prompts.{self.name}", "is missing", f"stage {self.name} needs it"))
        schema = self.config.schemas.get(self.name, {}) if model.mode == "chat" else None
        prompts = prompting.build(section, f"prompts.{self.name}", self.faults, schema) if section else []
        judge = self.judge
        if not prompts or kind is None:
            return None
        for asked in (model, *fallbacks):
            self._styles(prompts, asked)
        for key, known in prompting.unused(prompts).items():
            where, near = f"prompts.{self.name}.variables.{key}", unknown("variable", key, known)[1]
            self.warnings.append(f"{where}: no template uses this variable; {near}")
        drawn = self._lines(lines or {}, prompts)
        return Stage(self.name, kind, of, prompts, judge, model, self._fields, fallbacks, lines=drawn)

    def unasked(
        self, kind: StageKind, of: str | None = None, material: Material | None = None
    ) -> Stage | None:
        """The stage, which may have no prompts and no model of its own."""
        prompts, model = self.config.prompts.get(self.name), self.config.pipeline[self.name].model
        given = {f"prompts.{self.name}": prompts, f"pipeline.{self.name}.model": model}
        for key in [key for key, value in given.items() if value is not None]:
            self.faults.append(Fault(key, f"stage {self.name} asks no model", "leave this out"))
        for key, check in self.judge.checks:
            if check.prepare:
                what = f"stage {self.name} asks no model, so it cannot wait for the model of this filter"
                self.faults.append(Fault(f"filters.{self.name}.{key}", what, "leave it out here"))
        self.warnings += material.notes if material else []
        own = {key: one.value for key, one in kind.gives().items()}
        fields = {**self._fields, **own}
        return Stage(self.name, kind, of, [], self.judge, self.config.model, fields, material=material)

    @cached_property
    def judge(self) -> Judge:
        """Its filters and its schema."""
        if self.name not in self.config.schemas:
            self.faults.append(Fault(f"schema.{self.name}", "is missing", f"stage {self.name} needs it"))
        judge = Judge(self._filters(), self.schemas.get(self.name) or (lambda data: None))
        self.faults.extend(judge.faults(f"filters.{self.name}"))
        return judge

    @property
    def _fields(self) -> dict[str, Any]:
        return fields_of(self.config.schemas.get(self.name, {}))

    def _lines(self, files: Mapping[str, str], prompts: list[Prompt]) -> dict[str, Lines]:
        """The files from which lines are drawn; those that cannot be read are left out and reported."""
        found = {}
        named = prompting.names_in(prompts)
        for key, file in files.items():
            where = f"pipeline.{self.name}.lines.{key}"
            if not key.isidentifier() or key == "examples":
                what = "templates cannot use this name"
                self.faults.append(Fault(where, what, "use letters, _"))
            if named is not None and key not in named:
                shown = f"no template of prompts.{self.name} shows it as {{{{ {key} }}}}"
                self.warnings.append(f"{where}: {shown}")
            lines = load_lines(file, where, self.project, self.faults)
            if lines:
                found[key] = lines
        return found

    def _filters(self) -> dict[str, Filter]:
        made = {}
        implied = {"language": self.config.seeds.language}
        for key, part in self.config.filters.get(self.name, {}).items():
            if part is None:
                continue
            where = f"filters.{self.name}.{key}"
            kind = part.kind or key
            options = with_models(self.models, FILTERS, kind, part.options, ("filters", self.name, key))
            check = None if options is None else FILTERS.build(kind, options, where, self.faults, implied)
            if check and check.load:
                check = check.load(self.project, where, self.faults)
            if check:
                known_fields(self.config, check.fields, self.name, where, self.faults)
                made[key] = replace(check, kind=kind)
        return made

    def _styles(self, prompts: list[Prompt], model: ModelConfig) -> None:
        for style in sorted({prompt.style for prompt in prompts} - {model.mode}):
            how = "goes as one user message" if model.mode == "chat" else "goes as one text"
            warning = (
                f"prompts.{self.name} is written for {style} models and {model.name} is asked in "
                f"{model.mode} mode: it {how}"
            )
            if warning not in self.warnings:
                self.warnings.append(warning)
