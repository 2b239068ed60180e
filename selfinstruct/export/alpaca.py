"""Alpaca's format: rows of instruction, input and output."""

from __future__ import annotations

import random
from typing import Any

from selfinstruct.export import EXPORTS, Export

FILLED = {"type": "string", "pattern": r"\S"}
SCHEMA = {
    "type": "object",
    "properties": {
        "instruction": {**FILLED, "description": "the task"},
        "input": {"type": "string", "description": "what the task is about; empty if it needs nothing"},
        "output": {**FILLED, "description": "the answer"},
    },
    "required": ["instruction", "input", "output"],
    "additionalProperties": False,
}


@EXPORTS.register
def alpaca(*, instruction: str = "instruction", input: str = "input", output: str = "output") -> Export:
    """Rows of instruction, input and output.

    Args:
        instruction: the record field for the instruction.
        input: the field for the input; it is empty for a record without the field.
        output: the field for the output.
    """

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        return {
            "instruction": data.get(instruction),
            "input": data.get(input, ""),
            "output": data.get(output),
        }

    return Export(convert, SCHEMA, (instruction, output))
