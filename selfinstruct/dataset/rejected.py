"""The rows of `rejected.jsonl`: candidates that a check rejected, and records that an export left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from selfinstruct.journal.store import Journal
from selfinstruct.records import REJECTED as FATE
from selfinstruct.records import Record
from selfinstruct.run_folder.outline import Outline

REJECTED = "rejected.jsonl"


def all_rejected(outline: Outline, journal: Journal) -> Iterator[Record]:
    """The rejected candidates of all stages."""
    for stage in outline.stages:
        yield from journal.records(stage.name, FATE)


def rejected_row(record: Record) -> dict[str, Any]:
    """The row of a rejected record."""
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
