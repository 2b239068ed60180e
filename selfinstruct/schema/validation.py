"""JSON Schema (Draft 2020-12): check and compile each schema once, and validate each record against it.

jsonschema decides. For schemas in which jsonschema-rs cannot differ from it, jsonschema-rs is asked first: it
accepts a valid record in a hundredth of the time. Nothing is ever downloaded: a `$ref` must lead to a place
in the same schema.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.records import Rejection
from selfinstruct.safety.expressions import SlowExpression
from selfinstruct.schema.limits import TooManySteps, limited, slow_in

Validate = Callable[[dict[str, Any]], "Rejection | None"]

# Keywords that both libraries treat alike; others depend on regular expressions, formats or rounding.
ALIKE = {
    *("type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "contains"),
    *("minLength", "maxLength", "pattern", "enum", "const", "allOf", "title", "description", "$comment"),
}
FILLED, FILLED_AS_IN_PYTHON = r"\S", r"[^\s\u001c-\u001f\u0085]"


def compile_schema(schema: dict[str, Any], where: str, faults: list[Fault]) -> Validate | None:
    """Make a function that returns the fault of a record, or None if the record is valid.

    Args:
        schema: the JSON Schema.
        where: its config key, for messages.
        faults: receives a fault if the schema itself is not valid.
    """
    from jsonschema.exceptions import best_match

    wrong = _wrong(schema, where)
    if wrong:
        faults.append(wrong)
        return None
    validator, surely_valid = _validator(schema), _quick(schema)

    def validate(data: dict[str, Any]) -> Rejection | None:
        if surely_valid(data):
            return None
        with limited(where):
            error = best_match(validator.iter_errors(data))
        if error is None:
            return None
        path = error.json_path.removeprefix("$").lstrip(".")
        return Rejection(f"{path}: {error.message}" if path else error.message, {"path": error.json_path})

    return validate


def named_fields(schema: dict[str, Any]) -> dict[str, Any]:
    """The fields of a schema, even of an invalid one, so that the rest of the recipe can be checked."""
    fields = schema.get("properties")
    types = {
        name: spec.get("type") if isinstance(spec, dict) else None
        for name, spec in (fields.items() if isinstance(fields, dict) else ())
        if isinstance(name, str)
    }
    known = {name: {"type": one} if isinstance(one, str) else {} for name, one in types.items()}
    return {"properties": known} if known else {}


def fields_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The fields that a schema names, each with a value of its type, for trying out a template."""
    samples = {"string": "text", "boolean": False, "integer": 1, "number": 1.0, "array": [], "object": {}}
    fields = {}
    for name, spec in (schema.get("properties") or {}).items():
        spec = spec if isinstance(spec, dict) else {}
        values = spec.get("enum") or [samples.get(str(spec.get("type")), "text")]
        fields[str(name)] = spec.get("const", values[0])
    return fields


