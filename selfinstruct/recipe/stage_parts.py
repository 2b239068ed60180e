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

from selfinstruct.config import ModelConfig, PromptConfig, RecipeConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.each_turn import over_turns
from selfinstruct.llm.chat_template import refusals
from selfinstruct.llm.prefill import turn_faults
from selfinstruct.prompts import templates as prompting
from selfinstruct.prompts.building import build
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe import size as spending
from selfinstruct.recipe.asked import with_models
from selfinstruct.recipe.crosscheck import known_fields
from selfinstruct.recipe.models import Models
from selfinstruct.recipe.tools import with_tools
from selfinstruct.schema.validation import Validate, compile_schema, fields_of
from selfinstruct.sources.lines import Lines, load_lines
from selfinstruct.stages import Material, Stage, StageKind
from selfinstruct.stages.judge import Judge

ModelAndFallbacks = tuple[ModelConfig, list[ModelConfig]]
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
        self,
        kind: StageKind | None,
        of: str | None = None,
        lines: Mapping[str, str | list[Any]] | None = None,
    ) -> Stage | None:
        """The stage, with its prompts and its model."""
        section = self.config.prompts.get(self.name)
        model, fallbacks = self.models.of(self.name, self.config.pipeline[self.name])
        if section:
            self.models.parameters(section, model, f"prompts.{self.name}")
        elif kind:
            self.faults.append(Fault(f"prompts.{self.name}", "is missing", f"stage {self.name} needs it"))
        schema = self.config.schemas.get(self.name, {}) if model.mode == "chat" else None
        prompts = build(section, f"prompts.{self.name}", self.faults, schema) if section else []
        judge = self.judge
        if not prompts or kind is None:
            return None
        others = self._others(section, model) if section else {}
        for prompt in prompts:
            for asked in self._asked([prompt], (model, fallbacks), others):
                self._styles([prompt], asked)
                found = turn_faults([prompt], asked, f"prompts.{self.name}")
                refused = refusals([prompt], asked, self.project, f"prompts.{self.name}")
                self.models.tell([*found, *refused])
        prompts = [self._fitted(prompt, (model, fallbacks), others) for prompt in prompts]
        prompts = [
            with_tools(prompt, self._asked([prompt], (model, fallbacks), others), self.warnings, self.name)
            for prompt in prompts
        ]
        for key, known in prompting.unused(prompts).items():
            where, near = f"prompts.{self.name}.variables.{key}", unknown("variable", key, known)[1]
            self.warnings.append(f"{where}: no template uses this variable; {near}")
        drawn = self._lines(lines or {}, prompts)
        return Stage(
            self.name, kind, of, prompts, judge, model, self._fields, fallbacks, lines=drawn, others=others
        )

    def _others(self, section: PromptConfig, model: ModelConfig) -> dict[str, ModelAndFallbacks]:
        """The models of the variants that have their own."""
        found = {}
        for name, variant in section.variants.items():
            where = f"prompts.{self.name}.variants.{name}.model"
            own = None if variant.model is None else self.models.of_variant(variant.model, model, where)
            if own:
                found[name] = own
        return found

    @staticmethod
    def _asked(
        prompts: list[Prompt], usual: ModelAndFallbacks, others: Mapping[str, ModelAndFallbacks]
    ) -> list[ModelConfig]:
        """The models that may get these prompts."""
        pairs = [others.get(prompt.name or "", usual) for prompt in prompts]
        return [one for first, rest in pairs for one in (first, *rest)]

    def unasked(
        self,
        kind: StageKind,
        of: str | None = None,
        material: Material | None = None,
        instead: bool = False,
    ) -> Stage | None:
        """The stage, which may have no prompts and no model of its own."""
        prompts, model = self.config.prompts.get(self.name), self.config.pipeline[self.name].model
        given = {f"prompts.{self.name}": prompts, f"pipeline.{self.name}.model": model}
        for key in [key for key, value in given.items() if value is not None and not instead]:
            self.faults.append(Fault(key, f"stage {self.name} asks no model", "leave this out"))
        for key, check in self.judge.checks:
            if check.prepare and not kind.steps:
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

    def _lines(self, files: Mapping[str, str | list[Any]], prompts: list[Prompt]) -> dict[str, Lines]:
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
                check = over_turns(check, where, self.faults)
            if check:
                known_fields(self.config, check.fields, self.name, where, self.faults)
                made[key] = replace(check, kind=kind)
        return made

    def _fitted(
        self, prompt: Prompt, usual: ModelAndFallbacks, others: Mapping[str, ModelAndFallbacks]
    ) -> Prompt:
        """The prompt without the parameters that its model does not take; also checks the fallbacks."""
        own, holder = (spending.place(self.config, self.name, key) for key in ("sampling", "fallbacks"))
        model, fallbacks = usual
        if prompt.name is not None and prompt.name in others:
            model, fallbacks = others[prompt.name]
            own = holder = f"prompts.{self.name}.variants.{prompt.name}.model"
        for number, other in enumerate(fallbacks):
            self.models.fitted(self.name, prompt, other, f"{holder}.fallbacks.{number}")
        return self.models.fitted(self.name, prompt, model, own)

    def _styles(self, prompts: list[Prompt], model: ModelConfig) -> None:
        mode = "chat" if model.chat_template else model.mode
        for style in sorted({prompt.style for prompt in prompts} - {mode}):
            how = "goes as one user message" if mode == "chat" else "goes as one text"
            warning = (
                f"prompts.{self.name} is written for {style} models and {model.name} is asked in "
                f"{model.mode} mode: it {how}"
            )
            if warning not in self.warnings:
                self.warnings.append(warning)
