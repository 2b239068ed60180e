"""Filters of fields without content: words for nothing, notes on missing things, the instruction again.

A task without an input should have an empty one, so an input that only says "none" becomes empty. An output
without content, or a note in place of something that the task needs, cannot be repaired, so the record is
rejected. The words are data, by language, in `conf/filters/common/clean.yaml`; add yours there.
"""

from __future__ import annotations

import re
from typing import Any

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Patterns, any_of, compiled, found_in, value
from selfinstruct.records import Record, Rejection
from selfinstruct.safety.expressions import Expression
from selfinstruct.where import Conditions, Where

LONGEST = 240  # characters; a longer text has content
_AROUND = " \t\r\n*_`\"'“”„‘’«».。…!！"
_BRACKETS = "()<>[]{}（）［］【】〈〉《》「」『』＜＞〔〕"
_NOT_SAID = re.compile(r"[\W_]+")


@FILTERS.register
def stand_in(
    *,
    nothing: Patterns,
    absent: Patterns,
    asked: Patterns,
    empty: list[str] = [],  # noqa: B006  # options are read, never changed
    reject: list[str] = [],  # noqa: B006
    given: list[str] = [],  # noqa: B006
    except_where: Conditions = {},  # noqa: B006
) -> Filter:
    """Empties an input that says there is none, and rejects a note about something that is missing.

    A pattern must match the whole field, with or without the quotation marks, emphasis, stops and brackets
    around it. A text that a `given` field names, such as "None" in "if none, say None", passes.

    Args:
        nothing: name: words for nothing, such as `N/A`.
        absent: name: a note on something that is missing, such as `[Image of a cat]` or `see above`.
        asked: name: words in a `given` field that make such an answer possible.
        empty: the fields in which a word for nothing becomes an empty text, and an `absent` note is rejected.
        reject: the fields in which both are rejected.
        given: the fields that the others answer or use.
        except_where: field: condition, as in a stage's `where`; in a record that fits, such as one with a
            label as its output, the `reject` fields pass.
    """
    none, notes, both = _Forms(nothing), _Forms(absent), _Forms({**nothing, **absent})
    asking, excepted = compiled(asked), Where.of(except_where)

    def found(record: Record, field: str, words: _Forms) -> str | None:
        """The name of the pattern that matches a whole field, unless a `given` field names the text."""
        text = record.data.get(field)
        if not isinstance(text, str) or not text or len(text) > LONGEST:
            return None
        stripped = text.strip()
        whole = stripped.strip(_AROUND) or stripped
        bare = whole.strip(_BRACKETS + _AROUND) or whole
        name = words.name({stripped, whole, bare})
        if name is None:
            return None
        others = [value(record, other) for other in given if other != field]
        return None if any(_names(other, bare) for other in others) else name

    def mend(record: Record) -> dict[str, Any]:
        return {field: "" for field in empty if found(record, field, none)}

    def each(record: Record) -> Rejection | None:
        passes = bool(excepted) and excepted.fits(record.data)
        for field in [*empty, *([] if passes else reject)]:
            name = found(record, field, notes if field in empty else both)
            if name and not any(found_in(asking, value(record, other)) for other in given if other != field):
                return Rejection(f"{field} is only {value(record, field).strip()[:60]!r} ({name})")
        return None

    return Filter(each=each, mend=mend, fields=tuple(dict.fromkeys([*empty, *reject, *given, *except_where])))


class _Forms:
    """Patterns for a whole text, tried together first, since almost no text matches one."""

    def __init__(self, patterns: dict[str, str]) -> None:
        self._any, self._named = any_of(patterns), compiled(patterns)

    def name(self, forms: set[str]) -> str | None:
        """The name of the first pattern that matches one of the forms of a text completely."""
        if not any(map(self._any.fullmatch, forms)):
            return None
        return next(name for name, pattern in self._named if any(map(pattern.fullmatch, forms)))


def _names(text: str, word: str) -> bool:
    """Whether a text contains a word or a phrase, not as a part of other words."""
    before, after = (r"(?<!\w)" if word[:1].isascii() else "", r"(?!\w)" if word[-1:].isascii() else "")
    return bool(text and re.search(f"{before}{re.escape(word)}{after}", text, re.IGNORECASE))


@FILTERS.register
def input_repeats_instruction(
    *, prefixes: Patterns, field: str = "input", instruction: str = "instruction"
) -> Filter:
    """Empties an input that only repeats the instruction.

    Only letters and digits are compared, and a label or a number before the instruction does not count.

    Args:
        prefixes: name: a label before the instruction, such as `Task`, matched with the colon after it.
        field: the field of the input.
        instruction: the field of the instruction.
    """
    named = any_of(prefixes).pattern
    label = Expression(rf"[\W_]{{0,20}}(?:\d{{1,3}}[.):、．）]\s*)?(?:(?:{named})\W{{0,3}}[:：\n]\s*)?")

    def mend(record: Record) -> dict[str, Any]:
        text, task = value(record, field), value(record, instruction)
        if not text or _last(text) != _last(task) or len(text) > 2 * len(task) + 100:
            return {}  # the usual case
        said = {_folded(task), _folded(_after(label, task))}
        repeats = {_folded(text), _folded(_after(label, text))} & said - {""}
        return {field: ""} if repeats else {}

    return Filter(mend=mend, fields=(field, instruction))


def _after(label: Expression, text: str) -> str:
    found = label.match(text)
    return text[found.end() :] if found else text


def _last(text: str) -> str:
    """The last letter or digit."""
    return next((character.casefold() for character in reversed(text) if character.isalnum()), "")


def _folded(text: str) -> str:
    return _NOT_SAID.sub("", text).casefold()
