"""The paper's training format: a prompt in one of several layouts and its completion (section 2.3)."""

from __future__ import annotations

import random
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from selfinstruct.export import EXPORTS, Export
from selfinstruct.prompts.templates import TemplateFault, render

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
# The colon of a name: not the one of 10:30, which is no name where one has to stand first.
_NAME, _NAME_FIRST = r"(\w+):", r"(\w+):(?!(?<=\d:)\d)"
_URL_SCHEMES = {"http", "https", "ftp", "file", "mailto"}


class Layout(BaseModel):
    """One way to write a record: Jinja templates of its prompt and its completion."""

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
) -> Export:
    """Rows of prompt and completion in a layout drawn at random.

    Args:
        with_input: layouts of records that have an input, by name.
        without_input: layouts of those that have none.
        end: what a completion ends in. Empty unless set, since a mark is text like any other to a tokenizer
            that does not have it, and most trainers add their own: `<|endoftext|>` is GPT-3's, `</s>` that of
            Llama 2 and Mistral, `<|end_of_text|>` that of Llama 3; `tokenizer.eos_token` says it.
        strip_field_name: with this probability an input with exactly one distinct `word:` name loses
            everything up to its first colon; with the same draw the blank lines of any input are folded.
        fold: `all` leaves no blank line; `pairs` makes one line break of two, once, as the original does, so
            that of several blank lines some stay, and lines of spaces too.
        keep_url_scheme: do not take the scheme of a URL for such a name (the original does).
        name_first: take for one only a word that the input begins with, text after it, and no hour, as in
            10:30 (the original takes one anywhere, and with it all that stands before).
        instruction: the record field that is the instruction.
        input: the field that is the input; a record without it has an empty one.
        output: the field that is the output.
    """
    if not with_input or not without_input:
        raise ValueError("with_input and without_input need a layout each")
    faults = [_try(layout) for layout in [*with_input.values(), *without_input.values()]]
    if any(faults):
        raise ValueError(next(filter(None, faults)))

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        given = str(data.get(input) or "").strip()
        if rng.random() < strip_field_name:
            given = _folded(_unnamed(given, keep_url_scheme, name_first), fold)
        layout = rng.choice(list((with_input if given else without_input).values()))
        asked, said = (str(data.get(field) or "").strip() for field in (instruction, output))
        if not asked or not said:
            return {"prompt": asked, "completion": said}  # the schema says which is missing
        names = {"instruction": asked, "input": given, "output": said}
        return {"prompt": render(layout.prompt, names), "completion": render(layout.completion, names) + end}

    return Export(convert, SCHEMA, (instruction, output))


def _unnamed(text: str, keep_url_scheme: bool, name_first: bool) -> str:
    """Without its only field name."""
    name = _NAME_FIRST if name_first else _NAME
    names = set(re.findall(name, text))
    is_scheme = keep_url_scheme and bool(names & _URL_SCHEMES)
    stands = not name_first or re.match(rf"{name}[ \t]*\S", text)
    return text.split(":", 1)[1].strip() if len(names) == 1 and stands and not is_scheme else text


def _folded(text: str, fold: str) -> str:
    """With fewer blank lines."""
    return text.replace("\n\n", "\n") if fold == "pairs" else re.sub(r"\n\s*\n", "\n", text)


def _try(layout: Layout) -> str | None:
    try:
        for template in (layout.prompt, layout.completion):
            render(template, {"instruction": "text", "input": "text", "output": "text"})
    except TemplateFault as error:
        return str(error)
    return None
