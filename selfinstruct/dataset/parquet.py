"""Rows as a Parquet file, with one schema for all files of an export.

The schema comes from the rows of all splits. A column that is null in all of them is a column of texts, so it
is not null in one file and a text in another. A column whose values have no common type is written as JSON.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from selfinstruct.dataset.features import NULL, TEXT, Type
from selfinstruct.project.blocks import batched

if TYPE_CHECKING:
    import pyarrow

GROUP = 10_000  # rows of a row group; the hub's viewer reads one group for a page
NAMES = {"string": "string", "int64": "int64", "float64": "float64", "bool": "bool_"}


def pieces(rows: Iterable[dict[str, Any]], types: Mapping[str, Type | None]) -> Iterator[bytes]:
    """The rows as a Parquet file, in pieces.

    Args:
        rows: the rows.
        types: the type of each column in all files.
    """
    import pyarrow
    from pyarrow import parquet

    as_json = [name for name, kind in types.items() if kind is None]
    schema = pyarrow.schema([(name, _arrow(kind)) for name, kind in stored(types).items()])
    out = _Pieces()
    with parquet.ParquetWriter(pyarrow.PythonFile(out, "w"), schema) as writer:
        for some in batched(rows, GROUP):
            if as_json:
                some = [{**row, **{name: _json(row.get(name)) for name in as_json}} for row in some]
            writer.write_table(_table(some, types, schema), row_group_size=GROUP)
            yield out.taken()
    yield out.taken()


class _Pieces(io.RawIOBase):
    """A file that gives away what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def write(self, data: Any) -> int:
        """See `io.RawIOBase`."""
        self._written.append(bytes(data))
        return len(self._written[-1])

    def taken(self) -> bytes:
        """What was written since the last call."""
        written, self._written = self._written, []
        return b"".join(written)


def _table(
    rows: list[dict[str, Any]], types: Mapping[str, Type | None], schema: pyarrow.Schema
) -> pyarrow.Table:
    import pyarrow

    try:
        return pyarrow.Table.from_pylist(rows, schema=schema)
    except (pyarrow.ArrowInvalid, UnicodeEncodeError):  # a value that Arrow only takes in another form
        kinds = stored(types)
        fit = [{name: _fitting(row.get(name), kind) for name, kind in kinds.items()} for row in rows]
        return pyarrow.Table.from_pylist(fit, schema=schema)


def stored(types: Mapping[str, Type | None]) -> dict[str, Type]:
    """The types of the columns as they are written."""
    return {name: TEXT if kind is None else _without_null(kind) for name, kind in types.items()}


def _without_null(kind: Type) -> Type:
    """The type with texts in place of nulls, at any depth: a list that is always empty is one of texts."""
    if "list" in kind:
        return {**kind, "list": _without_null(kind["list"])}
    if "struct" in kind:
        return {**kind, "struct": [_without_null(field) for field in kind["struct"]]}
    return {**kind, **TEXT} if kind["dtype"] == NULL["dtype"] else kind


def _fitting(value: Any, kind: Type) -> Any:
    """A value in the form that Arrow takes for a type.

    Half a character is written as its escape, as in the other formats. A whole number among fractions is a
    fraction, and rounded from 2^53 on, as a reader of JSON Lines does.
    """
    if value is None:
        return None
    if "list" in kind:
        return [_fitting(one, kind["list"]) for one in value]
    if "struct" in kind:
        return {field["name"]: _fitting(value.get(field["name"]), field) for field in kind["struct"]}
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return float(value) if kind["dtype"] == "float64" else value


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _arrow(kind: Type) -> pyarrow.DataType:
    """The type in Arrow."""
    import pyarrow

    if "list" in kind:
        return pyarrow.list_(_arrow(kind["list"]))
    if "struct" in kind:
        fields = [
            (field["name"], _arrow({k: v for k, v in field.items() if k != "name"}))
            for field in kind["struct"]
        ]
        return pyarrow.struct(fields)
    return getattr(pyarrow, NAMES[kind["dtype"]])()
