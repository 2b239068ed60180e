"""Exports: from records to the rows of a training format.

A format is made by a factory whose keyword arguments are its options in `export.<name>`. It turns one record
at a time into a row, with a random stream of that record's own; writing, exact duplicates, shuffling and the
check against the format's JSON Schema are the same for all. To add a format, write a module and list it here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from selfinstruct.records import Record, Rejection, stream
from selfinstruct.registry import Registry
from selfinstruct.schema.validation import compile_schema
from selfinstruct.sources.pool import SEED_STAGE
from selfinstruct.where import Where, shown


@dataclass(frozen=True)
class Export:
    """A format ready to use, and what to write in it.

    Attributes:
        convert: from a record's fields to a row of the format.
        schema: JSON Schema of a row.
        fields: the record fields it reads.
        templates: the Jinja templates it fills in with a record's fields.
        of: the stage whose records are written.
        where: the conditions that a record has to fit.
        seed_tasks: whether the seed tasks are written too.
        shuffle: whether the rows are shuffled.
        file: name of the file in `dataset/`.
        columns: what goes into the rows besides: fields of the records, and what is known of these.
        origins: those of the columns that no field of the records has the name of.
    """

    convert: Callable[[dict[str, Any], random.Random], dict[str, Any]]
    schema: dict[str, Any]
    fields: tuple[str, ...]
    templates: tuple[str, ...] = ()
    of: str = ""
    where: Where = field(default_factory=Where)
    seed_tasks: bool = False
    shuffle: bool = False
    file: str = ""
    columns: tuple[str, ...] = ()
    origins: frozenset[str] = frozenset()


EXPORTS: Registry[Export] = Registry(
    "export format",
    (
        "selfinstruct.export.prompt_completion",
        "selfinstruct.export.alpaca",
        "selfinstruct.export.messages",
    ),
    "exports",
    Export,
)


def convert(
    name: str,
    export: Export,
    records: Iterable[Record],
    seed: int,
    origin: Callable[[Record], Mapping[str, Any]] = lambda record: {},
) -> tuple[list[Any], list[Record]]:
    """The rows of a format and the records it had to leave out.

    Args:
        name: the export's name in the recipe.
        export: the format.
        records: the records to write, in order.
        seed: the run's seed.
        origin: what is known of a record besides its fields: where it comes from, what the checks found out.

    Returns:
        The rows, and the records left out, rejected by `where` (the record does not fit the conditions),
        `schema` (the row does not satisfy the format's schema) or `duplicate` (an exact duplicate of an
        earlier row, whatever the columns hold).
    """
    validate = compile_schema(export.schema, f"export.{name}", [])
    assert validate, "a format's own schema is valid"
    rows, rejected, first = [], [], dict[str, str]()
    for record in records:
        row = export.convert(record.data, stream(seed, "export", name, record.id))
        key = json.dumps(row, sort_keys=True)
        wrong, check = _unfit(name, export.where, record), "where"
        if wrong is None:
            wrong, check = validate(row), "schema"
        if wrong is None and key in first:
            wrong, check = Rejection("an exact duplicate", {"nearest": first[key], "score": 1.0}), "duplicate"
        if wrong is None:
            first[key] = record.id
            rows.append({**row, **_columns(export, record, origin)})
        else:
            left = Record(record.id, f"export.{name}", record.request, record.position, row, record.parent)
            left.reject(check, wrong)
            rejected.append(left)
    if export.shuffle:
        stream(seed, "export", name).shuffle(rows)
    return rows, rejected


def _unfit(name: str, where: Where, record: Record) -> Rejection | None:
    """Why a record does not fit the conditions; a seed task is asked only about the fields that it has."""
    key = (where.among(record.data) if record.stage == SEED_STAGE else where).unfit(record.data)
    if key is None:
        return None
    said = f"{key} is {shown(record.data[key])[:80]}" if key in record.data else f"it has no {key}"
    return Rejection(f"{said}; export.{name}.where takes those whose {key} is {where[key]}")


def _columns(export: Export, record: Record, origin: Callable[[Record], Mapping[str, Any]]) -> dict[str, Any]:
    """What a row has besides; a field of the records comes before what is known of them by the same name."""
    if not export.columns:
        return {}
    known = origin(record)
    return {
        key: known.get(key) if key in export.origins else record.data.get(key, known.get(key))
        for key in export.columns
    }
