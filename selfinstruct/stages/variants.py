"""The variants of a prompt: which one a record gets, by a field or by a draw, and their faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.errors import Fault, unknown
from selfinstruct.prompts.rendering import TemplateFault
from selfinstruct.prompts.templates import Prompt
from selfinstruct.records import stream
from selfinstruct.stages import Stage
from selfinstruct.stages.fields import Sample
from selfinstruct.where import faults, is_one_of


def picked_by(stage: Stage, by: str | None, data: Mapping[str, Any]) -> Prompt:
    """The variant for a record by the value of a field; the only prompt if no field picks one."""
    if by is None:
        return stage.prompts[0]
    return next(prompt for prompt in stage.prompts if is_one_of(data[by], [prompt.when]))


def drawn(stage: Stage, weights: Mapping[str, float], data: dict[str, Any], number: int, seed: int) -> Prompt:
    """The variant drawn for request `number`, among those that fit its record."""
    fitting = [prompt for prompt in stage.prompts if prompt.fits(data)]
    likely = [weights[prompt.name or ""] for prompt in fitting]
    return stream(seed, stage.name, number, "draw").choices(fitting, likely)[0]


def by_field_faults(stage: Stage, by: str | None, fields: Sample, names: dict[str, Any]) -> list[Fault]:
    """Faults in picking a variant by a field: it must exist, and each of its values needs a variant."""
    where = f"pipeline.{stage.name}.by"
    whens = [prompt.when for prompt in stage.prompts]
    if by is None:
        remedy = "its prompt has variants; name the field that picks one, or draw one"
        return [Fault(where, "is missing", remedy)] if stage.prompts[0].name else []
    found = []
    values = fields[by].values if by in fields else ()
    if by not in names:
        found.append(Fault(where, *unknown("field", by, names)))
    elif not values and not isinstance(names[by], bool):
        what = f"{by!r} may have any value, and each needs a variant"
        found.append(Fault(where, what, "pick by a field that a label stage sets by a choice"))
    if None in whens:
        remedy = f"give prompts.{stage.name} variants, each with a 'when'"
        found.append(Fault(where, f"picks by {by!r} but the prompt has no variants", remedy))
    for value in values:
        if not is_one_of(value, whens):
            what = f"no variant of prompts.{stage.name} has 'when: {value}', a value of {by!r}"
            found.append(Fault(where, what, f"there are: {', '.join(map(repr, whens))}"))
    return found


def drawn_faults(
    stage: Stage, weights: Mapping[str, float], field: str | None, names: dict[str, Any]
) -> Iterator[Fault]:
    """Faults in drawing a variant: each needs a weight, and every record must have one that can be drawn."""
    prompts = {prompt.name or "": prompt for prompt in stage.prompts}
    where, section = f"pipeline.{stage.name}.draw", f"prompts.{stage.name}.variants"
    if "" in prompts:
        yield Fault(where, "draws a variant but the prompt has none", f"give {section} some")
        return
    for name in weights:
        if name not in prompts:
            yield Fault(f"{where}.{name}", *unknown("variant", name, prompts))
    for name, prompt in prompts.items():
        if name not in weights:
            what = f"variant {name!r} has no weight"
            yield Fault(where, what, f"give {where}.{name} one; 0 switches the variant off")
        yield from faults(f"{section}.{name}.where", prompt.where, names, {})
    if not any(weights.get(name) and not prompt.where for name, prompt in prompts.items()):
        what = "has no variant for a record that fits no variant's where"
        yield Fault(where, what, "give a weight above 0 to a variant without where")
    if any(field in prompt.parse.fields for prompt in stage.prompts):
        yield Fault(
            f"pipeline.{stage.name}.variant_field",
            f"{field!r} is read from the replies too",
            "give it another name",
        )


def only_in_some(stage: Stage, by: str | None, fields: Sample, names: dict[str, Any]) -> Iterator[Fault]:
    """Faults for using a field that an earlier stage sets only in some records."""
    for key, one in fields.items():
        if not one.where:
            continue
        what = f"{key!r} is set by stage {one.stage} only in the records that its 'where' picks"
        remedy = f"give pipeline.{stage.name} the same where"
        if key == by:
            yield Fault(f"pipeline.{stage.name}.by", what, remedy)
        for prompt in stage.prompts:
            where = f"prompts.{stage.name}" + (f".variants.{prompt.name}" if prompt.name else "")
            if _needs(prompt, names, key):
                instead = f"{remedy}, or write {{% if {key} is defined %}}"
                yield Fault(f"{where}.{prompt.place}", what, instead)


def _needs(prompt: Prompt, names: dict[str, Any], name: str) -> bool:
    """Whether the templates can be filled in only if the name has a value."""
    try:
        prompt.fill(names), prompt.turns(names)
    except TemplateFault:  # another fault, which is reported elsewhere
        return False
    try:
        left = {key: value for key, value in names.items() if key != name}
        prompt.fill(left), prompt.turns(left)
    except TemplateFault:
        return True
    return False
