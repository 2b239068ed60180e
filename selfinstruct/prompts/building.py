"""Build the prompts of a stage from its section in a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import Fault
from selfinstruct.parse import PARSERS, Parser
from selfinstruct.prompts.constrain import response_format
from selfinstruct.prompts.rendering import compiled
from selfinstruct.prompts.templates import Prompt
from selfinstruct.prompts.turns import Layout, laid_out
from selfinstruct.where import Where

if TYPE_CHECKING:
    from selfinstruct.config import PromptConfig

TEXTS = {"template", "messages", "opens"}  # the keys of a prompt that say its messages


def build(
    config: PromptConfig, where: str, faults: list[Fault], schema: dict[str, Any] | None = None
) -> list[Prompt]:
    """The prompts of a stage: its variants, or its only prompt.

    Args:
        config: the stage's section.
        where: its key, for messages.
        faults: receives every fault found.
        schema: the schema of the stage's records, if the model can be made to follow it; otherwise None.
    """
    if not config.variants:
        prompt = _build_one(config, None, where, faults, schema)
        return [prompt] if prompt else []
    prompts = []
    for name, variant in config.variants.items():
        given = {*variant.model_fields_set}
        if given & TEXTS:  # one of these keys replaces whichever of them the prompt has
            given |= TEXTS
        merged = variant.model_copy(
            update={key: getattr(config, key) for key in type(config).model_fields if key not in given}
            | {"variables": {**config.variables, **variant.variables}}
            | {"sampling": {**config.sampling, **variant.sampling}}
        )
        prompt = _build_one(merged, name, f"{where}.variants.{name}", faults, schema)
        if prompt:
            inherited = {
                key: f"{where}.sampling.{key}" for key in config.sampling if key not in variant.sampling
            }
            prompts.append(replace(prompt, keys={**prompt.keys, **inherited}))
    return prompts


def _with_reasoning(parse: Parser, field: str | None, where: str, faults: list[Fault]) -> Parser:
    """The parser with the field for the model's thought."""
    if field in parse.fields:
        faults.append(Fault(where, f"the parser already sets {field!r}", "give the thought another name"))
    if field is None or field in parse.fields:
        return parse
    return replace(parse, fields=(*parse.fields, field), reasoning=field)


def _build_one(
    config: PromptConfig, name: str | None, where: str, faults: list[Fault], schema: dict[str, Any] | None
) -> Prompt | None:
    from jinja2 import TemplateError

    layout = laid_out(config, where, faults)
    sampling = dict(config.sampling)
    stop = sampling.get("stop")
    if stop is not None and not (isinstance(stop, list) and all(isinstance(text, str) for text in stop)):
        faults.append(Fault(f"{where}.sampling.stop", "is not a list of strings", "put them in quotes"))
        del sampling["stop"]  # so that the templates can still be tried out
    for key, text in _texts(layout):
        try:
            compiled(text)
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            faults.append(Fault(f"{where}.{key}", f"line {line}: {error}" if line else str(error)))
    if config.parse is None:
        faults.append(Fault(f"{where}.parse", "is missing", f"known: {', '.join(PARSERS.known())}"))
        return None
    parse = PARSERS.build(config.parse.kind, config.parse.options, f"{where}.parse", faults)
    parse = parse and _with_reasoning(parse, config.parse.reasoning, f"{where}.parse.reasoning", faults)
    if parse is None or layout.template is None:
        return None
    if config.constrain and parse.outline is None:
        what = f"the parser {config.parse.kind!r} does not define the JSON that it expects"
        faults.append(Fault(f"{where}.constrain", what, "use json with items or single, or leave it out"))
    asked = {}
    if config.constrain and parse.outline and schema is not None:
        title = where.removeprefix("prompts.").replace(".variants.", "_")
        asked = {"response_format": response_format(title, parse.outline, schema)}
    return Prompt(
        name=name,
        when=getattr(config, "when", None),
        style=config.style,
        template=layout.template,
        system=layout.system,
        variables=config.variables,
        sampling={**asked, **sampling},
        parse=parse,
        where=Where.of(getattr(config, "where", None)),
        may_shorten=config.when_too_long == "shorten",
        keys={key: f"{where}.sampling.{key}" for key in config.sampling},
        before=layout.before,
        start=layout.start,
        opens=config.opens or "",
        place=layout.place,
        start_place=layout.start_place,
        tools=config.tools,
        tools_in_text=config.tools_in_text,
    )


def _texts(layout: Layout) -> Iterator[tuple[str, str]]:
    """The templates of a prompt, each with its key."""
    texts = {layout.place: layout.template, "system": layout.system, layout.start_place: layout.start}
    yield from ((key, text) for key, text in texts.items() if text)
    yield from ((turn.place, turn.template) for turn in layout.before if not turn.talk)
