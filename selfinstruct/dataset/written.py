"""The files of one export: how many rows each split has, their types, and the bytes of each file.

A format of file is JSON Lines, Parquet (`parquet`) or CSV (`table`). The same rows make the same bytes.
The rows themselves are not kept: those of all exports of a large run would not fit into memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

from selfinstruct.dataset import parquet, table
from selfinstruct.dataset.contents import Contents
from selfinstruct.dataset.features import NULL, TEXT, Type, common, features, promised
from selfinstruct.export import Export
from selfinstruct.project.jsonl import json_line
from selfinstruct.recipe.exports import files_of
from selfinstruct.safety.blot import blotted

Row = dict[str, Any]
AT_ONCE = 1_000


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
    name: str,
    export: Export,
    splits: Mapping[str, Sequence[Row]],
    seed_tasks: int = 0,
    left_out: Mapping[str, int] | None = None,
) -> Written:
    """The files of an export.

    Args:
        name: its name.
        export: the format, and what is written in it.
        splits: the rows by split.
        seed_tasks: how many of these are seed tasks.
        left_out: how many records were left out, by check.
    """
    types = common(chain(*splits.values()), promised(export.schema))
    counts = {split: len(rows) for split, rows in splits.items()}
    contents = {
        file: Contents(_encoded(export.format, splits[split], types))
        for split, file in _files(export, counts).items()
    }
    return Written(name, export, counts, contents, types, seed_tasks, left_out or {})


def _files(export: Export, counts: Mapping[str, int]) -> dict[str, str]:
    return {split: name for split, name in files_of(export).items() if counts.get(split)}


def _encoded(format: str, rows: Sequence[Row], types: Mapping[str, Type | None]) -> Iterator[bytes]:
    """The bytes of a file, in pieces."""
    if format == "jsonl":
        yield from map(_lines, _parts(rows))
        return
    if any(blotted(text) != text for text in map(_text, _parts(rows))):
        rows = _blotted(rows)
    yield from table.pieces(rows) if format == "csv" else parquet.pieces(rows, types)


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
