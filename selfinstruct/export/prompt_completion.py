"""The paper's training format: a prompt in one of several layouts, and its completion (section 2.3)."""

from __future__ import annotations

import random
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from selfinstruct.export import EXPORTS, Export
from selfinstruct.export.reasoning import FIELD, InText, read_fields, thought_of, with_tags
from selfinstruct.prompts.rendering import TemplateFault, render

FILLED = {"type": "string", "pattern": r"\S"}
SCHEMA = {
    "type": "object",
    "properties": {
        "prompt": {**FILLED, "description": "the task and its input, in a layout drawn at random"},
        "completion": {**FILLED, "description": "the answer, as it follows the prompt"},
    },
    "required": ["prompt", "completion"],
    "additionalProperties": False,
}
# A word is tried from its first letter only: trying each part of it takes ten times as long.
_NAME = r"(?<!\w)(\w+):"
_NAME_FIRST = rf"{_NAME}(?!(?<=\d:)\d)"  # the colon of a name at the beginning; 10:30 does not have one
_URL_SCHEMES = {"http", "https", "ftp", "file", "mailto"}


class Layout(BaseModel):
    """One way to write a record: Jinja templates for its prompt and its completion."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: str
    completion: str


@EXPORTS.register
def prompt_completion(
    *,
    with_input: dict[str, Layout],
    without_input: dict[str, Layout],
    end: str = "",
    strip_field_name: Annotated[float, Field(ge=0, le=1)] = 0.5,
    fold: Literal["all", "pairs"] = "all",
    keep_url_scheme: bool = True,
    name_first: bool = False,
    instruction: str = "instruction",
    input: str = "input",
    output: str = "output",
    reasoning: InText = "drop",
    reasoning_field: str = FIELD,
) -> Export:
    """Rows of prompt and completion in a layout drawn at random.

    Args:
        with_input: layouts for records that have an input, by name.
        without_input: layouts for records that have none.
        end: a mark at the end of each completion. It is empty by default, since a tokenizer treats a mark
            that it does not know as ordinary text, and most trainers add their own: `<|endoftext|>` for
            GPT-3, `</s>` for Llama 2 and Mistral, `<|end_of_text|>` for Llama 3; see `tokenizer.eos_token`.
        strip_field_name: the probability of removing everything up to the first colon from an input with
            exactly one distinct `word:` name; the same draw folds the blank lines of any input.
        fold: `all` removes all blank lines; `pairs` replaces two line breaks by one, once, as the original
            does, which keeps some of several blank lines, and lines of spaces.
        keep_url_scheme: do not treat the scheme of a URL as such a name (the original does).
        name_first: only a word at the beginning of the input, with text after it, is such a name, and the
            hour in 10:30 is not (the original accepts a name anywhere, and also removes everything before
            it).
        instruction: the record field for the instruction.
        input: the field for the input; it is empty for a record without the field.
        output: the field for the output.
        reasoning: the model's thought: put it before the output between think `tags`, or `drop` it.
        reasoning_field: the field for the thought (`parse.reasoning` of the prompt).
    """
    if not with_input or not without_input:
        raise ValueError("with_input and without_input need at least one layout each")
    faults = [_try(layout) for layout in [*with_input.values(), *without_input.values()]]
    if any(faults):
        raise ValueError(next(filter(None, faults)))

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        given = str(data.get(input) or "").strip()
        if rng.random() < strip_field_name:
            given = _folded(_unnamed(given, keep_url_scheme, name_first), fold)
        layout = rng.choice(list((with_input if given else without_input).values()))
        asked, answer = (str(data.get(field) or "").strip() for field in (instruction, output))
        if not asked or not answer:
            return {"prompt": asked, "completion": answer}  # the schema reports which is missing
        thought = thought_of(data, reasoning_field) if reasoning == "tags" else ""
        names = {"instruction": asked, "input": given, "output": with_tags(thought, answer)}
        return {"prompt": render(layout.prompt, names), "completion": render(layout.completion, names) + end}

    return Export(convert, SCHEMA, read_fields(reasoning, reasoning_field, instruction, output))


def _unnamed(text: str, keep_url_scheme: bool, name_first: bool) -> str:
    """The text without its only field name."""
    name = _NAME_FIRST if name_first else _NAME
    names = set(re.findall(name, text))
    is_scheme = keep_url_scheme and bool(names & _URL_SCHEMES)
    fits = not name_first or re.match(rf"{name}[ \t]*\S", text)
    return text.split(":", 1)[1].strip() if len(names) == 1 and fits and not is_scheme else text


def _folded(text: str, fold: str) -> str:
    """The text with fewer blank lines."""
    return text.replace("\n\n", "\n") if fold == "pairs" else re.sub(r"\n\s*\n", "\n", text)


def _try(layout: Layout) -> str | None:
    try:
        for template in (layout.prompt, layout.completion):
            render(template, {"instruction": "text", "input": "text", "output": "text"})
    except TemplateFault as error:
        return str(error)
    return None
