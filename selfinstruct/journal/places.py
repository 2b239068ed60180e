"""Records by their places, where there are too many for the memory.

A place is the request and the position that a record has in its stage, as one number.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from selfinstruct.records import Record

if TYPE_CHECKING:
    from selfinstruct.journal.store import Journal

AHEAD = 64  # records that are read at once, at most
_BITS = 24  # of a place, for the position in a reply


def packed(request: int, position: int) -> int:
    """A place as one number; the numbers have the order of the places."""
    return request << _BITS | position


def unpacked(place: int) -> tuple[int, int]:
    """Request and position of a place."""
    return place >> _BITS, place & ((1 << _BITS) - 1)


class Reader:
    """Reads records of a stage by their places; where these follow each other, many at once.

    No query stays open, since the journal is written in the meantime.

    Args:
        journal: the journal.
        stage: the stage that made the records.
        fate: the fate that all of them have; None if they have different ones.
    """

    def __init__(self, journal: Journal, stage: str, fate: str | None = None) -> None:
        self._journal, self._stage, self._fate = journal, stage, fate
        self._here: dict[int, Record] = {}
        self._end, self._many = -1, 1  # the last place that was read, and how many were

    def at(self, place: int) -> Record:
        """The record at a place, which is the caller's to change.

        Raises:
            DamagedJournal: if it is gone, or not as it was written.
        """
        record = self._here.pop(place, None)
        if record is None:
            self._look(place)
            record = self._here.pop(place)
        return record

    def _look(self, place: int) -> None:
        """Read the record at a place; twice as many as before if it comes soon after those."""
        follows = 0 < place - self._end < packed(AHEAD, 0)
        self._many = min(2 * self._many, AHEAD) if follows else 1
        found = self._journal.following(self._stage, *unpacked(place), self._many, self._fate)
        self._here = {packed(one.request, one.position): one for one in found}
        self._end = next(reversed(self._here))


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
