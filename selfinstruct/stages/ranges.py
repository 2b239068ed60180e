"""A figure that is not known yet: its lowest, expected and highest value."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """A figure that is not known yet."""

    low: float = 0.0
    expected: float = 0.0
    high: float = 0.0

    def __add__(self, other: Range) -> Range:
        """The sum of both."""
        return Range(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def __mul__(self, other: Range) -> Range:
        """The product of both."""
        return Range(self.low * other.low, self.expected * other.expected, self.high * other.high)

    def __truediv__(self, other: Range) -> Range:
        """How many of the other it takes: fewest if the others are largest."""
        return Range(self.low / other.high, self.expected / other.expected, self.high / other.low)

    def whole(self) -> Range:
        """Rounded up."""
        return Range(*(math.ceil(value - 1e-9) for value in (self.low, self.expected, self.high)))

    def less(self, done: float) -> Range:
        """The rest after subtracting what is done."""
        return Range(*(max(0.0, value - done) for value in (self.low, self.expected, self.high)))

    def at_most(self, bound: float) -> Range:
        """The range, capped at a bound."""
        return Range(*(min(bound, value) for value in (self.low, self.expected, self.high)))


def exactly(value: float) -> Range:
    """A figure that is known."""
    return Range(value, value, value)


def around(value: float, factors: tuple[float, float, float]) -> Range:
    """A figure with a range given by factors."""
    return Range(*(value * factor for factor in factors))
