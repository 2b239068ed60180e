"""Limits for the JSON Schemas of a recipe: how long their patterns take, and how often a `$ref` is followed.

jsonschema searches patterns with Python's engine, which cannot be interrupted. It follows each `$ref` again
and again, so that twenty definitions can cause a million steps. This module replaces such keywords by
versions that count.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.safety.expressions import Expression, fault_of, made_for

FOLLOWED = 2_000  # the most times that a $ref is followed for one record
_PATTERNED = ("patternProperties", "unevaluatedProperties")
_FOLLOWED: ContextVar[list[int]] = ContextVar("followed")
_KEY: ContextVar[str] = ContextVar("key", default="")


class TooManySteps(UserError):
    """Checking a record against the schema takes too long."""


@contextmanager
def limited(where: str) -> Iterator[None]:
    """A context in which to validate one record.

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
    """The fault of a schema's patterns, in words; None if there is none."""
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
        return "has both patternProperties and unevaluatedProperties; use additionalProperties instead"
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
    """A version of additionalProperties that gets the keys that match a pattern, not the patterns."""

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
    """A version of a keyword that counts the references it follows."""

    def follow(validator: Any, ref: Any, instance: Any, schema: Any) -> Iterator[Any]:
        count = _FOLLOWED.get([0])
        count[0] += 1
        if count[0] > FOLLOWED:
            what = f"{_KEY.get()}: follows more than {FOLLOWED:,} $ref for one record"
            raise TooManySteps(f"{what}; make the definitions refer to one another less often")
        yield from original(validator, ref, instance, schema)

    return follow
