"""Records as a user sees them: accepted, with the labels of later stages, and without a rejected label.

The labels of a record also hold for the records made from it: its children get the labels that were set on it
after they were made, and if it is left out, so are they.

A large run has more records than fit in memory. So only their places are kept, and a record is read from the
journal whenever it is asked for, with its parent and its labels.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from selfinstruct.journal.outline import OfStage, Pipeline
from selfinstruct.journal.places import Grouped, Reader, packed
from selfinstruct.records import ACCEPTED, KEPT, MENDED, OTHERWISE, REJECTED, Record

if TYPE_CHECKING:
    from selfinstruct.journal.store import Journal

LAST = 500  # records in memory: those of requests that are composed, and whose replies soon come


class LabelledRecords(Mapping[int, Record]):
    """The records of a stage with their labels, read when they are asked for; see `rows`.

    A record and its ancestors take 17 bytes of memory each, and each label 16. The last `LAST` records stay
    in memory, so a record that is asked for twice may be the same object: it must not be changed.

    Args:
        below: the stage whose records are wanted, if these are their parents. Records have the labels that
            their parents had when they were made, so those are not read again.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        journal: Journal,
        name: str,
        before: str | None = None,
        below: str | None = None,
    ) -> None:
        self._journal, self._stage = journal, pipeline.stage(name)
        of = self._stage.of
        self._above = LabelledRecords(pipeline, journal, of, before, below or name) if of else None
        self._places = array("q")  # of all accepted records, in order
        self._parents = array("q")  # where their parents are in `_above`
        self._there = bytearray()  # 1, or 0 for a record that is left out
        self._find_all(journal, name)
        self._reader = Reader(journal, name, ACCEPTED)
        had = {label.name for label in pipeline.labels_of(name, below)} if below else ()
        labels = [label.name for label in pipeline.labels_of(name, before) if label.name not in had]
        self._labels = [(Reader(journal, label), Grouped(self._verdicts(label))) for label in labels]
        self._count = self._there.count(1)
        self._last: OrderedDict[int, Record] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return (number for number, there in enumerate(self._there, 1) if there)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and 0 < number <= len(self._there) and self._there[number - 1] == 1

    def __getitem__(self, number: int) -> Record:
        """A record by its number.

        Raises:
            KeyError: if there is none, or it is left out.
            DamagedJournal: if a row that is read is not as it was written.
        """
        if number not in self:
            raise KeyError(number)
        record = self._last.get(number)
        if record is None:
            record = self._last[number] = self.read(number)
            if len(self._last) > LAST:
                self._last.popitem(last=False)
        return record

    def read(self, number: int) -> Record:
        """A record by its number, read anew, so that it may be changed."""
        index = number - 1
        record = self._reader.at(self._places[index])
        if self._above is not None:
            record.data.update(_inherited(self._above[self._parents[index] + 1], self._stage))
        for reader, verdicts in self._labels:
            for place in verdicts.of(index):
                _label(record, reader.at(place))
        return record

    def _find_all(self, journal: Journal, name: str) -> None:
        """Find the accepted records, and which of them have a parent that is not left out."""
        last: str | None = None  # children of one parent often follow each other
        index = -1
        for request, position, parent in journal.places(name):
            if self._above is not None:
                if parent != last:
                    last, index = parent, self._above.index(parent)
                self._parents.append(index)
            self._places.append(packed(request, position))
            self._there.append(self._above is None or index >= 0)

    def index(self, id: str | None) -> int:
        """Where a record is among all the accepted ones of the stage; -1 if it is not, or is left out."""
        found = self._journal.place(id or "")
        if found is None or found[0] != self._stage.name:
            return -1
        place = packed(*found[1:])
        index = bisect_left(self._places, place)
        there = index < len(self._places) and self._places[index] == place and self._there[index]
        return index if there else -1

    def _verdicts(self, label: str) -> Iterator[tuple[int, int]]:
        """The places of a stage's labels, by record; a rejected one leaves its record out."""
        for verdict in self._journal.records(label):
            index = self.index(verdict.parent)
            if index < 0:
                continue
            if verdict.fate == REJECTED and verdict.detail.get(OTHERWISE) is None:
                self._there[index] = 0
            else:
                yield index, packed(verdict.request, verdict.position)


