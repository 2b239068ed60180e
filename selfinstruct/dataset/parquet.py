"""Rows as a Parquet file, with one schema for all files of an export.

The schema comes from the rows of all splits. A column that is null in all of them is a column of texts, so it
is not null in one file and a text in another. A column whose values have no common type is written as JSON.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from selfinstruct.dataset.features import NULL, TEXT, Type

if TYPE_CHECKING:
    import pyarrow

GROUP = 10_000  # rows of a row group; the hub's viewer reads one group for a page
NAMES = {"string": "string", "int64": "int64", "float64": "float64", "bool": "bool_"}


def file(rows: Sequence[dict[str, Any]], types: Mapping[str, Type | None]) -> bytes:
    """The rows as a Parquet file.

    Args:
        rows: the rows.
        types: the type of each column in all files.
    """
    import pyarrow
    from pyarrow import parquet

    as_json = [name for name, kind in types.items() if kind is None]
    schema = pyarrow.schema([(name, _arrow(kind)) for name, kind in stored(types).items()])
    if as_json:
        rows = [{**row, **{name: _json(row.get(name)) for name in as_json}} for row in rows]
    out = io.BytesIO()
    made = pyarrow.Table.from_pylist(list(rows), schema=schema)
    parquet.write_table(made, out, row_group_size=GROUP)
    return out.getvalue()


def stored(types: Mapping[str, Type | None]) -> dict[str, Type]:
    """The types of the columns as they are written."""
    return {name: TEXT if kind is None or kind == NULL else kind for name, kind in types.items()}


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
    return getattr(pyarrow, NAMES[TEXT["dtype"] if kind == NULL else kind["dtype"]])()
