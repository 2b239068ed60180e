"""Whether the parts of a recipe fit together: fields, values, templates, and the mix.

Each function adds what it finds to a list of faults. They try things out rather than reason about them: every
template is filled in with the real seeds or with sample records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfinstruct.config import MixConfig, RecipeConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.prompts.templates import Prompt, TemplateFault
from selfinstruct.recipe.fields import Sample, drawn_field, give, picked, sure, where_faults
from selfinstruct.schema.validation import fields_of, misfits
from selfinstruct.sources.pool import Seeds
from selfinstruct.stages import Stage


def crosscheck(
    config: RecipeConfig, stages: Sequence[Stage], seeds: Seeds | None, faults: list[Fault]
) -> dict[str, Sample]:
    """Add every fault of the recipe as a whole.

    Args:
        config: the recipe's keys.
        stages: the stages that could be built.
        seeds: the seed tasks, None where they could not be read.
        faults: receives what is found.

    Returns:
        By stage that makes records, the fields that these have in the end.
    """
    records: dict[str, Sample] = {}
    unsure = _of_unbuilt(config, stages)
    for place, stage in enumerate(stages):
        fields = records.get(stage.of or "", {})
        faults.extend(where_faults(stage, fields, {**unsure, **fields}))
        fields = picked(fields, stage.kind.where)
        names: dict[str, Any] = {**unsure, **{key: field.value for key, field in fields.items()}}
        if not stage.kind.asks:
            _unasked(config, stage, fields, names, faults)
        elif stage.kind.draws:
            made = {key: stage.fields.get(key, "text") for key in stage.prompts[0].parse.fields}
            tasks = [seed.data for seed in seeds.tasks] if seeds else []
            lines = {name: one.texts[0] for name, one in stage.lines.items()}
            names = {"examples": [*tasks, made] if config.mix.generated else tasks, **lines}
            if config.prompts[stage.name].variants:
                what = "a stage that asks about no record has no field to pick a variant by"
                faults.append(Fault(f"prompts.{stage.name}.variants", what, "leave them out"))
        else:
            _drawn(stage, names, faults) if stage.kind.draw else _variants(stage, names, fields, faults)
            _only_in_some(stage, fields, names, faults)
        for prompt in stage.prompts:
            _try(stage.name, prompt, names, faults)
            where = f"prompts.{stage.name}.parse"
            known_fields(config, prompt.parse.fields, stage.name, where, faults)
            if not unsure:
                _fits(config, stage, prompt.parse.fields, {**fields, **drawn_field(stage)}, faults)
        if not stage.kind.asks and not unsure:
            _fits(config, stage, tuple(stage.kind.gives), fields, faults)
        give(stage, stages[:place], records)
    if seeds and any(stage.kind.draws for stage in stages):
        _mix(config.mix, seeds, faults)
    return records


def known_fields(
    config: RecipeConfig, fields: Sequence[str], stage: str, where: str, faults: list[Fault]
) -> None:
    """Each field is one of a stage's records, as far as its schema names them."""
    known = fields_of(config.schemas.get(stage, {}))
    for name in fields if known else ():
        if name not in known:
            faults.append(Fault(where, *unknown("field", name, known)))


def _unasked(
    config: RecipeConfig, stage: Stage, fields: Sample, names: dict[str, Any], faults: list[Fault]
) -> None:
    """The fields that a stage without a model needs and gives are there."""
    where = f"pipeline.{stage.name}"
    for name in stage.kind.uses:
        if name not in names:
            faults.append(Fault(where, *unknown("field", name, fields)))
    known_fields(config, tuple(stage.kind.gives), stage.name, where, faults)


def _of_unbuilt(config: RecipeConfig, stages: Sequence[Stage]) -> dict[str, Any]:
    """The fields of the stages that could not be built; those have faults enough of their own."""
    unbuilt = [name for name in config.pipeline if name not in {stage.name for stage in stages}]
    return {key: value for name in unbuilt for key, value in fields_of(config.schemas.get(name, {})).items()}


def _fits(
    config: RecipeConfig, stage: Stage, own: Sequence[str], fields: Sample, faults: list[Fault]
) -> None:
    """A record of the stage has no field that its schema shuts out, and all those that it requires."""
    name = stage.name
    schema = config.schemas.get(name, {})
    refused, lacking = misfits(schema, [*fields, *own])[0], misfits(schema, [*sure(fields), *own])[1]
    source = f"prompts.{name} reads from a reply" if stage.kind.asks else f"stage {name} makes"
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
            f"requires {key!r}, which neither {source} nor a stage before gives",
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


def _only_in_some(stage: Stage, fields: Sample, names: dict[str, Any], faults: list[Fault]) -> None:
    """What a stage before sets in some records alone, this one does not take for granted."""
    for key, one in fields.items():
        if not one.where:
            continue
        what = f"{key!r} is set by stage {one.stage} in those records alone that its 'where' picks"
        remedy = f"give pipeline.{stage.name} the same where"
        if key == stage.kind.by:
            faults.append(Fault(f"pipeline.{stage.name}.by", what, remedy))
        for prompt in stage.prompts:
            where = f"prompts.{stage.name}" + (f".variants.{prompt.name}" if prompt.name else "")
            if _needs(prompt, names, key):
                instead = f"{remedy}, or write {{% if {key} is defined %}}"
                faults.append(Fault(f"{where}.template", what, instead))


def _needs(prompt: Prompt, names: dict[str, Any], name: str) -> bool:
    """Whether the templates can be filled in with a name and not without it."""
    try:
        prompt.fill(names)
    except TemplateFault:  # which has another reason, and is told
        return False
    try:
        prompt.fill({key: value for key, value in names.items() if key != name})
    except TemplateFault:
        return True
    return False


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
        faults.append(Fault(f"pipeline.{stage.name}.variant_field", what, "give it another name"))


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
    if mix.generated > mix.examples:
        what = f"is {mix.generated}, more than the {mix.examples} examples of a prompt"
        faults.append(Fault("mix.generated", what, "set it lower, or mix.examples higher"))
    if len(seeds.tasks) < mix.examples:
        what = f"asks for {mix.examples} examples but there are {len(seeds.tasks)} seeds"
        remedy = f"add seeds to {seeds.path}, loosen seeds.where, or set mix.examples and mix.generated"
        faults.append(Fault("mix.examples", what, remedy))
