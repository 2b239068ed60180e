"""JSON Schema (Draft 2020-12): each schema checked and compiled once, each record validated against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.records import Rejection

Validate = Callable[[dict[str, Any]], "Rejection | None"]


def compile_schema(schema: dict[str, Any], where: str, faults: list[Fault]) -> Validate | None:
    """A function that says what is wrong with a record, None where it is valid.

    Args:
        schema: the JSON Schema.
        where: its config key, for messages.
        faults: receives a fault where the schema itself is invalid.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, best_match

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        path = ".".join([where, *map(str, error.absolute_path)])
        faults.append(Fault(path, f"is no valid JSON Schema: {error.message}"))
        return None
    validator = Draft202012Validator(schema)

    def validate(data: dict[str, Any]) -> Rejection | None:
        error = best_match(validator.iter_errors(data))
        if error is None:
            return None
        path = error.json_path.removeprefix("$").lstrip(".")
        return Rejection(f"{path}: {error.message}" if path else error.message, {"path": error.json_path})

    return validate


def fields_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The fields that a schema names, each with a value of its type, for trying out a template."""
    samples = {"string": "text", "boolean": False, "integer": 1, "number": 1.0, "array": [], "object": {}}
    fields = {}
    for name, spec in (schema.get("properties") or {}).items():
        spec = spec if isinstance(spec, dict) else {}
        values = spec.get("enum") or [samples.get(str(spec.get("type")), "text")]
        fields[str(name)] = spec.get("const", values[0])
    return fields
