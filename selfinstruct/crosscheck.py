"""Whether the parts of a recipe fit together: fields, values, templates, and the mix.

Each function adds what it finds to a list of faults. They try things out rather than reason about them: every
template is filled in with the real seeds or with sample records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfinstruct.config import MixConfig, RecipeConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.pool import Seeds
from selfinstruct.prompts import Prompt, TemplateFault
from selfinstruct.schema import fields_of, misfits
from selfinstruct.stages import KEPT, Stage


@dataclass(frozen=True)
class Field:
    """A field of the records that come to a stage.

    Attributes:
        value: a sample of its values.
        stage: the stage that gives it.
        values: all its values, where they are a closed set.
    """

    value: Any
    stage: str
    values: tuple[Any, ...] = ()


Sample = dict[str, Field]


def crosscheck(
    config: RecipeConfig, stages: Sequence[Stage], seeds: Seeds | None, faults: list[Fault]
) -> None:
    """Add every fault of the recipe as a whole.

    Args:
        config: the recipe's keys.
        stages: the stages that could be built.
        seeds: the seed tasks, None where they could not be read.
        faults: receives what is found.
    """
    records: dict[str, Sample] = {}
    unsure = _of_unbuilt(config, stages)
    for place, stage in enumerate(stages):
        fields = records.get(stage.of or "", {})
        if stage.kind.draws:
            made = {key: stage.fields.get(key, "text") for key in stage.prompts[0].parse.fields}
            tasks = [seed.data for seed in seeds.tasks] if seeds else []
            lines = {name: one.texts[0] for name, one in stage.lines.items()}
            names: dict[str, Any] = {"examples": [*tasks, made] if config.mix.machine else tasks, **lines}
            if config.prompts[stage.name].variants:
                what = "a stage that asks about no record has no field to pick a variant by"
                faults.append(Fault(f"prompts.{stage.name}.variants", what, "leave them out"))
        else:
            names = {**unsure, **{key: field.value for key, field in fields.items()}}
            _drawn(stage, names, faults) if stage.kind.draw else _variants(stage, names, fields, faults)
        for prompt in stage.prompts:
            _try(stage.name, prompt, names, faults)
            where = f"prompts.{stage.name}.parse"
            known_fields(config, prompt.parse.fields, stage.name, where, faults)
            if not unsure:
                given = {**fields, **_set(stage)}
                _fits(config.schemas.get(stage.name, {}), stage.name, prompt, given, faults)
        _give(stage, stages[:place], records)
    if seeds and any(stage.kind.draws for stage in stages):
        _mix(config.mix, seeds, faults)


def known_fields(
    config: RecipeConfig, fields: Sequence[str], stage: str, where: str, faults: list[Fault]
) -> None:
    """Each field is one of a stage's records, as far as its schema names them."""
    known = fields_of(config.schemas.get(stage, {}))
    for name in fields if known else ():
        if name not in known:
            faults.append(Fault(where, *unknown("field", name, known)))


def _of_unbuilt(config: RecipeConfig, stages: Sequence[Stage]) -> dict[str, Any]:
    """The fields of the stages that could not be built; those have faults enough of their own."""
    unbuilt = [name for name in config.pipeline if name not in {stage.name for stage in stages}]
    return {key: value for name in unbuilt for key, value in fields_of(config.schemas.get(name, {})).items()}


def _give(stage: Stage, before: Sequence[Stage], records: dict[str, Sample]) -> None:
    """Enter the records that a stage makes, or what it sets in others and in all that were made of those."""
    fields = _set(stage)
    for prompt in stage.prompts:
        for key in prompt.parse.fields:
            values = [*(fields[key].values if key in fields else ()), *prompt.parse.values]
            sample = values[0] if values else stage.fields.get(key, "text")
            fields[key] = Field(sample, stage.name, tuple(values))
    of = records.get(stage.of or "", {})
    if not stage.kind.labels:
        records[stage.name] = {**of, **fields}
        return
    records[stage.of or ""], family = {**of, **fields}, {stage.of}
    for other in before:
        if other.of in family and not other.kind.labels:
            family.add(other.name)
            records[other.name] = {**fields, **records[other.name]}


def _set(stage: Stage) -> Sample:
    """The field that names the variant drawn."""
    if stage.kind.sets is None:
        return {}
    values = [*stage.kind.draw, *([KEPT] if stage.kind.keep else [])]
    return {stage.kind.sets: Field(values[0], stage.name, tuple(values))}


