"""Whether an export fits the records it writes: fields, columns, templates, and the name of its file."""

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

# What `load_dataset` takes for a file of JSON lines, and for the name of a config; * and [ would be patterns.
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
    """The export, knowing which of its columns are fields.

    Args:
        key: its name in the recipe.
        export: the export.
        others: those before it.
        schema: of the records that it writes.
        made: the fields of these in the end, as far as it is known.
        stages: the stages that could be built.
        faults: receives what is wrong with it.
        warnings: receives what the user should know.
    """
    sample = fields_of(schema)
    if sample:  # else nobody knows what the records may have
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
    """Each column is known, and no key of the format's own."""
    found, where = [], f"export.{key}.columns"
    for name in export.columns:
        if name in export.schema.get("properties", {}):
            what = f"{name!r} is a key of the format's own"
            found.append(Fault(where, what, "leave it out; a column is what rows have besides"))
        elif known is not None and name not in known:
            found.append(Fault(where, *unknown("field", name, known)))
    return found


def _file(key: str, export: Export, others: Mapping[str, Export]) -> list[Fault]:
    """Its file is its own, and one that other tools can read; so is its name."""
    found, where = [], f"export.{key}.file"
    if not FILE.fullmatch(export.file):
        what = f"{export.file!r} is not the name of a file in dataset/ that load_dataset can read"
        remedy = 'leave out the folder and the characters * ? [ ] : < > | and ", and end it in .jsonl'
        found.append(Fault(where, what, remedy))
    if export.file.casefold() in [other.file.casefold() for other in others.values()]:
        found.append(Fault(where, f"another export writes {export.file}", "give it a name of its own"))
    if not NAME.fullmatch(key):
        what = "cannot be the name of an export: load_dataset would not take it"
        found.append(Fault(f"export.{key}", what, "leave out the characters / \\ : * ? < > and |"))
    return found
