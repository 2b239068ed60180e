"""Whether the parts of a recipe fit together: fields, values, templates, and the mix.

Each function adds its findings to a list of faults. They try things out instead of reasoning about them:
every template is filled in with the real seeds or with sample records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from selfinstruct.config import RecipeConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.prompts.rendering import TemplateFault
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe import size as spending
from selfinstruct.schema.validation import fields_of, misfits
from selfinstruct.sources.pool import Seeds
from selfinstruct.stages import Stage
from selfinstruct.stages.fields import Sample, sure
from selfinstruct.stages.kind import Rest


def crosscheck(
    config: RecipeConfig, stages: Sequence[Stage], seeds: Seeds | None, faults: list[Fault]
) -> dict[str, Sample]:
    """Add every fault of the recipe as a whole.

    Args:
        config: the recipe's keys.
        stages: the stages that could be built.
        seeds: the seed tasks; None if they could not be read.
        faults: gets the faults.

    Returns:
        For each stage that makes records, the fields that these have at the end.
    """
    records: dict[str, Sample] = {}
    unsure = _of_unbuilt(config, stages)
    for place, stage in enumerate(stages):
        rest = Rest(config, seeds, records.get(stage.of or "", {}), unsure, records)
        faults.extend(fault for fault in stage.kind.faults(stage, rest) if fault not in faults)
        faults.extend(_apart(config, stage))
        names = stage.kind.names(stage, rest)
        for prompt in stage.prompts:
            _try(stage.name, prompt, names, faults)
        where = f"prompts.{stage.name}.parse" if stage.prompts else f"pipeline.{stage.name}"
        thoughts = {prompt.parse.reasoning for prompt in stage.prompts}
        for own in stage.kind.ways(stage):
            _known_thought(config, [name for name in own if name in thoughts], stage.name, faults)
            known_fields(config, [name for name in own if name not in thoughts], stage.name, where, faults)
            if not unsure:
                _fits(config, stage, own, stage.kind.inherited(stage, rest.fields), faults)
        stage.kind.enter(stage, stages[:place], records)
    return records


def _apart(config: RecipeConfig, stage: Stage) -> Iterator[Fault]:
    """The fault of a stage that is to be asked in batches, and whose requests cannot be sent together."""
    models = [stage.model, *(model for model, _ in stage.others.values())] if stage.prompts else []
    found = stage.kind.apart(stage) if any(model.batch for model in models) else None
    if found:
        yield Fault(f"{spending.place(config, stage.name, 'batch')}.batch", *found)


def known_fields(
    config: RecipeConfig, fields: Sequence[str], stage: str, where: str, faults: list[Fault]
) -> None:
    """Add a fault for each field that the schema of a stage's records does not name."""
    known = fields_of(config.schemas.get(stage, {}))
    for name in fields if known else ():
        if name not in known:
            faults.append(Fault(where, *unknown("field", name, known)))


def _known_thought(config: RecipeConfig, fields: Sequence[str], stage: str, faults: list[Fault]) -> None:
    """Add a fault if the schema of a stage's records does not name the field for the model's thought."""
    known = fields_of(config.schemas.get(stage, {}))
    for name in fields if known else ():
        what = f"schema.{stage} does not name the field {name!r}"
        remedy = f"add it: schema.{stage}.properties.{name}: {{type: string}}"
        fault = Fault(f"prompts.{stage}.parse.reasoning", what, remedy)
        if name not in known and fault not in faults:
            faults.append(fault)


def _of_unbuilt(config: RecipeConfig, stages: Sequence[Stage]) -> dict[str, Any]:
    """The fields of stages that could not be built; these have faults enough already."""
    unbuilt = [name for name in config.pipeline if name not in {stage.name for stage in stages}]
    return {key: value for name in unbuilt for key, value in fields_of(config.schemas.get(name, {})).items()}


def _fits(
    config: RecipeConfig, stage: Stage, own: Sequence[str], fields: Sample, faults: list[Fault]
) -> None:
    """Faults for fields that a stage's schema does not allow, or that it requires but nothing sets."""
    name = stage.name
    schema = config.schemas.get(name, {})
    refused, lacking = misfits(schema, [*fields, *own])[0], misfits(schema, [*sure(fields), *own])[1]
    source = f"the reply (prompts.{name}.parse)" if stage.prompts else f"stage {name}"
    found = [
        Fault(
            f"schema.{name}",
            f"does not allow {key!r}, which stage {fields[key].stage} sets in every record that comes here",
            f"add {key} to schema.{name}.properties; otherwise every record is rejected",
        )
        for key in refused
        if key in fields  # `known_fields` reports the others
    ] + [
        Fault(
            f"schema.{name}",
            f"requires {key!r}, but neither {source} nor an earlier stage sets it",
            "remove it from required, or read it; otherwise every record is rejected",
        )
        for key in lacking
    ]
    faults.extend(fault for fault in found if fault not in faults)


def _try(name: str, prompt: Prompt, names: dict[str, Any], faults: list[Fault]) -> None:
    """Add a fault if the templates cannot be filled in with these names."""
    where = f"prompts.{name}.variants.{prompt.name}" if prompt.name else f"prompts.{name}"
    clash = sorted(set(prompt.variables) & set(names))
    if clash:
        what = f"{clash[0]!r} is a field of the records too"
        faults.append(Fault(f"{where}.variables", what, "give it another name"))
    try:
        prompt.fill(names)
        prompt.turns(names)
    except TemplateFault as error:
        key = f"{where}.{error.place or prompt.place}"
        if key not in [fault.where for fault in faults]:  # reported already
            faults.append(Fault(key, str(error)))
