"""Numbers as a reader reads them on the page: the filters of its templates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from selfinstruct.report.numbers.verdict import signed

NONE = "–"
_MINUS = re.compile(r"(?<![\w-])-(?=\d)")


def number(value: Any) -> str:
    """A number with thousands separated and at most three digits after the point; other values as text."""
    if value is None:
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"


def measured(value: float | None, unit: str) -> str:
    """A number with its unit; a share is a percentage."""
    return percent(value) if unit == "share" else number(value)


def short(value: float) -> str:
    """A large number in thousands or millions."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return number(value)


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return NONE if value is None else f"{value:.1%}"


def percents(value: float) -> str:
    """A share as a percentage, with digits only where they are needed."""
    return f"{value * 100:.4g}%"


def points(value: float | None) -> str:
    """A score from 0 to 100, with one digit."""
    return NONE if value is None else f"{value:.1f}"


def change(value: float | None) -> str:
    """A difference of scores, with its sign."""
    return NONE if value is None else typeset(signed(value))


def money(value: float | None) -> str:
    """US dollars; four digits below a dollar, where requests cost fractions of a cent."""
    if value is None:
        return NONE
    return f"${value:,.2f}" if value >= 1 or not value else f"${value:.4f}"


def duration(seconds: float | None) -> str:
    """A time, as precise as matters to people."""
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"


def typeset(text: str) -> str:
    """A sentence with minus signs, in which no line ends inside ROUGE-L."""
    return _MINUS.sub("\N{MINUS SIGN}", unbroken(text))


def unbroken(text: str) -> str:
    """A text in which no line ends inside ROUGE-L."""
    return text.replace("ROUGE-L", "ROUGE\N{NON-BREAKING HYPHEN}L")


FILTERS: dict[str, Callable[..., str]] = {
    "number": number,
    "percent": percent,
    "measured": measured,
    "percents": percents,
    "points": points,
    "signed": change,
    "money": money,
    "duration": duration,
    "typeset": typeset,
    "unbroken": unbroken,
}
