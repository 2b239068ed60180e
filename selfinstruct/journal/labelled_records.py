"""Records as a user sees them: accepted, with the labels of later stages, and without a rejected label.

The labels of a record also hold for the records made from it: its children get the labels that were set on it
after they were made, and if it is left out, so are they.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from selfinstruct.journal.lookup import Lookup
from selfinstruct.journal.outline import OfStage, Outline, Pipeline
from selfinstruct.records import ACCEPTED, KEPT, MENDED, OTHERWISE, REJECTED, Record

if TYPE_CHECKING:
    from selfinstruct.journal.store import Journal


class Source(Protocol):
    """Where the records are; a journal, or what has been read from one."""

    def records(self, stage: str, fate: str | None = None) -> Iterable[Record]:
        """The records of a stage, in order; if given, only those with this fate."""


def rows(pipeline: Pipeline, journal: Source, name: str, before: str | None = None) -> dict[int, Record]:
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
    """
    return _rows(pipeline, journal, name, before, {})


def made(outline: Outline, journal: Source) -> dict[str, list[Record]]:
    """The records of each stage that makes records, with their labels; the journal is read only once."""
    known: dict[str, dict[int, Record]] = {}
    for stage in outline.makers:
        known[stage.name] = _rows(outline, journal, stage.name, None, known)
    return {name: list(records.values()) for name, records in known.items()}


def one_by_one(pipeline: Pipeline, journal: Journal, name: str) -> Iterator[Record]:
    """The records that `rows` has, in the same order; only one and its parents are in memory at a time.

    Raises:
        DamagedJournal: if a row that is read is not as it was written.
    """
    reading = _OneByOne(pipeline, journal, name)
    return (record for record in journal.records(name, ACCEPTED) if reading.complete(record))


class _OneByOne:
    """Sets the labels on single records; see `one_by_one`."""

    def __init__(self, pipeline: Pipeline, journal: Journal, name: str) -> None:
        self._journal = journal
        self._stages: dict[str, OfStage] = {}
        self._labels: dict[str, list[Lookup]] = {}
        self._last: dict[str, tuple[str, Record | None]] = {}  # by stage, the parent that was read last
        above: str | None = name
        while above:
            stage = self._stages[above] = pipeline.stage(above)
            # A record has the labels that its parent had when it was made.
            had = pipeline.labels_of(above, name) if above != name else ()
            later = [label.name for label in pipeline.labels_of(above) if label not in had]
            self._labels[above] = [Lookup(map(_kept, journal.records(label))) for label in later]
            above = stage.of

    def complete(self, record: Record) -> bool:
        """Give a record its labels and those of its parents; False if it is left out."""
        stage = self._stages[record.stage]
        if stage.of:
            parent = self._parent(stage.of, record.parent or "")
            if parent is None:
                return False
            record.data.update(_inherited(parent, stage))
        verdicts = (text for label in self._labels[record.stage] for text in label.texts(record.id))
        return all(_label(record, _verdict(text)) for text in verdicts)

    def _parent(self, stage: str, id: str) -> Record | None:
        """The parent, complete; None if it is left out."""
        last = self._last.get(stage)
        if last is None or last[0] != id:
            found = self._journal.record(id)
            there = found is not None and found.fate == ACCEPTED and found.stage == stage
            last = self._last[stage] = (id, found if found and there and self.complete(found) else None)
        return last[1]


def _kept(verdict: Record) -> tuple[str, str]:
    """What is needed of a label, by the record that it is for."""
    return verdict.parent or "", json.dumps([verdict.stage, verdict.fate, verdict.data, verdict.detail])


def _verdict(text: str) -> Record:
    stage, fate, data, detail = json.loads(text)
    return Record("", stage, 0, 0, data, fate=fate, detail=detail)


def _rows(
    pipeline: Pipeline,
    journal: Source,
    name: str,
    before: str | None,
    known: Mapping[str, dict[int, Record]],
) -> dict[int, Record]:
    """As `rows`; `known` has those of earlier stages."""
    found = dict(enumerate(journal.records(name, ACCEPTED), 1))
    stage = pipeline.stage(name)
    if stage.of:
        parents = known[stage.of] if stage.of in known else _rows(pipeline, journal, stage.of, before, known)
        found = _following(stage, found, parents)
    numbers = {record.id: number for number, record in found.items()}
    for label in pipeline.labels_of(name, before):
        for verdict in journal.records(label.name):
            number = numbers.get(verdict.parent or "", 0)
            if number in found and not _label(found[number], verdict):
                del found[number]
    return found


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


def _following(stage: OfStage, found: dict[int, Record], parents: dict[int, Record]) -> dict[int, Record]:
    """The records with a parent that is not left out, with its later labels; their own fields win."""
    inherited = {parent.id: _inherited(parent, stage) for parent in parents.values()}
    for record in found.values():
        record.data.update(inherited.get(record.parent or "", {}))
    return {number: record for number, record in found.items() if record.parent in inherited}


def _inherited(parent: Record, stage: OfStage) -> dict[str, Any]:
    """The fields that the records of a stage have from their parent; their own fields win."""
    own = set(stage.own)
    return {key: value for key, value in parent.data.items() if key not in own}


def by_id(pipeline: Pipeline, journal: Journal, name: str) -> Callable[[str], Record | None]:
    """A function that reads a record of a stage as `one_by_one` has it; None for any other id."""
    return partial(_OneByOne(pipeline, journal, name)._parent, name)
