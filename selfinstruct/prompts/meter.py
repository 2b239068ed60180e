"""How much one rendering of a template may take: a limit of steps, and one of characters that it works on.

A template comes with a recipe, perhaps a stranger's. The two limits are counted, not timed, so the same
template and the same record end in the same way on any machine.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any

from jinja2 import TemplateRuntimeError
from jinja2.utils import Namespace

STEPS = 50_000  # turns of loops, filters, tests and sums; a call counts for several
CALL = 5  # steps
CHARACTERS = 10_000_000  # that calls and filters take in and give out, and that the text has
DIGITS = 4_300  # of an integer; Python itself writes none longer
ITEM = 50  # characters that an item of a list counts for beside its own: about the memory it takes
MANY: Any = (list, tuple, set, frozenset, type({}.keys()), type({}.values()), type({}.items()))


class TooMuch(TemplateRuntimeError):
    """A template that takes more than a rendering may."""


class Meter:
    """What a rendering has taken so far."""

    __slots__ = ("characters", "steps")

    def __init__(self) -> None:
        self.steps = self.characters = 0

    def step(self, count: int = 1) -> None:
        """Count steps.

        Raises:
            TooMuch: beyond the limit.
        """
        self.steps += count
        if self.steps > STEPS:
            what = f"takes more than {STEPS:,} steps (turns of loops, calls and filters)"
            raise TooMuch(f"{what}; loop over less, or nest fewer loops")

    def charge(self, characters: int) -> None:
        """Count characters.

        Raises:
            TooMuch: beyond the limit.
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
    """Count anew from here; until `end` gets what this gives."""
    return _METER.set(Meter())


end = _METER.reset


# The meter of this rendering; a LookupError where nothing is being rendered. Jinja tries to work out what is
# constant while it compiles; this error tells it to leave that to the rendering, where it is counted.
meter = _METER.get


def weight(value: Any) -> int:
    """About how many characters a value has when it is written out, counted no further than the limit."""
    if type(value) is str:
        return len(value)
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
