"""Rows of files as records: evaluation tasks, answers to judge, or any table.

A file has any format that a seed file may have (`seed_files`). A row with a list of instances, as in the
files of Self-Instruct and of Super-NaturalInstructions, becomes one record for each instance.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault, unknown
from selfinstruct.records import storable
from selfinstruct.sources.evaluation import find
from selfinstruct.sources.row_faults import RowFaults
from selfinstruct.sources.seed_files import Form, read_file
from selfinstruct.sources.seed_json import Unfit
from selfinstruct.sources.seed_table import Row, Table, plain
from selfinstruct.sources.seed_values import list_in

INSTANCES = ("instances", "Instances")
ID = "id"
Columns = Mapping[str, str | list[str] | None]


@dataclass(frozen=True)
class Mapped:
    """How a row becomes a record.

    Attributes:
        columns: the column for each field, or several: of these, a list takes all that a row has, and another
            field the first. None leaves the field out. Without any, all columns are fields.
        lists: the fields that are lists of texts; a single text becomes a list of one.
        optional: the fields that no row needs to have.
        instances: the most instances of a row that lists some, the first ones; None takes all.
    """

    columns: Columns
    lists: Sequence[str] = ()
    optional: Sequence[str] = ()
    instances: int | None = None


@dataclass(frozen=True)
class FoundRow:
    """A record's columns, and where they are.

    Attributes:
        table: the file's table.
        row: its row; several records may be in one.
        fields: the values by column.
    """

    table: Table
    row: Row
    fields: dict[str, Any]


def read(
    path: str, mapped: Mapped, project: Path, where: str, faults: list[Fault]
) -> list[dict[str, Any]] | None:
    """The records of a file, or of all data files of a folder or a pattern.

    Args:
        path: the file; looked for in the user's folder, then among ours.
        mapped: how a row becomes a record.
        project: the user's folder.
        where: the stage's key, for messages.
        faults: receives every fault found.

    Returns:
        The records, in the order of the files; None if there was a fault.
    """
    before = len(faults)
    files = find([path], project, f"{where}.path", faults).files
    found = [one for file in files.values() for one in rows_of(file, faults, mapped.instances)]
    if len(faults) == before:
        faults += _missing([one.fields for one in found], mapped, where)
    made = [_record(one, mapped) for one in found] if len(faults) == before else []
    faults += _empty(list(zip(found, made, strict=False)), mapped)
    return made if len(faults) == before else None


def rows_of(path: Path, faults: list[Fault], instances: int | None = None) -> list[FoundRow]:
    """The rows of a file, and the instances of those that list some; `faults` receives every fault found."""
    table = Table(path, noun="rows", smaller="split it into several files")
    read_file(table, Form(frozenset(), _is_row))
    if not table.rows and not table.faults:
        table.faults.append(Fault(str(path), "is empty", 'a row of a JSONL file is an object: {"column": …}'))
    wrong = RowFaults(path, table.unit)
    for row in table.rows:
        if not isinstance(row.data, dict) or not row.data:
            wrong.add(row.place, "is not an object with columns")
    faults += [*table.faults, *wrong.faults()]
    if table.faults or wrong:
        return []
    return [FoundRow(table, row, fields) for row in table.rows for fields in _instances(row.data, instances)]


def find_column(fields: Mapping[str, Any], name: str) -> str | None:
    """The column of this name, None if there is none; `Input Text` is also input_text."""
    if name in fields:
        return name
    return next((key for key in fields if plain(key) == plain(name)), None)


def _is_row(data: Any) -> bool:
    """Whether a JSON object is one row, not the holder of a list of rows."""
    return isinstance(data, dict) and (_listing(data) is not None or not any(map(_is_list, data.values())))


def _listing(data: Mapping[str, Any]) -> str | None:
    return next((key for key in INSTANCES if _is_list(data.get(key))), None)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _instances(data: dict[str, Any], most: int | None) -> Iterator[dict[str, Any]]:
    """The columns of each record in a row: those of an instance, with those of the row beside them.

    Several instances of one row get its id with their number: task_7/1, task_7/2.
    """
    key = _listing(data)
    if key is None:
        yield data
        return
    outer = {name: value for name, value in data.items() if name != key}
    alone = len(data[key]) == 1
    for number, instance in enumerate(data[key][:most], 1):
        own = {} if alone or ID not in outer else {ID: f"{text_of(outer[ID])}/{number}"}
        yield {**outer, **own, **instance}


def _missing(rows: Sequence[Mapping[str, Any]], mapped: Mapped, where: str) -> Iterator[Fault]:
    """A fault for each field whose columns are in no row."""
    there = dict.fromkeys(key for fields in rows for key in fields)
    for field, column in mapped.columns.items():
        if column is None or field in mapped.optional:
            continue
        names = [column] if isinstance(column, str) else column
        if not any(find_column(there, name) for name in names):
            _, near = unknown("column", names[0] if names else field, there)
            yield Fault(f"{where}.columns.{field}", f"no row has a column {' or '.join(names)}", near)


def _empty(records: Sequence[tuple[FoundRow, dict[str, Any]]], mapped: Mapped) -> list[Fault]:
    """A fault for each field that every row needs, with the rows that have no text in it."""
    needed = [field for field, column in mapped.columns.items() if column and field not in mapped.optional]
    wrong: dict[Path, RowFaults] = {}
    for one, record in records:
        for field in needed:
            if not any(map(str.strip, [*record[field]])):
                rows = wrong.setdefault(one.table.path, RowFaults(one.table.path, one.table.unit))
                rows.add(one.row.place, f"has no {field}", f"add it, or take the {one.table.unit} out")
    return [fault for rows in wrong.values() for fault in rows.faults()]


def _record(one: FoundRow, mapped: Mapped) -> dict[str, Any]:
    if not mapped.columns:
        return {name: storable(value) for name, value in one.fields.items()}
    made: dict[str, Any] = {}
    for field, column in mapped.columns.items():
        if column is None:
            continue
        names = [column] if isinstance(column, str) else column
        keys = [key for name in names if (key := find_column(one.fields, name))]
        values = [one.fields[key] for key in keys]
        if field in mapped.lists:
            made[field] = list(dict.fromkeys(text for value in values for text in _listed(value, one.table)))
        else:
            made[field] = text_of(values[0]) if values else ""
    return made


def _listed(value: Any, table: Table) -> list[str]:
    """The texts of a list; one text is a list of one. In a table of text, a list is in JSON."""
    if table.header and isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(Unfit):
            value = list_in(value, "")
    values = value if isinstance(value, list) else [value]
    return [text for text in map(text_of, values) if text.strip()]


def text_of(value: Any) -> str:
    """A value as text; the lines of a list one below the other, as Super-NaturalInstructions means them.

    Half of a character, an unpaired surrogate, becomes U+FFFD: no model could be asked about it.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return str(storable(value))
    if isinstance(value, list):
        return "\n".join(text_of(one) for one in value)
    return str(storable(str(getattr(value, "text", None) or json.dumps(value, ensure_ascii=False))))
