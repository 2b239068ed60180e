"""Alpaca's format: rows of instruction, input and output."""

from __future__ import annotations

import random
from typing import Any

from selfinstruct.export import AXOLOTL, EXPORTS, LLAMA_FACTORY, Export
from selfinstruct.export.reasoning import FIELD, InText, read_fields, thought_of, with_tags
from selfinstruct.prompts.rendering import render

FILLED = {"type": "string", "pattern": r"\S"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "instruction": {**FILLED, "description": "the task"},
        "input": {"type": "string", "description": "what the task is about; empty if it needs nothing"},
        "output": {**FILLED, "description": "the answer"},
    },
    "required": ["instruction", "input", "output"],
    "additionalProperties": False,
}
SYSTEM = {"system": {**FILLED, "description": "the system message"}}
COLUMNS = {"prompt": "instruction", "query": "input", "response": "output"}


@EXPORTS.register
def alpaca(
    *,
    instruction: str = "instruction",
    input: str = "input",
    output: str = "output",
    system: str = "",
    reasoning: InText = "drop",
    reasoning_field: str = FIELD,
) -> Export:
    """Rows of instruction, input and output.

    Args:
        instruction: the record field for the instruction.
        input: the field for the input; it is empty for a record without the field.
        output: the field for the output.
        system: Jinja template for a fourth column, `system`; if empty, there is none.
        reasoning: the model's thought: put it before the output between think `tags`, or `drop` it.
        reasoning_field: the record field for the thought (`parse.reasoning` of the prompt).
    """

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        thought = thought_of(data, reasoning_field) if reasoning == "tags" else ""
        row = {
            "instruction": data.get(instruction),
            "input": data.get(input, ""),
            "output": with_tags(thought, data.get(output)),
        }
        return {**row, "system": render(system, {"input": "", **data})} if system else row

    more = SYSTEM if system else {}
    schema = {
        **SCHEMA,
        "properties": {**SCHEMA["properties"], **more},
        "required": [*SCHEMA["required"], *more],
    }
    trainers: dict[str, dict[str, Any]] = {
        LLAMA_FACTORY: {"columns": {**COLUMNS, **{name: name for name in more}}},
        AXOLOTL: {"type": "alpaca"},
    }
    fields = read_fields(reasoning, reasoning_field, instruction, output)
    return Export(convert, schema, fields, (system,) if system else (), draws=False, trainers=trainers)