def misfits(schema: dict[str, Any], names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The given fields that no record may have, and the fields that a record with them lacks, for any values.

    Both lists are empty for an invalid schema, which is already a fault.
    """
    given = dict.fromkeys(names)
    if _wrong(schema, ""):
        return [], []
    refused = [name for name in given if _complaints(schema, {name: None}, "additionalProperties")]
    required = [name for needed in _complaints(schema, given, "required") for name in needed]
    return refused, [name for name in dict.fromkeys(required) if name not in given]


def _complaints(schema: dict[str, Any], data: dict[str, Any], keyword: str) -> list[Any]:
    """The errors of a keyword for the record as a whole; errors that depend on a condition do not count."""
    errors = [error for error in _validator(schema).iter_errors(data) if error.validator == keyword]
    sure = [error for error in errors if not {"then", "else"} & set(error.relative_schema_path)]
    return [error.validator_value for error in sure if not error.absolute_path]


def _quick(schema: dict[str, Any]) -> Callable[[Any], bool]:
    """Make a fast check that recognizes some of the valid records; for the others it is False."""
    if not _alike(schema):
        return lambda data: False
    from jsonschema_rs import Draft202012Validator

    is_valid = Draft202012Validator(_with_python_spaces(schema)).is_valid

    def surely_valid(data: Any) -> bool:
        try:
            return is_valid(data)
        except (ValueError, OverflowError):  # half a character, a number beyond 64 bits
            return False

    return surely_valid


def _alike(schema: Any) -> bool:
    """Whether both libraries treat a schema alike, except for the pattern of a filled text."""
    if isinstance(schema, bool):
        return True
    parts = [*schema.get("properties", {}).values(), *schema.get("allOf", [])]
    parts += [schema.get(key, True) for key in ("items", "additionalProperties", "contains")]
    plain = [*schema.get("enum", []), schema.get("const", "")]
    return (
        schema.keys() <= ALIKE
        and schema.get("pattern", FILLED) == FILLED
        and all(isinstance(value, str) for value in plain)
        and all(map(_alike, parts))
    )


def _with_python_spaces(part: Any) -> Any:
    """A part of a schema, changed so that a text of only Python's spaces is not filled."""
    if isinstance(part, list):
        return [_with_python_spaces(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    copy = {key: _with_python_spaces(inner) for key, inner in part.items()}
    return {**copy, "pattern": FILLED_AS_IN_PYTHON} if copy.get("pattern") == FILLED else copy


def _validator(schema: Mapping[str, Any]) -> Any:
    from referencing.jsonschema import EMPTY_REGISTRY

    from selfinstruct.schema.limits import validator_class

    return validator_class()(schema, registry=EMPTY_REGISTRY)  # otherwise jsonschema uses the network


def _wrong(schema: dict[str, Any], where: str) -> Fault | None:
    """The fault of a schema itself; None if it is valid."""
    try:
        fault = _checked(pickle.dumps(schema), where)
    except RecursionError:
        return Fault(where, "is not a valid JSON Schema: a $ref in it leads back to itself without end")
    return fault and replace(fault, where=where + fault.where)


@lru_cache(maxsize=256)
def _checked(pickled: bytes, key: str) -> Fault | None:
    """The fault of a schema, with its place; cached, since each schema is checked several times."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    schema = pickle.loads(pickled)
    foreign = _foreign(schema, "")
    if foreign:
        return foreign
    try:
        Draft202012Validator.check_schema(schema)
        dangling = _dangling(schema)
        slow = slow_in(schema)
        if slow:
            return Fault("", slow)
        if not dangling:
            with limited(key):
                list(_validator(schema).iter_errors(fields_of(schema)))  # list() makes it check everything
    except (SlowExpression, TooManySteps) as error:
        return Fault("", str(error).removeprefix(f"{key}: "))
    except SchemaError as error:
        path = "".join(f".{part}" for part in error.absolute_path)
        return Fault(path, f"is not a valid JSON Schema: {error.message}")
    if dangling:
        remedy = "write the definition into the schema, under $defs; nothing is downloaded"
        return Fault("", f"$ref {dangling!r} leads nowhere", remedy)
    return None


def _foreign(part: Any, where: str) -> Fault | None:
    """The fault of the first value that JSON cannot hold: a key that is not text, bytes, NaN or infinity."""
    if isinstance(part, dict):
        wrong = next((key for key in part if not isinstance(key, str)), None)
        if wrong is not None:
            return Fault(f"{where}.{wrong}", "is a key that YAML does not read as text", "put it in quotes")
        inner = ((f"{where}.{key}", value) for key, value in part.items())
    elif isinstance(part, list):
        inner = ((f"{where}.{number}", value) for number, value in enumerate(part))
    elif isinstance(part, bytes) or (isinstance(part, float) and not math.isfinite(part)):
        return Fault(where, f"is {part!r}, which JSON cannot hold", "write text or a number")
    else:
        return None
    return next((found for place, value in inner if (found := _foreign(value, place))), None)


def _dangling(schema: dict[str, Any]) -> str | None:
    """The first reference that does not lead to a place in the schema; None if there is none."""
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

    root = DRAFT202012.create_resource(schema)
    todo, seen = [(root, EMPTY_REGISTRY.resolver_with_root(root))], set()
    while todo:
        resource, resolver = todo.pop()
        part: Any = resource.contents
        if id(part) in seen:
            continue
        seen.add(id(part))
        for ref in [part[key] for key in ("$ref", "$dynamicRef") if isinstance(part, dict) and key in part]:
            try:
                found = resolver.lookup(ref)
            except (Unresolvable, ValueError):  # ValueError: it is not an address at all
                return str(ref)
            if not isinstance(found.contents, dict | bool):
                return str(ref)
            todo.append((DRAFT202012.create_resource(found.contents), found.resolver))
        todo += [(inner, resolver.in_subresource(inner)) for inner in resource.subresources()]
    return None
