"""Parsers of JSON, which chat models are asked for."""

from __future__ import annotations

from json import dumps
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from selfinstruct.parse import CUT, PARSERS, UNREADABLE, Outline, Parsed, Parser, answer, lost
from selfinstruct.parse.labels import Choice, answers
from selfinstruct.parse.lenient import Flaw, Reading
from selfinstruct.records import Reply
from selfinstruct.replies import CONTROL

NonStrings = Literal["reject", "write", "keep"]


class JsonField(BaseModel):
    """A field of a candidate, and where it stands in an object of the reply."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str | None = Field(None, description="its key in the reply, where that is another name")
    default: Any = Field(None, description="its value where it is null or missing; without one it is needed")
    choices: dict[str, Choice] = Field(default_factory=dict, description="its closed set, as in `choice`")

    @property
    def values(self) -> tuple[Any, ...]:
        """Its closed set of values; empty where it has none."""
        return tuple(one.meaning(label) for label, one in self.choices.items())


class _Unfit(Exception):
    """Why an object is no candidate."""


@PARSERS.register
def json(
    *,
    fields: dict[str, JsonField],
    items: str | None = None,
    single: bool = False,
    non_strings: NonStrings = "reject",
) -> Parser:
    """Candidates from JSON, read as far as it is whole; an object that is not is rejected.

    Read past are Markdown fences and other text, commas too many, one object a line, a list without its key,
    and a bare string in the place of an object with one field.

    Args:
        fields: field: {key, default, choices}, in the order asked for; each may be left out.
        items: the key that holds the list of objects; null where the reply is the list, or one object.
        single: the reply is one object and no list; several that differ are rejected.
        non_strings: what becomes of a number, boolean, list or object in a field without choices: `reject`
            the object, `write` it as JSON text, or `keep` it, for the stage's schema to judge.
    """
    if not fields:
        raise ValueError("fields: name at least one")
    if items and single:
        raise ValueError("single: a reply that is one object has no key that holds a list")
    objects = _Objects(fields, items, non_strings)
    closed = {name: field.values for name, field in fields.items() if field.choices}
    outline = Outline(objects.keys, items, closed) if items or single else None

    def read(reply: Reply, shown: int) -> list[Parsed]:
        found = objects.read(reply)
        return _one(found, reply) if single else found

    return Parser(read, tuple(fields), next(iter(fields.values())).values, outline=outline)


class _Objects:
    """Reads the objects of a reply; its arguments are the parser's."""

    def __init__(self, fields: dict[str, JsonField], items: str | None, non_strings: NonStrings) -> None:
        self.keys = {name: field.key or name for name, field in fields.items()}
        self._fields, self._items, self._non_strings = fields, items, non_strings
        self._tables = {name: _Table(field) for name, field in fields.items() if field.choices}

    def read(self, reply: Reply) -> list[Parsed]:
        """A candidate for each object of a reply, usable or not."""
        text = answer(reply)
        reading = Reading(text)
        if reading.values:
            needed = set(self.keys.values())
            found = [item for value in reading.values for item in _items(value, self._items, needed)]
            return [self._piece(item, reading.flaw(item)) for item in found]
        if reply.cut:
            return lost(reply, "the reply reached max_tokens before its first object", CUT)
        if len(self._fields) == 1 and self._tables:  # a bare answer
            return [self._piece(text.strip("`\"'. \n"), None)]
        return lost(reply, "the reply has no JSON")

    def _piece(self, item: Any, flaw: Flaw | None) -> Parsed:
        if flaw:
            return Parsed({"reply": flaw.source}, CUT if flaw.cut else UNREADABLE, flaw.reason)
        try:
            return Parsed(self._data(item))
        except _Unfit as why:
            return Parsed({"reply": _written(item)}, UNREADABLE, str(why))

    def _data(self, item: Any) -> dict[str, Any]:
        """The fields of an object, or of a bare value where there is one field."""
        if not isinstance(item, dict) and len(self._fields) > 1:
            raise _Unfit("it is no object")
        given = item if isinstance(item, dict) else {next(iter(self.keys.values())): item}
        values = {name: _get(given, key) for name, key in self.keys.items()}
        lacks = [
            name
            for name, field in self._fields.items()
            if values[name] is None and "default" not in field.model_fields_set
        ]
        if lacks:
            raise _Unfit(f"it lacks {' and '.join(lacks)}")
        return {name: self._value(name, value) for name, value in values.items()}

    def _value(self, name: str, value: Any) -> Any:
        if value is None:
            return self._fields[name].default
        if name in self._tables:
            return self._tables[name].meaning(name, value)
        if not isinstance(value, str) and self._non_strings == "reject":
            raise _Unfit(f"{name} is no string: {_written(value)[:80]}")
        if not isinstance(value, str) and self._non_strings == "write":
            value = _written(value)
        control = CONTROL.search(value) if isinstance(value, str) else None
        if control:
            raise _Unfit(f"{name} has U+{ord(control[0]):04X} at character {control.start() + 1}")
        return value


class _Table:
    """What the answers of a closed set mean."""

    def __init__(self, field: JsonField) -> None:
        self._values = field.values
        self._answers = {said.casefold(): value for said, value in answers(field.choices).items()}

    def meaning(self, name: str, said: Any) -> Any:
        """The value; it may be given itself, or as one of its answers in any case."""
        for value in self._values:
            if type(value) is type(said) and value == said:
                return value
        if isinstance(said, str) and said.strip().casefold() in self._answers:
            return self._answers[said.strip().casefold()]
        raise _Unfit(f"{name} is {_written(said)[:80]}, none of {', '.join(map(_written, self._values))}")


def _items(value: Any, key: str | None, needed: set[str]) -> list[Any]:
    """The objects of a value that stands within no other: those of its list, or itself."""
    if isinstance(value, list):
        return value
    if key in value:
        inner = value[key]
        return inner if isinstance(inner, list) else [inner]
    lists = [inner for inner in value.values() if isinstance(inner, list)]
    return lists[0] if len(lists) == 1 and not needed & set(value) else [value]


def _one(pieces: list[Parsed], reply: Reply) -> list[Parsed]:
    """The one there is; several that say the same are one."""
    usable = [piece for piece in pieces if piece.check is None] or pieces
    different = {repr(piece.data): piece for piece in usable}
    if len(different) <= 1:
        return list(different.values())
    return lost(reply, f"it has {len(different)} different objects, and one was asked for")


def _get(item: dict[str, Any], key: str) -> Any:
    """The value of a key, whatever its case."""
    if key in item:
        return item[key]
    return next((value for name, value in item.items() if name.strip().casefold() == key.casefold()), None)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value, ensure_ascii=False)
