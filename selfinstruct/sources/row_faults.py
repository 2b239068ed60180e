"""Faults of the rows of one file; each is reported once, with the rows that have it.

A file of a thousand lines that all lack a key has one fault, not a thousand.
"""

from __future__ import annotations

from pathlib import Path

from selfinstruct.errors import Fault

KINDS = 10  # different faults shown
PLACES = 5  # rows named for each fault


class RowFaults:
    """Collects the faults of the rows of a file.

    Args:
        path: the file.
        unit: the word for a row: line, item or row.
    """

    def __init__(self, path: Path, unit: str) -> None:
        self._path, self._unit = path, unit
        self._found: dict[str, tuple[str, str, list[str]]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: str, what: str, remedy: str = "", kind: str = "") -> None:
        """Add a fault of one row.

        Args:
            place: the row's number, perhaps with more words.
            what: what is wrong.
            remedy: what to do about it.
            kind: the same for all rows with this fault, if their words differ; the first words are shown.
        """
        self._found.setdefault(kind or what, (what, remedy, []))[2].append(place)

    def faults(self) -> list[Fault]:
        """One fault for each kind; after ten kinds, one fault that counts the rest."""
        found = [
            Fault(f"{self._path} {places_of(self._unit, places)}", what, remedy)
            for what, remedy, places in self._found.values()
        ]
        if len(found) <= KINDS:
            return found
        rest = sum(len(places) for _, _, places in list(self._found.values())[KINDS:])
        more = Fault(str(self._path), f"{rest} more faults, of {len(found) - KINDS} other kinds")
        return [*found[:KINDS], more]


def places_of(unit: str, places: list[str]) -> str:
    """`line 3`, `lines 3, 7`, `lines 1, 2, 3, 4, 5 and 35 more`."""
    rest = len(places) - PLACES
    shown = ", ".join(places[:PLACES]) + (f" and {rest} more" if rest > 0 else "")
    return f"{unit if len(places) == 1 else unit + 's'} {shown}"
