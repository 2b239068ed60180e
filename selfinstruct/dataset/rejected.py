"""The candidates in `rejected.jsonl`; the records that an export left out follow them there."""

from __future__ import annotations

from collections.abc import Iterator

from selfinstruct.journal.store import Journal
from selfinstruct.records import REJECTED as FATE
from selfinstruct.records import Record
from selfinstruct.run_folder.outline import Outline

REJECTED = "rejected.jsonl"


def all_rejected(outline: Outline, journal: Journal) -> Iterator[Record]:
    """The rejected candidates of all stages."""
    for stage in outline.stages:
        yield from journal.records(stage.name, FATE)
