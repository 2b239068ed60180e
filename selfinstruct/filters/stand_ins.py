"""Filters of fields that hold nothing: words for nothing, notes on what is not there, the instruction again.

An empty input is what a task without one should have, so an input that only says so becomes empty. An
output that says nothing, or a note in the place of something that the task needs, cannot be mended, so the
record is rejected. The words are data, by language, in `conf/filters/common/clean.yaml`; add yours there.
"""

from __future__ import annotations

import re
from typing import Any

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Patterns, any_of, compiled, found_in, value
from selfinstruct.records import Record, Rejection
from selfinstruct.safety.expressions import Expression
from selfinstruct.where import Conditions, Where

LONGEST = 240  # characters; what is longer says something
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

    A pattern has to match all of a field, without the quotation marks, emphasis and stops around it; or
    without its brackets too. What a field that is `given` names, such as "if none, say None", passes.

    Args:
        nothing: name: words for nothing, such as `N/A`.
        absent: name: a note on something that is not there, such as `[Image of a cat]` or `see above`.
        asked: name: words in a field that is `given` with which such an answer may be right.
        empty: the fields in which a word for nothing is replaced by nothing, and what is `absent` rejected.
        reject: the fields in which both are rejected.
        given: the fields that the others are about.
        except_where: field: condition, as in a stage's `where`; in a record that fits, such as one whose
            output is a label, the fields to `reject` pass.
    """
    none, notes, both = _Forms(nothing), _Forms(absent), _Forms({**nothing, **absent})
    asking, excepted = compiled(asked), Where.of(except_where)

    def found(record: Record, field: str, words: _Forms) -> str | None:
        """The name of the pattern that all of a field matches, unless that is right there."""
        text = record.data.get(field)
        if not isinstance(text, str) or not text or len(text) > LONGEST:
            return None
        said = text.strip()
        whole = said.strip(_AROUND) or said
        bare = whole.strip(_BRACKETS + _AROUND) or whole
        name = words.name({said, whole, bare})
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
    """Patterns of which one may match all of a text, tried together first since almost none does."""

    def __init__(self, patterns: dict[str, str]) -> None:
        self._any, self._named = any_of(patterns), compiled(patterns)

    def name(self, forms: set[str]) -> str | None:
        """The name of the first pattern that matches all of one of the forms of a text."""
        if not any(map(self._any.fullmatch, forms)):
            return None
        return next(name for name, pattern in self._named if any(map(pattern.fullmatch, forms)))


def _names(text: str, word: str) -> bool:
    """Whether a text has a word, or several, apart from others."""
    before, after = (r"(?<!\w)" if word[:1].isascii() else "", r"(?!\w)" if word[-1:].isascii() else "")
    return bool(text and re.search(f"{before}{re.escape(word)}{after}", text, re.IGNORECASE))


@FILTERS.register
def input_repeats_instruction(
    *, prefixes: Patterns, field: str = "input", instruction: str = "instruction"
) -> Filter:
    """Empties an input that only repeats the instruction.

    The two are the same where their letters and digits are, whatever comes before it as a label or a number.

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
            return {}  # as for almost every input
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
