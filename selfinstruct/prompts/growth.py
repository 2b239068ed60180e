"""Compute in advance how large the result of a template's operator, filter or method can be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from selfinstruct.prompts.meter import DIGITS, TooMuch, weight

NUMBERS = (int, float)
_PRINTF = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(\*|\d*)(?:\.(\*|\d*))?")


def after(operator: str, left: Any, right: Any) -> int:
    """The largest possible size of an operator's result."""
    if isinstance(left, NUMBERS) and isinstance(right, NUMBERS):
        return _number(operator, left, right)
    if operator == "%" and isinstance(left, str):
        return _printf(left, right)
    if operator == "*" and (isinstance(left, int) or isinstance(right, int)):
        many, times = (right, left) if isinstance(left, int) else (left, right)
        return weight(many) * max(0, times)
    return weight(left) + weight(right)


def _number(operator: str, left: float, right: float) -> int:
    if isinstance(left, int) and isinstance(right, int):
        one, other = left.bit_length(), right.bit_length()
        bits = max(one, other)
        if operator in ("*", "**"):
            bits = one + other if operator == "*" else one * max(0, right)
        if bits * 0.302 > DIGITS:  # log10(2)
            raise TooMuch(f"makes an integer of more than {DIGITS:,} digits; make it smaller")
    return 0


def _printf(text: str, values: Any) -> int:
    """The largest possible length of the result of a `%` format."""
    widths = [width for found in _PRINTF.findall(text) for width in found if width]
    if "*" in widths:
        raise TooMuch("takes the width in a % format from a value (%*d); write the width into the format")
    return len(text) + sum(map(int, widths)) + weight(values) * text.count("%")


def _per_line(text: Any, width: Any = 4, first: bool = False, blank: bool = False) -> int:
    return (str(text).count("\n") + 1) * (len(width) if isinstance(width, str) else width)


def _replaced(text: Any, old: Any, new: Any, count: Any = None) -> int:
    return str(text).count(str(old)) * len(str(new))


def _joined(items: Any, d: Any = "", attribute: Any = None) -> int:
    return len(items) * len(str(d))


def _wrapped(text: Any, width: int = 79, *rest: Any, wrapstring: Any = "", **others: Any) -> int:
    longest = max(map(len, str(text).split()), default=0)
    extra = (
        len(str(rest[1] if len(rest) > 1 else wrapstring or "")) + 10
    )  # this filter takes ten times as long as others
    return longest * longest // (10 * max(1, width)) + len(str(text)) * extra


def _filled(items: Any, linecount: int = 0, fill_with: Any = None, slices: int = 0) -> int:
    return max(linecount, slices) * weight([fill_with])


def _summed(items: Any, attribute: Any = None, start: Any = 0) -> int:
    return 0 if isinstance(start, int | float) else weight(items) * (weight(start) + len(items))


def _indented(value: Any, indent: int | str | None = None, **others: Any) -> int:
    width = indent if isinstance(indent, int) else len(indent or "")
    return width * weight(value) if width else 0


def _padded(text: Any, width: int = 80, fill: str = " ") -> int:
    return width


# The largest possible result of filters and text methods beyond their input, computed from their arguments.
FILTERS_GROW: dict[str, Callable[..., int]] = {
    **dict.fromkeys(("batch", "slice"), _filled),
    "center": _padded,
    "format": lambda text, *args, **kwargs: _printf(str(text), args or kwargs),
    "indent": _per_line,
    "join": _joined,
    **dict.fromkeys(("json", "tojson"), _indented),
    "replace": _replaced,
    "round": lambda value, precision=0, method="common": abs(precision) * 1000,
    "striptags": lambda text: str(text).count("<") * len(str(text)) // 100,
    "sum": _summed,
    "wordwrap": _wrapped,
}
METHODS_GROW: dict[str, Callable[..., int]] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padded),
    "expandtabs": lambda text, tabsize=8: text.count("\t") * tabsize,
    "join": lambda text, items: _joined(items, text),
    "replace": _replaced,
}
