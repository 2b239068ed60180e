"""The candidates in `rejected.jsonl`; the records that an export left out follow them there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from selfinstruct.journal.labelled_records import rejected_row
from selfinstruct.journal.store import Journal
from selfinstruct.project.jsonl import json_line
from selfinstruct.project.temporary import Entries
from selfinstruct.records import REJECTED as FATE
from selfinstruct.records import Record
from selfinstruct.run_folder.outline import Outline

REJECTED = "rejected.jsonl"


class LeftOut:
    """The records that an export left out, as they come into the file; they wait in a temporary file."""

    def __init__(self) -> None:
        self._lines = Entries()

    def add(self, record: Record) -> None:
        """Add a record.

        Raises:
            RunFolderError: if the temporary file cannot be written.
        """
        self._lines.add(_line(record).encode("utf-8", "surrogatepass"))

    def __iter__(self) -> Iterator[str]:
        """The lines, in order."""
        return (line.decode("utf-8", "surrogatepass") for line in self._lines)


def lines(outline: Outline, journal: Journal, left_out: Iterable[LeftOut]) -> Iterator[str]:
    """The lines of the file.

    Args:
        outline: the stages of the run.
        journal: its journal.
        left_out: the records that each export left out.
    """
    for stage in outline.stages:
        yield from map(_line, journal.records(stage.name, FATE))
    for those in left_out:
        yield from those


def _line(record: Record) -> str:
    return json_line(rejected_row(record))
