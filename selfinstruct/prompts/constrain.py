"""Make the JSON Schema of a reply for `response_format`, with which a provider constrains a chat model.

The schema has the keys that the stage's parser reads, with the types and descriptions of the stage's own
schema, within the limits of OpenAI's strict mode: every key is required, and no other key is allowed.
Keywords outside `KEPT` are left out; the check of the record applies them.
"""

from __future__ import annotations

import re
from typing import Any

from selfinstruct.parse import Outline

KEPT = ("type", "description", "enum", "$ref")


def response_format(name: str, outline: Outline, schema: dict[str, Any]) -> dict[str, Any]:
    """The value of the request's `response_format`.

    Args:
        name: the name of the prompt, which is sent to the provider.
        outline: the JSON that the parser reads.
        schema: the schema of the stage's records.
    """
    fields = schema.get("properties") or {}
    one = _object({key: _field(field, outline, fields.get(field)) for field, key in outline.keys.items()})
    whole = _object({outline.items: {"type": "array", "items": one}}) if outline.items else one
    if "$defs" in schema:
        whole["$defs"] = {key: _strict(spec) for key, spec in schema["$defs"].items()}
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": whole}}


def _field(field: str, outline: Outline, spec: Any) -> dict[str, Any]:
    strict = _strict(spec)
    values = outline.values.get(field, ())
    if values and sorted(map(repr, values)) != ["False", "True"]:
        strict["enum"] = list(values)
        if all(type(value) is int for value in values):
            strict["type"] = "integer"
    return strict


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _strict(spec: Any) -> dict[str, Any]:
    """A schema in strict mode; without a type it becomes a string."""
    spec = spec if isinstance(spec, dict) else {}
    kept = {key: spec[key] for key in KEPT if key in spec}
    if "const" in spec:
        kept["enum"] = [spec["const"]]
    if "properties" in spec:
        inner = {str(key): _strict(value) for key, value in spec["properties"].items()}
        kept = {**kept, **_object(inner)}
    if "items" in spec:
        kept["items"] = _strict(spec["items"])
    if "anyOf" in spec:
        kept["anyOf"] = [_strict(one) for one in spec["anyOf"]]
    return kept if kept.keys() - {"description"} else {"type": "string", **kept}