def _fits(schema: dict[str, Any], name: str, prompt: Prompt, fields: Sample, faults: list[Fault]) -> None:
    """A record of the stage has no field that its schema shuts out, and all those that it requires."""
    refused, lacking = misfits(schema, [*fields, *prompt.parse.fields])
    found = [
        Fault(
            f"schema.{name}",
            f"shuts out {key!r}, which stage {fields[key].stage} gives every record that comes here",
            f"add {key} to schema.{name}.properties; as it is, every record would be rejected",
        )
        for key in refused
        if key in fields  # the others are those that `known_fields` tells
    ] + [
        Fault(
            f"schema.{name}",
            f"requires {key!r}, which neither prompts.{name} reads from a reply nor a stage before gives",
            "leave it out of required, or have it read; as it is, every record would be rejected",
        )
        for key in lacking
    ]
    faults.extend(fault for fault in found if fault not in faults)


def _variants(stage: Stage, names: dict[str, Any], fields: Sample, faults: list[Fault]) -> None:
    """The field that picks the variant is there, and each of its values has one."""
    by, where = stage.kind.by, f"pipeline.{stage.name}.by"
    whens = [prompt.when for prompt in stage.prompts]
    if by is None:
        if stage.prompts[0].name:
            remedy = "its prompt has variants; name the field that picks one, or draw one"
            faults.append(Fault(where, "is missing", remedy))
        return
    values = fields[by].values if by in fields else ()
    if by not in names:
        faults.append(Fault(where, *unknown("field", by, names)))
    elif not values and not isinstance(names[by], bool):
        what = f"{by!r} may have any value, and each needs a variant"
        faults.append(Fault(where, what, "pick by a field that a label stage sets by a choice"))
    if None in whens:
        remedy = f"give prompts.{stage.name} variants, each with a 'when'"
        faults.append(Fault(where, f"picks by {by!r} but the prompt has no variants", remedy))
    for value in values:
        if not any(when == value and type(when) is type(value) for when in whens):
            what = f"no variant of prompts.{stage.name} has 'when: {value}', a value of {by!r}"
            faults.append(Fault(where, what, f"there are: {', '.join(map(repr, whens))}"))


def _drawn(stage: Stage, names: dict[str, Any], faults: list[Fault]) -> None:
    """Each weight has its variant and each variant its weight, and there is one to draw for any record."""
    prompts, draw = {prompt.name or "": prompt for prompt in stage.prompts}, stage.kind.draw
    where, section = f"pipeline.{stage.name}.draw", f"prompts.{stage.name}.variants"
    if "" in prompts:
        faults.append(Fault(where, "draws a variant but the prompt has none", f"give {section} some"))
        return
    for name in draw:
        if name not in prompts:
            faults.append(Fault(f"{where}.{name}", *unknown("variant", name, prompts)))
    for name, prompt in prompts.items():
        if name not in draw:
            what = f"variant {name!r} has no weight"
            faults.append(Fault(where, what, f"give {where}.{name} one; 0 switches the variant off"))
        faults.extend(
            Fault(f"{section}.{name}.where", *unknown("field", key, names))
            for key in prompt.where
            if key not in names
        )
    if not any(draw.get(name) and not prompt.where for name, prompt in prompts.items()):
        what = "leaves nothing to draw for a record that fits no variant's where"
        faults.append(Fault(where, what, "give a variant without where a weight above 0"))
    if any(stage.kind.sets in prompt.parse.fields for prompt in stage.prompts):
        what = f"{stage.kind.sets!r} is read from the replies too"
        faults.append(Fault(f"pipeline.{stage.name}.sets", what, "give it another name"))


def _try(name: str, prompt: Prompt, names: dict[str, Any], faults: list[Fault]) -> None:
    """The templates can be filled in with these names."""
    where = f"prompts.{name}.variants.{prompt.name}" if prompt.name else f"prompts.{name}"
    clash = sorted(set(prompt.variables) & set(names))
    if clash:
        what = f"{clash[0]!r} is a field of the records too"
        faults.append(Fault(f"{where}.variables", what, "give it another name"))
    try:
        prompt.fill(names)
    except TemplateFault as error:
        if f"{where}.template" not in [fault.where for fault in faults]:  # it may be no template at all
            faults.append(Fault(f"{where}.template", str(error)))


def _mix(mix: MixConfig, seeds: Seeds, faults: list[Fault]) -> None:
    if mix.machine > mix.examples:
        what = f"is {mix.machine}, more than the {mix.examples} examples of a prompt"
        faults.append(Fault("mix.machine", what, "set it lower, or mix.examples higher"))
    if len(seeds.tasks) < mix.examples:
        what = f"asks for {mix.examples} examples but there are {len(seeds.tasks)} seeds"
        remedy = f"add seeds to {seeds.path}, loosen seeds.where, or set mix.examples and mix.machine"
        faults.append(Fault("mix.examples", what, remedy))
