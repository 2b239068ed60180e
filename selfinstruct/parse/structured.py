"""Parsers of JSON replies, as chat models write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from selfinstruct.parse import CUT, PARSERS, UNREADABLE, Outline, Parsed, Parser, answer, lost
from selfinstruct.parse.json_fields import JsonField, Scale
from selfinstruct.parse.labels import Answers, answers
from selfinstruct.parse.lenient import Flaw, Number, Reading, plain, same, written
from selfinstruct.parse.marks import unmarked
from selfinstruct.records import Reply

NonStrings = Literal["reject", "write", "keep"]
_WHOLE = re.compile(r"([+-]?\d{1,9})(?:\.0*)?(?:\s*/\s*(\d{1,9}))?")  # 4, 4.0, 4/5


class _Unfit(Exception):
    """An object is not a candidate; the message is the reason."""


@PARSERS.register
def json(
    *,
    fields: dict[str, JsonField],
    items: str | None = None,
    single: bool = False,
    non_strings: NonStrings = "reject",
    when_refused: Literal["reject", "otherwise"] = "reject",
    when_unreadable: Literal["reject", "otherwise"] = "reject",
) -> Parser:
    """Candidates from JSON; a complete object is read even if the JSON around it is not valid.

    The parser accepts Markdown fences and other text, extra commas, one object per line, a list without its
    key, and a bare string instead of an object with one field. An incomplete object is rejected. If every
    field has choices, a reply with none of them is `undecided`.

    Args:
        fields: field: {key, default, choices, scale, otherwise, list_marks}, each of them optional, in the
            order of the prompt.
        items: the key that holds the list of objects; null if the reply is the list, or one object.
        single: the reply is one object, not a list; several different objects are rejected.
        non_strings: for a number, boolean, list or object in a field without choices: `reject` the object,
            `write` the value as JSON text, or `keep` it, for the stage's schema to check.
        when_refused: if the provider refuses to answer, `reject` the record, or keep it in a label stage and
            set each field to its `otherwise` or `default`. Either way the reply counts as rejected.
        when_unreadable: the same for a reply that is empty, cut or cannot be read.
    """
    if not fields:
        raise ValueError("fields: name at least one")
    if items and single:
        raise ValueError("single: a reply that is one object has no list, so leave out items")
    objects = _Objects(fields, items, non_strings)
    closed = {name: field.asked for name, field in fields.items() if field.asked}
    outline = Outline(objects.keys, items, closed) if items or single else None

    settled = _settled(fields)
    if settled is None and "otherwise" in (when_refused, when_unreadable):
        key = "when_refused" if when_refused == "otherwise" else "when_unreadable"
        raise ValueError(f"{key}: 'otherwise' needs a field with otherwise; all others need it or a default")
    unreadable = settled if when_unreadable == "otherwise" else None

    def read(reply: Reply, shown: int) -> list[Parsed]:
        found = objects.read(reply)
        if single:
            found = _one(found, reply) or lost(reply, "the reply has no object")
        return found

    return Parser(
        read,
        tuple(fields),
        {name: field.values for name, field in fields.items() if field.asked},
        outline,
        refused=settled if when_refused == "otherwise" else None,
        unreadable=unreadable,
        decides=all(field.choices for field in fields.values()),
        prose=False,
        unthought=unreadable if unreadable and _answers_nothing(fields, unreadable) else None,
    )


def _answers_nothing(fields: Mapping[str, JsonField], values: Mapping[str, Any]) -> bool:
    """Whether none of these values is an answer that a model can give."""
    return not any(repr(value) in map(repr, fields[name].asked) for name, value in values.items())


def _settled(fields: dict[str, JsonField]) -> dict[str, Any] | None:
    """The values to set if a reply cannot be read; None if a field has neither otherwise nor default."""
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
            return [self._piece(text, None)]
        return lost(reply, "the reply has no JSON")

    def _piece(self, item: Any, flaw: Flaw | None) -> Parsed:
        if flaw:
            return Parsed({"reply": flaw.source}, CUT if flaw.cut else UNREADABLE, flaw.reason)
        try:
            return Parsed(self._data(item))
        except _Unfit as why:
            return Parsed({"reply": written(item)}, UNREADABLE, str(why))

    def _data(self, item: Any) -> dict[str, Any]:
        """The fields of an object, or of a bare value if there is only one field."""
        if not isinstance(item, dict) and len(self._fields) > 1:
            raise _Unfit("it is not an object")
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
            )  # null is an answer, though not a valid one
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
                return self._tables[name].meaning(name, plain(value))
            except _Unfit:
                if field.settles:
                    return field.otherwise
                raise
        if not isinstance(value, str):
            return self._non_string(name, value)
        marks = field.list_marks
        return unmarked(value, marks.labels, marks.ordinals) if marks else value

    def _non_string(self, name: str, value: Any) -> Any:
        if self._non_strings == "reject":
            raise _Unfit(f"{name} is not a string: {written(value)[:80]}")
        if self._non_strings == "write":
            return written(value)
        if isinstance(value, Number) and not value.json:
            raise _Unfit(f"{name} is not a valid JSON number: {value.source[:80]}")
        return plain(value)


class _Table:
    """The values of the answers of a closed set."""

    def __init__(self, field: JsonField) -> None:
        self._values = field.asked
        self._answers = Answers(answers(field.choices))

    def meaning(self, name: str, given: Any) -> Any:
        """The value of an answer: the value itself, or one of its answers in any case."""
        for value in self._values:
            if type(value) is type(given) and value == given:
                return value
        for value in self._answers.find(given) if isinstance(given, str) else ():
            return value
        raise _Unfit(f"{name} is {written(given)[:80]}, none of {', '.join(map(written, self._values))}")


class _Numbers:
    """The numbers of the answers on a scale."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale

    def meaning(self, name: str, given: Any) -> int:
        """The number of an answer, which may be written as 4.0, as text, or as 4/5 if 5 is the highest."""
        text = str(given).strip() if isinstance(given, int | float | str) else ""
        found = _WHOLE.fullmatch(text)  # "True" does not match
        lowest, highest = self._scale.lowest, self._scale.highest
        if found and found[2] in (None, str(highest)) and lowest <= int(found[1]) <= highest:
            return int(found[1])
        raise _Unfit(f"{name} is {written(given)[:80]}, not a whole number from {lowest} to {highest}")