class Picked(Mapping[int, Record]):
    """Some of many records, which are not in memory.

    Args:
        rows: the records.
        fits: which of them; each is asked for once, in order.
    """

    def __init__(self, rows: Mapping[int, Record], fits: Callable[[Record], bool]) -> None:
        self._rows = rows
        self._numbers = array("q", (number for number, record in rows.items() if fits(record)))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        index = bisect_left(self._numbers, number)
        return index < len(self._numbers) and self._numbers[index] == number

    def __getitem__(self, number: int) -> Record:
        if number not in self:
            raise KeyError(number)
        return self._rows[number]


def rows(pipeline: Pipeline, journal: Journal, name: str, before: str | None = None) -> LabelledRecords:
    """The records of a stage, with their labels.

    Args:
        pipeline: the stages: a recipe, or the outline of a run.
        journal: its journal.
        name: the stage that made the records.
        before: leave out the labels set by this stage and those after it.

    Returns:
        The records by their number among all accepted ones of the stage, from 1. A record without a label yet
        is included. A record with a rejected label is left out, and so are its children, unless the recipe
        says what an unreadable answer means.

    Raises:
        DamagedJournal: if a row that is read is not as it was written; also when a record is read later.
    """
    return LabelledRecords(pipeline, journal, name, before)


def one_by_one(pipeline: Pipeline, journal: Journal, name: str) -> Iterator[Record]:
    """The records that `rows` has, in the same order, each read anew; only one is in memory at a time.

    Raises:
        DamagedJournal: if a row that is read is not as it was written.
    """
    found = rows(pipeline, journal, name)
    return map(found.read, found)


def _label(record: Record, verdict: Record) -> bool:
    """Set a label on a record; False if the record is left out, since the label was rejected."""
    otherwise = verdict.detail.get(OTHERWISE)
    if verdict.fate == REJECTED and otherwise is None:
        return False
    if verdict.fate in (ACCEPTED, REJECTED):
        record.data.update(verdict.data if otherwise is None else otherwise)
    if verdict.fate == ACCEPTED:
        record.detail.update(_told(verdict))
    return True


def row(record: Record) -> dict[str, Any]:
    """A record as in the JSONL file of its stage."""
    parent = {"parent": record.parent} if record.parent else {}
    return {"id": record.id, **record.data, **parent, "request": record.request, **record.detail}


def rejected_row(record: Record) -> dict[str, Any]:
    """A record as in rejected.jsonl."""
    detail = dict(record.detail)
    near = {"nearest": detail.pop("nearest", None), "score": detail.pop("score", None)}
    return {
        "id": record.id,
        "stage": record.stage,
        "check": record.check,
        "reason": record.reason,
        **near,
        **({"detail": detail} if detail else {}),
        "parent": record.parent,
        "record": record.data,
    }


def _told(verdict: Record) -> dict[str, Any]:
    """What the checks of a label stage keep with a record, such as the share of the answers that agree."""
    return {name: value for name, value in verdict.detail.items() if name not in (MENDED, OTHERWISE, KEPT)}


def _inherited(parent: Record, stage: OfStage) -> dict[str, Any]:
    """The fields that the records of a stage have from their parent; their own fields win."""
    own = set(stage.own)
    return {key: value for key, value in parent.data.items() if key not in own}


def by_id(pipeline: Pipeline, journal: Journal, name: str) -> Callable[[str], Record | None]:
    """A function that reads a record of a stage as `one_by_one` has it; None for any other id."""
    found = rows(pipeline, journal, name)

    def record(id: str) -> Record | None:
        index = found.index(id)
        return None if index < 0 else found[index + 1]

    return record
