"""Rows of a record's fields, as they are: for people, with `format: csv`, and for programs of their own."""

from __future__ import annotations

import random
from typing import Any

from selfinstruct.export import EXPORTS, Export

FIELDS = ("instruction", "input", "output")


@EXPORTS.register
def table(*, fields: list[str] | None = None) -> Export:
    """Rows of fields of the records.

    Args:
        fields: the fields, in order; instruction, input and output by default. A record without a field has
            null there.
    """
    names = tuple(FIELDS if fields is None else dict.fromkeys(fields))
    if not names:
        raise ValueError("fields names no field; name some, or leave it out")

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        return {name: data.get(name) for name in names}

    schema = {
        "type": "object",
        "properties": {name: {} for name in names},
        "required": list(names),
        "additionalProperties": False,
    }
    needed = tuple(name for name in names if name != "input" or fields)
    return Export(convert, schema, needed, draws=False)
