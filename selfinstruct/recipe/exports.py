"""Whether an export fits the records that it writes: fields, columns, templates, and its file name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from selfinstruct.errors import Fault, unknown
from selfinstruct.export import Export
from selfinstruct.prompts.templates import TemplateFault, render
from selfinstruct.recipe import origins
from selfinstruct.schema.validation import fields_of
from selfinstruct.stages import Stage
from selfinstruct.stages.fields import Sample
from selfinstruct.where import faults as where_faults

# The names that `load_dataset` takes for a JSONL file, and for a config; * and [ would be patterns.
FILE = re.compile(r"""[^.\\/:*?"<>|\[\]][^\\/:*?"<>|\[\]]*\.jsonl?""")
NAME = re.compile(r"[^\\/:*?<>|]+")


def checked(
    key: str,
    export: Export,
    others: Mapping[str, Export],
    schema: dict[str, Any],
    made: Sample,
    stages: Sequence[Stage],
    faults: list[Fault],
    warnings: list[str],
) -> Export:
    """The export, with its fields and its other columns told apart.

    Args:
        key: its name in the recipe.
        export: the export.
        others: the exports before it.
        schema: the schema of the records that it writes.
        made: the fields of these records at the end, as far as known.
        stages: the stages that could be built.
        faults: gets the faults of the export.
        warnings: gets what the user should know.
    """
    sample = fields_of(schema)
    if sample:  # otherwise the fields of the records are unknown
        sample.update({name: field.value for name, field in made.items()})
    for name in export.fields if sample else ():
        if name not in sample:
            faults.append(Fault(f"export.{key}", *unknown("field", name, sample)))
    if made and sample:
        values = {name: field.values for name, field in made.items()}
        faults.extend(where_faults(f"export.{key}.where", export.where, sample, values))
    known = origins.names(stages, export.of)
    if made and sample:
        faults.extend(_columns(key, export, {**known, **sample}))
    else:
        faults.extend(_columns(key, export, None))
    for template in export.templates if sample else ():
        try:
            render(template, {"input": "", **sample})
        except TemplateFault as error:
            faults.append(Fault(f"export.{key}", str(error)))
    faults.extend(_file(key, export, others))
    unkept = origins.unkept(stages, export.of)
    warnings += [
        f"export.{key}.columns: {name} is null in every row unless {unkept[name]} is set"
        for name in export.columns
        if name in unkept and name not in sample
    ]
    return replace(export, origins=frozenset(known).intersection(export.columns) - set(sample))


def _columns(key: str, export: Export, known: Mapping[str, Any] | None) -> list[Fault]:
    """Faults for columns that are unknown, or that are keys of the format itself."""
    found, where = [], f"export.{key}.columns"
    for name in export.columns:
        if name in export.schema.get("properties", {}):
            what = f"{name!r} is already a key of the format"
            found.append(Fault(where, what, "leave it out; a column adds a key to the rows"))
        elif known is not None and name not in known:
            found.append(Fault(where, *unknown("field", name, known)))
    return found


def _file(key: str, export: Export, others: Mapping[str, Export]) -> list[Fault]:
    """Faults for a file or a name that another export has, or that other tools cannot read."""
    found, where = [], f"export.{key}.file"
    if not FILE.fullmatch(export.file):
        what = f"{export.file!r} is not the name of a file in dataset/ that load_dataset can read"
        remedy = 'leave out the folder and the characters * ? [ ] : < > | and ", and end it in .jsonl'
        found.append(Fault(where, what, remedy))
    if export.file.casefold() in [other.file.casefold() for other in others.values()]:
        found.append(Fault(where, f"another export writes {export.file}", "give it another name"))
    if not NAME.fullmatch(key):
        what = "cannot be the name of an export: load_dataset would reject it"
        found.append(Fault(f"export.{key}", what, "leave out the characters / \\ : * ? < > and |"))
    return found
