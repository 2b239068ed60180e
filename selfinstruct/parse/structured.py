"""Parsers of JSON, which chat models are asked for."""

from __future__ import annotations

import re
from dataclasses import replace
from json import dumps
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from selfinstruct.parse import CUT, PARSERS, UNREADABLE, Outline, Parsed, Parser, answer, lost
from selfinstruct.parse.labels import Choice, answers
from selfinstruct.parse.lenient import Flaw, Reading
from selfinstruct.records import Reply

NonStrings = Literal["reject", "write", "keep"]
LONGEST_SCALE = 1000
_WHOLE = re.compile(r"([+-]?\d{1,9})(?:\.0*)?(?:\s*/\s*(\d{1,9}))?")  # 4, 4.0, 4/5


class Scale(BaseModel):
    """Whole numbers, both ends included."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lowest: int
    highest: int

    @model_validator(mode="after")
    def _has_values(self) -> Scale:
        if not 0 < self.highest - self.lowest < LONGEST_SCALE:
            raise ValueError(f"highest has to be above lowest, and below it by less than {LONGEST_SCALE}")
        return self


class JsonField(BaseModel):
    """A field of a candidate, and where it stands in an object of the reply."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str | None = Field(None, description="its key in the reply, where that is another name")
    default: Any = Field(None, description="its value where it is null or missing; without one it is needed")
    choices: dict[str, Choice] = Field(default_factory=dict, description="its closed set, as in `choice`")
    scale: Scale | None = Field(None, description="it is a whole number from `lowest` to `highest`")
    otherwise: Any = Field(
        None,
        description="its value where the reply has none of its choices or its scale; in a label stage also "
        "where the reply cannot be read, which counts as rejected all the same",
    )

    @model_validator(mode="after")
    def _closed(self) -> JsonField:
        if self.choices and self.scale:
            raise ValueError("a field has choices or a scale, not both")
        if self.settles and not self.asked:
            raise ValueError("otherwise needs choices or a scale")
        return self

    @property
    def settles(self) -> bool:
        """Whether it says what becomes of an answer that is none."""
        return "otherwise" in self.model_fields_set

    @property
    def asked(self) -> tuple[Any, ...]:
        """The closed set that a reply is to choose from; empty where there is none."""
        if self.scale:
            return tuple(range(self.scale.lowest, self.scale.highest + 1))
        return tuple(one.meaning(label) for label, one in self.choices.items())

    @property
    def values(self) -> tuple[Any, ...]:
        """All the values that a record may get; empty where they are not a closed set."""
        more = [getattr(self, key) for key in ("default", "otherwise") if key in self.model_fields_set]
        known = [repr(value) for value in self.asked]
        return (*self.asked, *(value for value in more if repr(value) not in known)) if self.asked else ()


class _Unfit(Exception):
    """Why an object is no candidate."""


@PARSERS.register
def json(
    *,
    fields: dict[str, JsonField],
    items: str | None = None,
    single: bool = False,
    non_strings: NonStrings = "reject",
    when_refused: Literal["reject", "otherwise"] = "reject",
) -> Parser:
    """Candidates from JSON, read as far as it is whole; an object that is not is rejected.

    Read past are Markdown fences and other text, commas too many, one object a line, a list without its key,
    and a bare string in the place of an object with one field.

    Args:
        fields: field: {key, default, choices, scale, otherwise}, each of which may be left out, in the order
            asked for.
        items: the key that holds the list of objects; null where the reply is the list, or one object.
        single: the reply is one object and no list; several that differ are rejected.
        non_strings: what becomes of a number, boolean, list or object in a field without choices: `reject`
            the object, `write` it as JSON text, or `keep` it, for the stage's schema to judge.
        when_refused: `reject` a record that the provider refuses to answer about or has no words for, or set
            each field to its `otherwise` or `default`, as where a reply cannot be read. Either way the reply
            counts as rejected.
    """
    if not fields:
        raise ValueError("fields: name at least one")
    if items and single:
        raise ValueError("single: a reply that is one object has no key that holds a list")
    objects = _Objects(fields, items, non_strings)
    closed = {name: field.asked for name, field in fields.items() if field.asked}
    outline = Outline(objects.keys, items, closed) if items or single else None

    settled = _settled(fields)
    if when_refused == "otherwise" and settled is None:
        raise ValueError("when_refused: 'otherwise' needs one in a field, and it or a default in the others")

    def read(reply: Reply, shown: int) -> list[Parsed]:
        found = objects.read(reply)
        if single:
            found = _one(found, reply) or lost(reply, "the reply has no object")
        return found if settled is None else [replace(one, otherwise=settled) for one in found]

    values = {name: field.values for name, field in fields.items() if field.asked}
    return Parser(read, tuple(fields), values, when_refused == "otherwise", outline)


