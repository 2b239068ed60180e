"""Convert a cell of a seed file to its field's type: a number to text, a text to yes or no or to a list.

Only obvious conversions are made; the recipe's schema refuses the rest.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from selfinstruct.sources.seed_json import Unfit, Written, parse
from selfinstruct.sources.seed_turns import first_turns, is_turns

INSTRUCTION, INPUT, OUTPUT = "instruction", "input", "output"
_TEXTS = (INSTRUCTION, INPUT, OUTPUT)
_YES, _NO = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")


def typed(key: str, value: Any, spec: Any, numbers: Counter[str]) -> Any:
    """A value converted to the type that its field's schema names.

    Args:
        key: the field.
        value: the value of the cell.
        spec: the field's part of the schema.
        numbers: counts, by field, the numbers that become text.
    """
    kind = spec.get("type") if isinstance(spec, dict) else None
    if key == "id" and isinstance(value, float) and value.is_integer():  # pandas, if an id is missing
        return int(value)
    if kind == "boolean" and not isinstance(value, bool):
        text = str(value).strip().lower()
        return True if text in _YES else False if text in _NO else value
    if key in _TEXTS or kind == "string":
        return _text(key, value, numbers)
    return float(value) if isinstance(value, Written) else value


def instances(value: Any, numbers: Counter[str]) -> Any:
    """A task's instances, each with an input, and with its texts as text."""
    if isinstance(value, dict):  # a list for each column, as `datasets` writes a list of objects
        lists = list(value.values())
        if not lists or not all(isinstance(one, list) and len(one) == len(lists[0]) for one in lists):
            return value
        value = [dict(zip(value, row, strict=True)) for row in zip(*lists, strict=True)]
    if not isinstance(value, list):
        return value
    return [_instance(one, numbers) if isinstance(one, dict) else one for one in value]


def list_in(value: Any, column: str) -> Any:
    """The value of a cell that should hold a list; in a CSV file the list is JSON text.

    Raises:
        Unfit: if the cell is text that is not valid JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return parse(value)
    except Unfit as error:
        raise Unfit(f"{column}: should be a list, but is text that {error}", error.remedy) from error


def _text(key: str, value: Any, numbers: Counter[str]) -> Any:
    """A number as its written digits; for a conversation, the turn that belongs to the field."""
    if isinstance(value, bool | int | float):
        numbers[key] += 1
        return str(value).lower() if isinstance(value, bool) else getattr(value, "text", None) or str(value)
    if is_turns(value):
        found = first_turns(value, key, answer_only=key == OUTPUT)
        return found.answer if key == OUTPUT else found.question
    return value


def _instance(one: dict[str, Any], numbers: Counter[str]) -> dict[str, Any]:
    made = {
        key: _text(key, value, numbers) if key in _TEXTS else value
        for key, value in one.items()
        if value is not None
    }
    return {INPUT: "", **made} if OUTPUT in made else made
