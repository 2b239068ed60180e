"""Tools in a recipe: how each prompt gives them to its model, and whether they are sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Fault
from selfinstruct.llm.taken import untaken
from selfinstruct.prompts.templates import Prompt, names_in
from selfinstruct.schema.tools import tool_faults
from selfinstruct.sources.lines import values_with_places
from selfinstruct.sources.pool import Seeds
from selfinstruct.stages import Stage

NATIVE = ("litellm", "local")  # kinds of model whose chat requests may have tools
SAMPLE = {
    "type": "function",
    "function": {"name": "tool", "parameters": {"type": "object", "properties": {}}},
}


def with_tools(prompt: Prompt, models: Sequence[ModelConfig], notes: list[str], stage: str) -> Prompt:
    """The prompt, which shows its tools in the text if one of its models takes none.

    Args:
        prompt: the prompt.
        models: the models that may get it.
        notes: gets the reason why the tools are in the text.
        stage: the stage, for this note.
    """
    if prompt.tools is None or prompt.tools_in_text:
        return prompt
    without = next((model for model in models if not takes_tools(model)), None)
    if without is None:
        return prompt
    note = f"{stage}: the tools are in the text of the prompt, since {_why(without)}"
    if note not in notes:
        notes.append(note)
    return replace(prompt, tools_in_text=True)


def takes_tools(model: ModelConfig) -> bool:
    """Whether a model's requests can have tools, as far as is known."""
    if model.kind not in NATIVE or model.mode != "chat":
        return False
    return not untaken({"tools": [SAMPLE]}, model)


def tool_list_faults(stages: Sequence[Stage], seeds: Seeds | None) -> Iterator[Fault]:
    """The faults of the tools that the records of a recipe may have, and of prompts that do not show them.

    Args:
        stages: the stages that could be built.
        seeds: the seed tasks; None if they could not be read.
    """
    prompts = [(stage, prompt) for stage in stages for prompt in stage.prompts if prompt.tools]
    for stage, prompt in prompts:
        key = f"prompts.{stage.name}" + (f".variants.{prompt.name}" if prompt.name else "")
        named = names_in([prompt])
        if prompt.tools_in_text and named is not None and prompt.tools not in named:
            what = f"does not show {prompt.tools!r}, and the tools are not sent in another way"
            remedy = f"write {{% if tools_in_text %}}{{{{ {prompt.tools} | json }}}}{{% endif %}} in it"
            yield Fault(f"{key}.{prompt.place}", what, remedy)
    for value, place in _lists(stages, seeds, dict.fromkeys(prompt.tools or "" for _, prompt in prompts)):
        yield from tool_faults(value, place)


def _lists(
    stages: Sequence[Stage], seeds: Seeds | None, fields: Sequence[str] | dict[str, None]
) -> Iterator[tuple[Any, str]]:
    """Each list of tools that is known before the run, with its place."""
    for field in fields:
        for stage in stages:
            if field in stage.lines:
                yield from values_with_places(stage.lines[field])
            for number, row in enumerate(stage.material.rows if stage.material else (), 1):
                if field in row:
                    yield row[field], f"pipeline.{stage.name}: row {number}: {field}"
        for task in seeds.tasks if seeds else ():
            if field in task.data:
                yield task.data[field], f"{seeds.path if seeds else ''}: seed task {task.id}: {field}"


def _why(model: ModelConfig) -> str:
    if model.mode != "chat":
        return f"{model.name} is asked in {model.mode} mode"
    return f"{model.name} takes none"