def _settled(fields: dict[str, JsonField]) -> dict[str, Any] | None:
    """The fields of a reply that cannot be read; None where they do not say."""
    given = [{"default", "otherwise"} & field.model_fields_set for field in fields.values()]
    if not all(given) or not any(field.settles for field in fields.values()):
        return None
    return {name: field.otherwise if field.settles else field.default for name, field in fields.items()}


class _Objects:
    """Reads the objects of a reply; its arguments are the parser's."""

    def __init__(self, fields: dict[str, JsonField], items: str | None, non_strings: NonStrings) -> None:
        self.keys = {name: field.key or name for name, field in fields.items()}
        self._fields, self._items, self._non_strings = fields, items, non_strings
        self._tables: dict[str, _Table | _Numbers] = {
            name: _Numbers(field.scale) if field.scale else _Table(field)
            for name, field in fields.items()
            if field.asked
        }

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
        there = {name.strip().casefold() for name, value in given.items()}
        lacks = [
            name
            for name, field in self._fields.items()
            if values[name] is None
            and "default" not in field.model_fields_set
            and not (
                field.settles and self.keys[name].casefold() in there
            )  # null is an answer, if none of them
        ]
        if lacks:
            raise _Unfit(f"it lacks {' and '.join(lacks)}")
        return {name: self._value(name, value) for name, value in values.items()}

    def _value(self, name: str, value: Any) -> Any:
        field = self._fields[name]
        if value is None:
            return field.default if "default" in field.model_fields_set else field.otherwise
        if name in self._tables:
            try:
                return self._tables[name].meaning(name, value)
            except _Unfit:
                if field.settles:
                    return field.otherwise
                raise
        if not isinstance(value, str) and self._non_strings == "reject":
            raise _Unfit(f"{name} is no string: {_written(value)[:80]}")
        if not isinstance(value, str) and self._non_strings == "write":
            value = _written(value)
        return value


class _Table:
    """What the answers of a closed set mean."""

    def __init__(self, field: JsonField) -> None:
        self._values = field.asked
        self._answers = {said.casefold(): value for said, value in answers(field.choices).items()}

    def meaning(self, name: str, said: Any) -> Any:
        """The value; it may be given itself, or as one of its answers in any case."""
        for value in self._values:
            if type(value) is type(said) and value == said:
                return value
        if isinstance(said, str) and said.strip().casefold() in self._answers:
            return self._answers[said.strip().casefold()]
        raise _Unfit(f"{name} is {_written(said)[:80]}, none of {', '.join(map(_written, self._values))}")


class _Numbers:
    """What the answers on a scale mean."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale

    def meaning(self, name: str, said: Any) -> int:
        """The number; it may also be written as 4.0, as text, or as 4/5 where 5 is the highest."""
        text = str(said).strip() if isinstance(said, int | float | str) else ""
        found = _WHOLE.fullmatch(text)  # which "True" is not
        lowest, highest = self._scale.lowest, self._scale.highest
        if found and found[2] in (None, str(highest)) and lowest <= int(found[1]) <= highest:
            return int(found[1])
        raise _Unfit(f"{name} is {_written(said)[:80]}, no whole number from {lowest} to {highest}")


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
