"""Numbers in groups, such as the places of the labels of each record, in a few bytes each.

A place is the request and the position that a record has in its stage, as one number.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

_BITS = 24  # of a place, for the position in a reply


def packed(request: int, position: int) -> int:
    """A place as one number; the numbers have the order of the places."""
    return request << _BITS | position


def unpacked(place: int) -> tuple[int, int]:
    """Request and position of a place."""
    return place >> _BITS, place & ((1 << _BITS) - 1)


class Grouped:
    """Numbers by the number that they belong to; 16 bytes for each, where a dictionary of lists takes 200.

    Args:
        pairs: the number of a group, and a number in it, in any order of the groups.
    """

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        self._groups, self._numbers = array("q"), array("q")
        for group, number in pairs:
            self._groups.append(group)
            self._numbers.append(number)
        if any(one > other for one, other in pairwise(self._groups)):
            order = sorted(range(len(self._groups)), key=self._groups.__getitem__)
            self._groups = array("q", map(self._groups.__getitem__, order))
            self._numbers = array("q", map(self._numbers.__getitem__, order))

    def of(self, group: int) -> Sequence[int]:
        """The numbers of a group, in the order in which they were given."""
        first = bisect_left(self._groups, group)
        return self._numbers[first : bisect_right(self._groups, group, first)]
