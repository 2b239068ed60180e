"""Fields that hold numbers, such as the score of a judge: the number of a value, and faults of a field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.errors import Fault, unknown
from selfinstruct.stages.fields import Sample


def number(value: Any) -> float | None:
    """A value that is a number; None if it is not, such as a boolean or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # math.isfinite raises an error for an integer of more than 308 digits.
    return value if isinstance(value, int) or math.isfinite(value) else None


def faults(
    where: str, name: str, fields: Sample, unsure: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[Fault]:
    """Faults for a field that does not exist, that only some records have, or that holds no numbers.

    Args:
        where: the config key that names the field.
        name: the field.
        fields: the fields of the records.
        unsure: fields that may come from stages with faults.
        schemas: the JSON Schema of each stage's records.
    """
    one = fields.get(name)
    if one is None:
        if name not in unsure:
            yield Fault(where, *unknown("field", name, fields))
        return
    if one.where:
        what = f"{name!r} is set by stage {one.stage} only in the records that its 'where' picks"
        yield Fault(where, what, f"have {one.stage} set it in all of them")
    schema = schemas.get(one.stage, {}).get("properties", {}).get(name)
    type_ = schema.get("type") if isinstance(schema, dict) else None
    texts = isinstance(type_, str) and type_ not in ("number", "integer")
    if texts or (one.values and all(number(value) is None for value in one.values)):
        remedy = "name a field that holds numbers, such as a judge's score"
        yield Fault(where, f"{name!r} of stage {one.stage} has no numbers", remedy)
