"""Types and defaults in words for people who write YAML, for the reference and `check --list`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from selfinstruct.describe.description import Key, Schema

NAMES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "array": "list",
    "object": "mapping",
}
BOUNDS = {  # in the order of their names in the text
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "minLength": "at least",
    "minItems": "at least",
    "minProperties": "at least",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "maxLength": "at most",
    "maxItems": "at most",
    "maxProperties": "at most",
}


def type_words(schema: Schema, shapes: Mapping[str, Schema]) -> str:
    """A JSON Schema of a key in words, with its bounds; `shapes` has the keys of what has no table."""
    branches = schema.get("anyOf", [schema])
    kinds = " or ".join(_kind(branch, shapes) for branch in branches)
    bounds = [f"{BOUNDS[bound]} {one[bound]}" for bound in BOUNDS for one in branches if bound in one]
    return ", ".join([kinds, *bounds])


def default_words(key: Key) -> str:
    """The default of a key, as a recipe would write it; a dash if the key must be set."""
    return "—" if key.required else f"`{json.dumps(key.default, ensure_ascii=False, default=str)}`"


def _kind(schema: Schema, shapes: Mapping[str, Schema]) -> str:
    """A type without its bounds."""
    if "$ref" in schema:
        return _section(shapes.get(schema["$ref"].rpartition("/")[2], {}).get("properties", ()))
    if "const" in schema or ("enum" in schema and "type" in schema):
        return " or ".join(f"`{_yaml(value)}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "string" if "enum" in schema else "")  # without a type: the names of a registry
    inner = schema.get({"array": "items", "object": "additionalProperties"}.get(kind, ""))
    if kind == "array":
        return f"list of {type_words(inner or {}, shapes)}"
    if isinstance(inner, dict):
        return f"mapping to {type_words(inner, shapes)}"
    return NAMES.get(kind, "any")


def _section(keys: Collection[str]) -> str:
    """A section of keys; an option's own section with its keys, since no table has them."""
    return "section" + (f" ({', '.join(f'`{key}`' for key in keys)})" if keys else "")


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
