"""Limits for the JSON Schemas of a recipe: how long their patterns take, and how often a `$ref` is followed.

jsonschema searches patterns with Python's engine, which cannot be interrupted, and follows each `$ref` anew,
so that twenty definitions can ask for a million steps. Such keywords are replaced by ones that count.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.safety.expressions import Expression, fault_of, made_for

FOLLOWED = 2_000  # times that a $ref is followed for one record
_PATTERNED = ("patternProperties", "unevaluatedProperties")
_FOLLOWED: ContextVar[list[int]] = ContextVar("followed")
_KEY: ContextVar[str] = ContextVar("key", default="")


class TooManySteps(UserError):
    """A schema that takes too long to hold a record against."""


@contextmanager
def limited(where: str) -> Iterator[None]:
    """Validate one record inside.

    Args:
        where: the key of the schema, for messages.
    """
    tokens = _FOLLOWED.set([0]), _KEY.set(where)
    try:
        yield
    finally:
        _FOLLOWED.reset(tokens[0])
        _KEY.reset(tokens[1])


@cache
def validator_class() -> Any:
    """Jsonschema's validator of Draft 2020-12, with limits."""
    from jsonschema import Draft202012Validator, validators

    extend: Any = validators.extend

    follow = {key: _counted(Draft202012Validator.VALIDATORS[key]) for key in ("$ref", "$dynamicRef")}
    found = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional(Draft202012Validator.VALIDATORS["additionalProperties"]),
    }
    return extend(Draft202012Validator, {**follow, **found})


def slow_in(schema: Any) -> str | None:
    """What is wrong with the patterns of a schema, in words."""
    patterns, keywords = set[str](), set[str]()
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            keywords |= {key for key in _PATTERNED if isinstance(part.get(key), dict | bool)}
            patterns |= {one for one in [part.get("pattern")] if isinstance(one, str)}
            named = part.get("patternProperties")
            patterns |= {str(one) for one in named} if isinstance(named, dict) else set()
            todo += part.values()
        elif isinstance(part, list):
            todo += part
    if keywords == set(_PATTERNED):
        return "has both patternProperties and unevaluatedProperties; use additionalProperties in its place"
    faults = ((one, fault_of(one)) for one in sorted(patterns))
    return next((f"its pattern {one[:80]!r} {fault}" for one, fault in faults if fault), None)


@lru_cache(maxsize=1024)
def _expression(pattern: str, where: str) -> Expression:
    with made_for(where):
        return Expression(pattern)


def _finds(pattern: str, text: str) -> bool:
    return _expression(pattern, _KEY.get()).search(text) is not None


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if validator.is_type(instance, "string") and not _finds(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, properties: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, inner in properties.items():
        for key, value in instance.items():
            if _finds(pattern, key):
                yield from validator.descend(value, inner, path=key, schema_path=pattern)


def _additional(original: Any) -> Any:
    """additionalProperties, told which of the record's keys match a pattern rather than the patterns."""

    def additional(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        patterns = schema.get("patternProperties")
        if patterns and validator.is_type(instance, "object"):
            instance = {
                key: inner
                for key, inner in instance.items()
                if not any(_finds(pattern, key) for pattern in patterns)
            }
            schema = {key: part for key, part in schema.items() if key != "patternProperties"}
        yield from original(validator, value, instance, schema)

    return additional


def _counted(original: Any) -> Any:
    """A keyword that follows a reference, and counts."""

    def follow(validator: Any, ref: Any, instance: Any, schema: Any) -> Iterator[Any]:
        count = _FOLLOWED.get([0])
        count[0] += 1
        if count[0] > FOLLOWED:
            what = f"{_KEY.get()}: follows more than {FOLLOWED:,} $ref for one record"
            raise TooManySteps(f"{what}; write the definitions so that they name one another less often")
        yield from original(validator, ref, instance, schema)

    return follow
