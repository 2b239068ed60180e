"""Records as a user sees them: accepted, with the labels of later stages, and without a rejected label.

The labels of a record also hold for the records made from it: its children get the labels that were set on it
after they were made, and if it is left out, so are they.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from selfinstruct.journal.outline import OfStage, Outline, Pipeline
from selfinstruct.records import ACCEPTED, KEPT, MENDED, OTHERWISE, REJECTED, Record


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
            otherwise = verdict.detail.get(OTHERWISE)
            if verdict.fate == REJECTED and otherwise is None:
                found.pop(number, None)
            elif number in found and verdict.fate in (ACCEPTED, REJECTED):
                found[number].data.update(verdict.data if otherwise is None else otherwise)
                if verdict.fate == ACCEPTED:
                    found[number].detail.update(_told(verdict))
    return found


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
    own = set(stage.own)
    inherited = {
        parent.id: {key: value for key, value in parent.data.items() if key not in own}
        for parent in parents.values()
    }
    for record in found.values():
        record.data.update(inherited.get(record.parent or "", {}))
    return {number: record for number, record in found.items() if record.parent in inherited}
