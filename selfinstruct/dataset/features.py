"""The types of a file's columns, in the form that the `datasets` library reads in a README's header.

Without them the library guesses each type from the first 10 MB of a file. Then it fails on a column that is
null in those 10 MB and a text later, and reads columns with certain names as the trace of an agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

Type = dict[str, Any]
NULL: Type = {"dtype": "null"}
TEXT: Type = {"dtype": "string"}
INTEGERS = range(-(2**63), 2**63)


class Mixed(Exception):
    """Values that have no common type."""


class Types:
    """The type of each column, found from one row after the other.

    Args:
        sure: the types of columns in which all values have the type of the first one.

    Attributes:
        found: by column, in order of appearance; None if its values have no common type.
    """

    def __init__(self, sure: Mapping[str, Type] | None = None) -> None:
        self._sure = sure or {}
        self.found: dict[str, Type | None] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Look at one more row; the order of rows makes no difference but for the order of columns."""
        found, sure = self.found, self._sure
        for name, value in row.items():
            known = found.get(name, NULL)
            if known is None or (known == TEXT and type(value) is str) or known is sure.get(name):
                continue
            if known is NULL and name in sure and _type(value) == sure[name]:
                found[name] = sure[name]
                continue
            try:
                found[name] = _both(known, _type(value))
            except Mixed:
                found[name] = None


def common(
    rows: Iterable[Mapping[str, Any]], sure: Mapping[str, Type] | None = None
) -> dict[str, Type | None]:
    """The type of each column of these rows; see `Types`."""
    types = Types(sure)
    for row in rows:
        types.add(row)
    return types.found


def promised(schema: Mapping[str, Any]) -> dict[str, Type]:
    """The types of the columns that the JSON Schema of a row settles, since each row has passed it."""
    fields = (schema.get("properties") or {}).items()
    return {name: kind for name, spec in fields if (kind := _of_schema(spec)) is not None}


def _of_schema(schema: Any) -> Type | None:
    """The type of all values that a schema allows; None if it may be several."""
    if schema.get("type") == "string" or all(isinstance(one, str) for one in schema.get("enum", [0])):
        return TEXT
    if schema.get("type") == "array" and "items" in schema:
        inner = _of_schema(schema["items"])
        return {"list": inner} if inner else None
    fields = schema.get("properties") or {}
    whole = schema.get("additionalProperties") is False and set(schema.get("required", ())) == set(fields)
    if schema.get("type") != "object" or not fields or not whole:
        return None
    inner_types = {name: _of_schema(spec) for name, spec in fields.items()}
    if None in inner_types.values():
        return None
    return {"struct": [{"name": name, **(kind or NULL)} for name, kind in inner_types.items()]}


def features(types: Mapping[str, Type | None]) -> list[Type] | None:
    """The name and type of each column as the header has them; None if a column has no type."""
    known = {name: kind for name, kind in types.items() if kind is not None}
    if not types or len(known) < len(types):
        return None
    return [_written({"name": name, **kind}) for name, kind in known.items()]


def _type(value: Any) -> Type:
    """The type of a value.

    Raises:
        Mixed: if the library has no type for it: it reads a number beyond 64 bits as a fraction.
    """
    if value is None:
        return NULL
    if isinstance(value, bool):
        return {"dtype": "bool"}
    if isinstance(value, int) and value in INTEGERS:
        return {"dtype": "int64"}
    if isinstance(value, float | str):
        return {"dtype": "string" if isinstance(value, str) else "float64"}
    if isinstance(value, list):
        return {"list": reduce(_both, map(_type, value), NULL)}
    if isinstance(value, dict) and value:
        return {"struct": [{"name": name, **_type(inner)} for name, inner in value.items()]}
    raise Mixed


def _both(one: Type, other: Type) -> Type:
    """The common type of two types.

    Raises:
        Mixed: if there is none.
    """
    if one == other or other == NULL:
        return one
    if one == NULL:
        return other
    if one.keys() == other.keys() == {"list"}:
        return {"list": _both(one["list"], other["list"])}
    if one.keys() == other.keys() == {"struct"}:
        return {"struct": _fields(one["struct"], other["struct"])}
    if {one.get("dtype"), other.get("dtype")} == {"int64", "float64"}:
        return {"dtype": "float64"}
    raise Mixed


def _fields(one: list[Type], other: list[Type]) -> list[Type]:
    if [field["name"] for field in one] != [field["name"] for field in other]:
        raise Mixed
    pairs = [(_unnamed(a), _unnamed(b)) for a, b in zip(one, other, strict=True)]
    return [{"name": field["name"], **_both(*pair)} for field, pair in zip(one, pairs, strict=True)]


def _unnamed(field: Type) -> Type:
    return {key: value for key, value in field.items() if key != "name"}


def _written(kind: Type) -> Type:
    """A type as written in the header: the type of a list's items comes right under it."""
    if "struct" in kind:
        return {**kind, "struct": [_written(field) for field in kind["struct"]]}
    if "list" in kind:
        inner = _written(kind["list"])
        return {**kind, "list": inner.get("struct") or inner.get("dtype") or inner}
    return kind
