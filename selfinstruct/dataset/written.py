"""The files of one export: its rows by split, their types, and the bytes of each file.

A format of file is JSON Lines, Parquet (`parquet`) or CSV (`table`). The same rows make the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

from selfinstruct.dataset import parquet, table
from selfinstruct.dataset.features import NULL, TEXT, Type, common, features, promised
from selfinstruct.export import Export
from selfinstruct.project.jsonl import json_line
from selfinstruct.recipe.exports import files_of
from selfinstruct.safety.blot import blotted

Row = dict[str, Any]
AT_ONCE = 1_000


@dataclass(frozen=True)
class Written:
    """An export and its rows.

    Attributes:
        name: its name.
        export: the format, and what is written in it.
        splits: the rows by split; a file is written for each that has rows.
        seed_tasks: how many of these are seed tasks.
        left_out: how many records were left out, by check.
    """

    name: str
    export: Export
    splits: Mapping[str, Sequence[Row]]
    seed_tasks: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return list(chain(*self.splits.values()))

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.splits.values()))

    @property
    def files(self) -> dict[str, str]:
        """The name of the file of each split that has rows."""
        return {split: name for split, name in files_of(self.export).items() if self.splits.get(split)}

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """The contents of each file by its name, exactly as written, since the page has their digests."""
        return {name: self._encoded(self.splits[split]) for split, name in self.files.items()}

    @cached_property
    def types(self) -> dict[str, Type | None]:
        """The type of each column in all files; None if its values have no common type."""
        return common(chain(*self.splits.values()), promised(self.export.schema))

    @cached_property
    def features(self) -> list[Type] | None:
        """The types of the columns in the form of the `datasets` library; None if it is left to guess."""
        if self.export.format == "parquet":
            return features(parquet.stored(self.types))
        return features({name: TEXT if kind == NULL else kind for name, kind in self.types.items()})

    def _encoded(self, rows: Sequence[Row]) -> bytes:
        if self.export.format == "jsonl":
            return b"".join(map(_lines, _parts(rows)))
        if any(blotted(text) != text for text in map(_text, _parts(rows))):
            rows = _blotted(rows)
        return table.file(rows) if self.export.format == "csv" else parquet.file(rows, self.types)


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows, a thousand at a time: all of them as one text would take four bytes a character."""
    return (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))


def _text(rows: Sequence[Row]) -> str:
    return "".join(map(json_line, rows))


def _lines(rows: Sequence[Row]) -> bytes:
    return blotted(_text(rows)).encode("utf-8", "backslashreplace")


def _blotted(rows: Sequence[Row]) -> list[Row]:
    """The rows without secrets, which must not get into a file of any format."""
    return [json.loads(blotted(json_line(row))) for row in rows]
