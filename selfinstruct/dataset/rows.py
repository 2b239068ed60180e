"""The rows of an export, in a temporary file: one line of JSON for each.

A row takes 12 bytes of memory, and 8 more if the rows are shuffled. Types and names of the columns are found
as the rows come, since a second look at all of them would take as long as writing them.
"""

from __future__ import annotations

import json
import random
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Sequence
from typing import Any

from selfinstruct.dataset.features import Type, Types
from selfinstruct.project.blocks import batched
from selfinstruct.project.jsonl import json_line
from selfinstruct.project.temporary import Entries

Row = dict[str, Any]
AT_ONCE = 1_000
SCORES = "scores"


class Rows:
    """The rows of an export.

    Args:
        splits: the names of the splits.
        sure: the types of columns in which all values have the type of the first one.
        scored: whether the rows have the column `scores`. All rows get the same names in it, and a run whose
            checks keep none has no such column.

    Attributes:
        counts: how many rows each split has.
    """

    def __init__(
        self, splits: Iterable[str], sure: Mapping[str, Type] | None = None, scored: bool = False
    ) -> None:
        self.counts = dict.fromkeys(splits, 0)
        self._lines = Entries()
        self._kinds: dict[tuple[str, tuple[str, ...]], int] = {}  # splits and columns of rows, numbered
        self._kind_of = array("I")  # of each row
        self._order: MutableSequence[int] | None = None  # in which the rows are written, if it is another one
        self._types = Types(sure)
        self._scores = Types() if scored else None

    def __len__(self) -> int:
        """How many there are."""
        return len(self._lines)

    def extend(self, rows: Sequence[Row], splits: Sequence[str]) -> None:
        """Add rows, each with its split.

        Raises:
            RunFolderError: if the temporary file cannot be written.
        """
        for row in rows:
            self._lines.add(json_line(row).encode("utf-8", "surrogatepass"))
        if self._scores:
            for row in rows:
                self._scores.add(row[SCORES])
            rows = [{name: value for name, value in row.items() if name != SCORES} for row in rows]
        for row in rows:
            self._types.add(row)
        kinds = self._kinds
        for kind in zip(splits, map(tuple, rows), strict=True):
            self._kind_of.append(kinds.setdefault(kind, len(kinds)))
        for split, count in Counter(splits).items():
            self.counts[split] += count

    def shuffle(self, stream: random.Random) -> None:
        """Shuffle the rows; the order follows from the stream and the number of rows."""
        self._order = array("Q", range(len(self)))
        stream.shuffle(self._order)

    @property
    def types(self) -> dict[str, Type | None]:
        """The type of each column in all splits, in order of appearance; None if it has none."""
        found = {**self._types.found, SCORES: self._type_of_scores} if self._scores else self._types.found
        return {name: found[name] for name in self.columns(*self.counts)}

    def columns(self, *splits: str) -> list[str]:
        """The columns of some splits, in order of appearance."""
        last = [SCORES] if self._scores and self._scores.found else []
        all_kinds = [(split, [*names, *last]) for split, names in self._kinds]
        kinds: Iterable[list[str]] = [names for split, names in all_kinds if split in splits]
        if any(names != first for first in kinds for names in kinds):
            kinds = (all_kinds[self._kind_of[row]][1] for split in splits for row in self._numbers(split))
        return list(dict.fromkeys(name for names in kinds for name in names))

    def texts(self, split: str) -> Iterator[str]:
        """The rows of a split as JSON Lines, a thousand at a time.

        All of them as one text would take four bytes a character.
        """
        for some in batched(self._numbers(split), AT_ONCE):
            if self._scores:
                yield "".join(json_line(self._row(number)) for number in some)
            else:
                yield self._lines.joined(some).decode("utf-8", "surrogatepass")

    def _row(self, number: int) -> Row:
        row: Row = json.loads(self._lines[number].decode("utf-8", "surrogatepass"))
        if self._scores:
            scores = row.pop(SCORES)
            if names := sorted(self._scores.found):
                row[SCORES] = {name: scores.get(name) for name in names}
        return row

    def _numbers(self, split: str) -> Iterator[int]:
        """The numbers of the rows of a split, in order."""
        among = {number for (name, _), number in self._kinds.items() if name == split}
        order: Sequence[int] = range(len(self)) if self._order is None else self._order
        return (number for number in order if self._kind_of[number] in among)

    @property
    def _type_of_scores(self) -> Type | None:
        kinds = sorted(self._scores.found.items()) if self._scores else []
        fields = [{"name": name, **kind} for name, kind in kinds if kind is not None]
        return {"struct": fields} if len(fields) == len(kinds) else None
