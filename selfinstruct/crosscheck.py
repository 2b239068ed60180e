"""Whether the parts of a recipe fit together: fields, values, templates, and the mix.

Each function adds what it finds to a list of faults. They try things out rather than reason about them: every
template is filled in with the real seeds or with sample records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfinstruct.config import MixConfig, RecipeConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.pool import Seeds
from selfinstruct.prompts import Prompt, TemplateFault
from selfinstruct.schema import fields_of
from selfinstruct.stages import Stage


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
    values: dict[str, tuple[Any, ...]] = {}
    for place, stage in enumerate(stages):
        if stage.kind.draws:
            made = {key: stage.fields.get(key, "text") for key in stage.prompts[0].parse.fields}
            tasks = [seed.data for seed in seeds.tasks] if seeds else []
            names: dict[str, Any] = {"examples": [*tasks, made] if config.mix.machine else tasks}
        else:
            names = _record(config, stage, stages[:place])
            _variants(stage, names, values, faults)
        for prompt in stage.prompts:
            _try(stage.name, prompt, names, faults)
            if stage.kind.labels and prompt.parse.values:
                values[prompt.parse.fields[0]] = prompt.parse.values
            where = f"prompts.{stage.name}.parse"
            known_fields(config, prompt.parse.fields, stage.name, where, faults)
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


def _record(config: RecipeConfig, stage: Stage, before: Sequence[Stage]) -> dict[str, Any]:
    """A sample of the records that a stage is about, with the labels set before it."""
    sample = fields_of(config.schemas.get(stage.of or "", {}))
    built = {other.name: other for other in before}
    for name in list(config.pipeline)[: list(config.pipeline).index(stage.name)]:
        other = built.get(name)  # one that could not be built has faults enough of its own
        if other is None or (other.kind.labels and other.of == stage.of):
            sample.update(fields_of(config.schemas.get(name, {})))
    return sample


def _variants(
    stage: Stage, names: dict[str, Any], values: dict[str, tuple[Any, ...]], faults: list[Fault]
) -> None:
    """The field that picks the variant is there, and each of its values has one."""
    by, where = stage.kind.by, f"pipeline.{stage.name}.by"
    whens = [prompt.when for prompt in stage.prompts]
    if by is None:
        if whens != [None]:
            faults.append(
                Fault(where, "is missing", "its prompt has variants; name the field that picks one")
            )
        return
    if by not in names:
        faults.append(Fault(where, *unknown("field", by, names)))
    elif by not in values and not isinstance(names[by], bool):
        what = f"{by!r} may have any value, and each needs a variant"
        faults.append(Fault(where, what, "pick by a field that a label stage sets by a choice"))
    if None in whens:
        remedy = f"give prompts.{stage.name} variants, each with a 'when'"
        faults.append(Fault(where, f"picks by {by!r} but the prompt has no variants", remedy))
    for value in values.get(by, ()):
        if not any(when == value and type(when) is type(value) for when in whens):
            what = f"no variant of prompts.{stage.name} has 'when: {value}', a value of {by!r}"
            faults.append(Fault(where, what, f"there are: {', '.join(map(repr, whens))}"))


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
        faults.append(Fault(f"{where}.template", str(error)))


def _mix(mix: MixConfig, seeds: Seeds, faults: list[Fault]) -> None:
    if mix.machine > mix.examples:
        what = f"is {mix.machine}, more than the {mix.examples} examples of a prompt"
        faults.append(Fault("mix.machine", what, "set it lower, or mix.examples higher"))
    if len(seeds.tasks) < mix.examples:
        what = f"asks for {mix.examples} examples but there are {len(seeds.tasks)} seeds"
        remedy = f"add seeds to {seeds.path}, loosen seeds.where, or set mix.examples and mix.machine"
        faults.append(Fault("mix.examples", what, remedy))
