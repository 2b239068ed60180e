"""Preference pairs in the forms of TRL, OpenAI and LLaMA-Factory: one prompt, a better and a worse answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

from selfinstruct.export import EXPORTS, LLAMA_FACTORY, Export, messages
from selfinstruct.export.alpaca import SYSTEM
from selfinstruct.export.messages import USER
from selfinstruct.export.turns import FILLED, MESSAGES

Data = dict[str, Any]
Convert = Callable[[Data, random.Random], Data]
_, ASKS, ANSWERS = MESSAGES.roles
COLUMNS = {"prompt": "instruction", "query": "input", "chosen": "chosen", "rejected": "rejected"}


@EXPORTS.register
def preference(
    *,
    style: Literal["trl", "openai", "llama_factory"] = "trl",
    user: str = USER,
    chosen: str = "chosen",
    rejected: str = "rejected",
    system: str = "",
) -> Export:
    """Rows of a prompt with a chosen and a rejected answer, for preference training such as DPO.

    Args:
        style: `trl`: prompt, chosen and rejected, each a list of messages; `openai`: input with messages,
            preferred_output and non_preferred_output; `llama_factory`: instruction, input, chosen and
            rejected, with an entry in `dataset_info.json` beside it.
        user: Jinja template for the user's message; `input` is empty for a record that has none.
            `llama_factory` has columns for instruction and input instead, and needs none.
        chosen: the record field for the better answer.
        rejected: the record field for the worse answer.
        system: Jinja template for the system message; if empty, there is none.
    """
    if style == "llama_factory":
        return _columns(chosen, rejected, system)
    names = ("prompt", "chosen", "rejected")
    if style == "openai":
        names = ("input", "preferred_output", "non_preferred_output")
    asked, better, worse = names

    def convert(data: Data, rng: random.Random) -> Data:
        prompt: Any = MESSAGES.list(messages.system_text(system, data), messages.user_text(user, data))
        answers = {name: _answer(data.get(field)) for name, field in ((better, chosen), (worse, rejected))}
        return {asked: {"messages": prompt} if style == "openai" else prompt, **answers}

    prompt = MESSAGES.schema(ASKS)
    if style == "openai":
        prompt = _object({"messages": prompt}) | {"description": "the messages that are answered"}
    answers = {
        better: MESSAGES.schema(ANSWERS) | {"description": "the better answer, as one message"},
        worse: MESSAGES.schema(ANSWERS) | {"description": "the worse answer, as one message"},
    }
    schema = _object({asked: prompt, **answers})
    return Export(convert, schema, (chosen, rejected), messages.templates_of(user, system), draws=False)


def _columns(chosen: str, rejected: str, system: str) -> Export:
    """LLaMA-Factory's rows, which have a column for each text."""

    def convert(data: Data, rng: random.Random) -> Data:
        row = {
            "instruction": data.get("instruction"),
            "input": data.get("input") or "",
            "chosen": data.get(chosen),
            "rejected": data.get(rejected),
        }
        return {**row, "system": messages.system_text(system, data)} if system else row

    more = SYSTEM if system else {}
    schema = _object(
        {
            "instruction": {**FILLED, "description": "the task"},
            "input": {"type": "string", "description": "what the task is about; empty if it needs nothing"},
            "chosen": {**FILLED, "description": "the better answer"},
            "rejected": {**FILLED, "description": "the worse answer"},
            **more,
        }
    )
    reads = {"ranking": True, "columns": {**COLUMNS, **{name: name for name in more}}}
    return Export(
        convert,
        schema,
        ("instruction", chosen, rejected),
        (system,) if system else (),
        draws=False,
        trainers={LLAMA_FACTORY: reads},
        beside=True,
    )


def _answer(text: Any) -> list[dict[str, str]]:
    return MESSAGES.list(None, None, text)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with all of these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
