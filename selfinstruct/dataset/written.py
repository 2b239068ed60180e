"""The files of one export: how many rows each split has, their types, and the bytes of each file.

A format of file is JSON Lines, Parquet (`parquet`) or CSV (`table`). The same rows make the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from selfinstruct.dataset import parquet, table
from selfinstruct.dataset.contents import Contents
from selfinstruct.dataset.features import NULL, TEXT, Type, features
from selfinstruct.dataset.rows import Row, Rows
from selfinstruct.export import Export
from selfinstruct.recipe.exports import files_of
from selfinstruct.safety.blot import blotted


@dataclass(frozen=True)
class Written:
    """An export, and what is written for it; made by `written`.

    Attributes:
        name: its name.
        export: the format, and what is written in it.
        counts: how many rows each split has; a file is written for each that has some.
        contents: the contents of each file by its name.
        types: the type of each column in all files; None if its values have no common type.
        seed_tasks: how many of these are seed tasks.
        left_out: how many records were left out, by check.
    """

    name: str
    export: Export
    counts: Mapping[str, int]
    contents: Mapping[str, Contents]
    types: Mapping[str, Type | None]
    seed_tasks: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(self.counts.values())

    @property
    def files(self) -> dict[str, str]:
        """The name of the file of each split that has rows."""
        return _files(self.export, self.counts)

    @cached_property
    def features(self) -> list[Type] | None:
        """The types of the columns in the form of the `datasets` library; None if it is left to guess."""
        if self.export.format == "parquet":
            return features(parquet.stored(self.types))
        return features({name: TEXT if kind == NULL else kind for name, kind in self.types.items()})


def written(
    name: str, export: Export, rows: Rows, seed_tasks: int = 0, left_out: Mapping[str, int] | None = None
) -> Written:
    """The files of an export.

    Args:
        name: its name.
        export: the format, and what is written in it.
        rows: the rows.
        seed_tasks: how many of these are seed tasks.
        left_out: how many records were left out, by check.

    Raises:
        RunFolderError: if a temporary file cannot be written.
    """
    types = rows.types
    contents = {
        file: Contents(_encoded(export.format, rows, split, types))
        for split, file in _files(export, rows.counts).items()
    }
    return Written(name, export, rows.counts, contents, types, seed_tasks, left_out or {})


def _files(export: Export, counts: Mapping[str, int]) -> dict[str, str]:
    return {split: name for split, name in files_of(export).items() if counts.get(split)}


def _encoded(format: str, rows: Rows, split: str, types: Mapping[str, Type | None]) -> Iterator[bytes]:
    """The bytes of a file, in pieces; they have no secrets, whatever the format."""
    if format == "jsonl":
        yield from (blotted(text).encode("utf-8", "backslashreplace") for text in rows.texts(split))
    elif format == "csv":
        yield from table.pieces(_read(rows, split), rows.columns(split))
    else:
        yield from parquet.pieces(_read(rows, split), types)


def _read(rows: Rows, split: str) -> Iterator[Row]:
    """The rows of a split, without secrets."""
    for text in rows.texts(split):
        lines = text.split("\n")[:-1]
        joined = ",".join(lines if blotted(text) == text else map(blotted, lines))
        yield from json.loads(f"[{joined}]")  # row by row takes three times as long
