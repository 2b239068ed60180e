"""Limit one rendering of a template: the steps it takes, and the characters it works on.

A template comes with a recipe, which a stranger may have written. The limits are counted, not timed, so the
same template and the same record have the same result on any machine.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any

from jinja2 import TemplateRuntimeError
from jinja2.utils import Namespace

STEPS = 50_000  # turns of loops, filters, tests and sums; a call counts for several
CALL = 5  # steps that a call counts for
CHARACTERS = 10_000_000  # in the inputs and results of calls and filters, and in the text
DIGITS = 4_300  # the most digits of an integer; Python itself does not write longer ones
ITEM = 50  # characters counted for each list item in addition to its own: about the memory it takes
MANY: Any = (list, tuple, set, frozenset, type({}.keys()), type({}.values()), type({}.items()))


class TooMuch(TemplateRuntimeError):
    """A template exceeds the limits of a rendering."""


class Meter:
    """Counts the steps and characters of one rendering."""

    __slots__ = ("characters", "steps")

    def __init__(self) -> None:
        self.steps = self.characters = 0

    def step(self, count: int = 1) -> None:
        """Count steps.

        Raises:
            TooMuch: if the limit is exceeded.
        """
        self.steps += count
        if self.steps > STEPS:
            what = f"takes more than {STEPS:,} steps (turns of loops, calls and filters)"
            raise TooMuch(f"{what}; loop over less, or nest fewer loops")

    def charge(self, characters: int) -> None:
        """Count characters.

        Raises:
            TooMuch: if the limit is exceeded.
        """
        self.characters += characters
        if self.characters > CHARACTERS:
            what = f"works on more than {CHARACTERS:,} characters"
            raise TooMuch(f"{what}; repeat, pad and show less in one prompt")

    def take(self, value: Any) -> None:
        """Count the characters of a value."""
        self.charge(len(value) if type(value) is str else weight(value))


_METER: ContextVar[Meter] = ContextVar("meter")


def start() -> Token[Meter]:
    """Start counting from zero; pass the result to `end` to stop."""
    return _METER.set(Meter())


end = _METER.reset


# The meter of this rendering; a LookupError if nothing is being rendered. While compiling, Jinja tries to
# compute constant expressions; this error makes it leave them to the rendering, which counts them.
meter = _METER.get


def weight(value: Any) -> int:
    """The approximate number of characters of a value as text; counting stops at the limit."""
    if type(value) is str:
        return len(value)
    if type(value) is int:
        return value.bit_length() // 3 + 1
    total, todo = 0, [value]
    while todo and total <= CHARACTERS:
        one = todo.pop()
        if isinstance(one, str | bytes):
            total += len(one)
        elif isinstance(one, dict | MappingProxyType):
            total += ITEM * len(one)
            todo += one.keys()
            todo += one.values()
        elif isinstance(one, MANY):
            total += ITEM * len(one)
            todo += one
        elif isinstance(one, range):
            total += ITEM * len(one)
        elif isinstance(one, Namespace):
            todo.append(one._Namespace__attrs)
        elif isinstance(one, int):
            total += one.bit_length() // 3
        total += 1
    return total
