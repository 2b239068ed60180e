"""Helpers for filters that search for patterns: patterns by name, each of which a recipe can switch off.

A pattern meets texts of any length and form, so it must take linear time: no repetition inside another that
can match the same text, and a bound or a lookbehind if a long run could be tried from each of its characters.
`tests/recipes/test_text_quality.py` checks this for our own patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from selfinstruct.filters import Filter
from selfinstruct.records import Record, Rejection
from selfinstruct.safety.expressions import Expression, fault_of
from selfinstruct.safety.screens import characters_of, lower_of


def _patterns(value: Any) -> Any:
    """A mapping of names to regular expressions from YAML, without those that are false."""
    if not isinstance(value, dict):
        return value  # pydantic reports the fault
    for name, pattern in value.items():
        if pattern is not False and not isinstance(pattern, str):
            raise ValueError(f"{name} is neither a regular expression nor false")
        fault = fault_of(pattern or "")
        if fault:
            raise ValueError(f"{name} {fault}")
    return {name: pattern for name, pattern in value.items() if pattern is not False}


# Regular expressions by name; `<name>=false` switches one off.
Patterns = Annotated[
    dict[str, str], BeforeValidator(_patterns, json_schema_input_type=dict[str, str | Literal[False]])
]
Compiled = list[tuple[str, Expression]]


def compiled(patterns: Mapping[str, str]) -> Compiled:
    """Patterns ready to search, with their names."""
    return [(name, Expression(pattern)) for name, pattern in patterns.items()]


def any_of(patterns: Mapping[str, str]) -> Expression:
    """One pattern that matches where any of the patterns does; they must not refer to groups."""
    return Expression("|".join(map(_scoped, patterns.values())) or r"(?!)")


def which_of(patterns: Mapping[str, str]) -> Expression:
    """Like `any_of`; the `lastgroup` of a match (`p` and a number from 0) shows which pattern matched."""
    grouped = (f"(?P<p{number}>{_scoped(one)})" for number, one in enumerate(patterns.values()))
    return Expression("|".join(grouped) or r"(?!)")


def _scoped(pattern: str) -> str:
    """A pattern that can become part of another one."""
    return f"(?i:{pattern[4:]})" if pattern.startswith("(?i)") else pattern


def likely(patterns: Compiled, text: str) -> Compiled:
    """The patterns that may be found in a text.

    Each pattern would find that out by itself; for many patterns and a short text this takes half the time.
    """
    if not text.isascii():
        return patterns
    there, lower, found = characters_of(text), lower_of(text), []
    for one in patterns:
        screen = one[1].screen
        if screen.characters is not None:
            if screen.characters.isdisjoint(there):
                continue
        elif screen.words is not None:
            for word in screen.words:
                if word in lower:
                    break
            else:
                continue
        found.append(one)
    return found


def found_in(patterns: Compiled, text: str) -> bool:
    """Whether one of the patterns is found."""
    return any(pattern.search(text) for _, pattern in patterns)


def fields_filter(fields: list[str], check: Callable[[str], str | None]) -> Filter:
    """A filter that looks at several fields; `check` returns the fault of a text, or None."""

    def each(record: Record) -> Rejection | None:
        for field in fields:
            text = value(record, field)
            wrong = check(text) if text else None
            if wrong:
                return Rejection(f"{field} {wrong}")
        return None

    return Filter(each=each, fields=tuple(fields))


def finder(patterns: Mapping[str, str], passes: Callable[[str], bool]) -> Callable[[str], str | None]:
    """A check that names the first match of a pattern, except matches that `passes` accepts."""
    searched = compiled(patterns)

    def check(text: str) -> str | None:
        for name, pattern in likely(searched, text):
            match = pattern.search(text)
            while match:
                if not passes(match[0]):
                    return f"has {match[0][:60]!r} ({name})"
                match = pattern.search(text, match.end())
        return None

    return check


def value(record: Record, field: str | None) -> str:
    """A field's text; empty if the record has none."""
    return str(record.data.get(field, "")) if field else ""