def _items(value: Any, key: str | None, needed: set[str]) -> list[Any]:
    """The objects of an outermost value: those of its lists, or the value itself."""
    if isinstance(value, list):
        return value
    lists = [inner for inner in value.values() if isinstance(inner, list)]
    fitting = [inner for inner in lists if any(isinstance(one, dict) and needed & set(one) for one in inner)]
    if key in value:
        asked = value[key] if isinstance(value[key], list) else [value[key]]
        more = [inner for inner in fitting if inner is not value[key]]
        return [item for inner in (asked, *more) for item in inner]
    if needed & set(value):
        return [value]
    if len(lists) == 1:
        return lists[0]
    return [item for inner in fitting for item in inner] or [value]


def _one(pieces: list[Parsed], reply: Reply) -> list[Parsed]:
    """The only object; several equal ones count as one."""
    usable = [piece for piece in pieces if piece.check is None] or pieces
    different = {repr(piece.data): piece for piece in usable}
    if len(different) <= 1:
        return list(different.values())
    return lost(reply, f"it has {len(different)} different objects instead of one")


def _get(item: dict[str, Any], key: str) -> Any:
    """The value of a key, in upper or lower case.

    Raises:
        _Unfit: if the key occurs twice with different values.
    """
    named = [value for name, value in item.items() if name.strip().casefold() == key.casefold()]
    found = [value for value in named if value is not None]
    if any(not same(value, found[0]) for value in found[1:]):
        raise _Unfit(f"the key {key!r} has two values")
    return found[0] if found else None
