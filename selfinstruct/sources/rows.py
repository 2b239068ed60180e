"""Rows of a file as records: evaluation tasks, answers to judge, or any table.

The file has any format that a seed file may have (`seed_files`). A row with a list of instances, as in the
files of Self-Instruct and of Super-NaturalInstructions, becomes one record for each instance.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault, unknown
from selfinstruct.project.layout import locate, no_path
from selfinstruct.sources.seed_files import KINDS, Form, read_file
from selfinstruct.sources.seed_table import Row, Table, plain

INSTANCES = ("instances", "Instances")
Columns = Mapping[str, str | list[str] | None]


@dataclass(frozen=True)
class Mapped:
    """How a row becomes a record.

    Attributes:
        columns: the column for each field, or several, of which the first that a row has is used; None
            leaves the field out. Without any, all columns are fields.
        lists: the fields that are lists of texts; a single text becomes a list of one.
        optional: the fields that no row needs to have.
    """

    columns: Columns
    lists: Sequence[str] = ()
    optional: Sequence[str] = ()


def read(
    path: str, mapped: Mapped, project: Path, where: str, faults: list[Fault]
) -> list[dict[str, Any]] | None:
    """The records of a file.

    Args:
        path: the file; looked for in the user's folder, then among ours.
        mapped: how a row becomes a record.
        project: the user's folder.
        where: the stage's key, for messages.
        faults: receives every fault found.

    Returns:
        The records, in the order of the file; None if there was a fault.
    """
    found = None if no_path(path) else locate(path, project)
    if found is None or not found.is_file():
        what = f"{path[:40]!r} {no_path(path)}" if no_path(path) else f"there is no file {path}"
        faults.append(Fault(f"{where}.path", what, f"name a file ({KINDS})"))
        return None
    table = Table(found, noun="rows", smaller="split it into several files")
    read_file(table, Form(frozenset(), _is_row))
    faults += table.faults
    if table.faults:
        return None
    if not table.rows:
        faults.append(Fault(str(found), "is empty"))
        return None
    rows = [(row, fields) for row in table.rows for fields in _instances(row.data)]
    before = len(faults)
    faults += _missing(rows, mapped, where)
    made = (
        [_record(fields, row, found, mapped, faults) for row, fields in rows] if len(faults) == before else []
    )
    return None if len(faults) > before else made


def _is_row(data: Any) -> bool:
    return isinstance(data, dict) and not any(_is_list(value) for value in data.values())


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _instances(data: Any) -> Iterator[dict[str, Any]]:
    """The fields of each record in a row: those of an instance, with those of the row beside them."""
    if not isinstance(data, dict):
        yield {}
        return
    key = next((key for key in INSTANCES if _is_list(data.get(key))), None)
    if key is None:
        yield data
        return
    outer = {name: value for name, value in data.items() if name != key}
    for instance in data[key]:
        yield {**outer, **instance}


def _missing(rows: Sequence[tuple[Row, dict[str, Any]]], mapped: Mapped, where: str) -> Iterator[Fault]:
    """A fault for each field whose columns are in no row."""
    there = dict.fromkeys(key for _, fields in rows for key in fields)
    for field, column in mapped.columns.items():
        if column is None or field in mapped.optional:
            continue
        names = [column] if isinstance(column, str) else column
        if not any(_find(there, name) for name in names):
            what, near = unknown("column", names[0], there)
            yield Fault(f"{where}.columns.{field}", f"no row has a column {' or '.join(names)}", near or what)


def _find(fields: Mapping[str, Any], name: str) -> str | None:
    """The column of this name; `Input Text` is also input_text."""
    if name in fields:
        return name
    return next((key for key in fields if plain(key) == plain(name)), None)


def _record(
    fields: dict[str, Any], row: Row, path: Path, mapped: Mapped, faults: list[Fault]
) -> dict[str, Any]:
    if not fields:
        faults.append(Fault(f"{path}, {row.place}", "is not an object with columns"))
        return {}
    if not mapped.columns:
        return dict(fields)
    made: dict[str, Any] = {}
    for field, column in mapped.columns.items():
        if column is None:
            continue
        names = [column] if isinstance(column, str) else column
        key = next((key for name in names if (key := _find(fields, name))), None)
        value = fields.get(key) if key else None
        made[field] = _listed(value) if field in mapped.lists else _text(value)
    return made


def _listed(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [_text(one) for one in values]


def _text(value: Any) -> str:
    """A value as text; the lines of a list one below the other, as Super-NaturalInstructions means them."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(_text(one) for one in value)
    return json.dumps(value, ensure_ascii=False)
