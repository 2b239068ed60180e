"""From an export's keys to the export, and whether it fits the records that it writes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfinstruct.config import ExportConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.export import EXPORTS, Export
from selfinstruct.export.lengths import counter
from selfinstruct.project.filetypes import INSTALL
from selfinstruct.prompts.rendering import TemplateFault, render
from selfinstruct.recipe import origins
from selfinstruct.schema.validation import fields_of
from selfinstruct.stages import Stage
from selfinstruct.stages.fields import Sample
from selfinstruct.where import Where
from selfinstruct.where import faults as where_faults

# The names that `load_dataset` takes for a file, and for a config; * and [ would be patterns.
FILE = re.compile(r"""[^.\\/:*?"<>|\[\]][^\\/:*?"<>|\[\]]*\.(jsonl?|parquet|csv)""")
NAME = re.compile(r"[^\\/:*?<>|]+")
TAKEN = "dataset_info.json"  # LLaMA-Factory's, which is written beside `sharegpt`
LONGEST = 200  # bytes of a file's name; while a file is written, its name is longer
ENDINGS = {"jsonl": (".jsonl", ".json"), "parquet": (".parquet",), "csv": (".csv",)}
VERDICTS = ("ok", "not ok")  # the values of the field `review` of a record that people have reviewed
REVIEWED = {"review": "whether most reviewers gave each question its good answer; null while this is open"}
PROVENANCE = ("id", "recipe", "model", "scores", "parents", "edited")


def built(
    key: str, part: ExportConfig, makers: Sequence[str], project: Path, faults: list[Fault]
) -> Export | None:
    """The export with these keys; None after a fault.

    Args:
        key: its name in the recipe.
        part: its keys.
        makers: the stages that make records, in order.
        project: the user's folder.
        faults: gets the faults that do not depend on the records.
    """
    where = f"export.{key}"
    found: list[Fault] = []
    export = EXPORTS.build(part.kind or key, part.options, where, found)
    faults += map(_meant, found)
    of = part.of or (makers[-1] if makers else "")
    if of not in makers:
        faults.append(Fault(f"{where}.of", *unknown("stage", of, makers)))
    if part.format == "parquet" and find_spec("pyarrow") is None:
        faults.append(Fault(f"{where}.format", "Parquet needs the package pyarrow", INSTALL))
    tokens = None
    if part.max_tokens is not None and part.tokenizer is None:
        what = "needs a tokenizer to count the tokens"
        faults.append(
            Fault(f"{where}.max_tokens", what, f"set {where}.tokenizer, for example to cl100k_base")
        )
    elif part.max_tokens is not None and part.tokenizer:
        try:
            tokens = counter(part.tokenizer, project)
        except ValueError as error:
            faults.append(Fault(f"{where}.tokenizer", str(error)))
    if export is None or of not in makers:
        return None
    given = [name for name in PROVENANCE if part.provenance and name not in part.columns]
    return replace(
        export,
        of=of,
        where=Where.of(part.where),
        file=_named(part.file or key, part.format, whole=part.file is None),
        seed_tasks=part.seed_tasks,
        shuffle=part.shuffle,
        columns=(*part.columns, *given),
        origins=frozenset(given),
        format=part.format,
        split=part.split,
        max_tokens=part.max_tokens,
        tokens=tokens,
    )


def _meant(fault: Fault) -> Fault:
    """A fault of an unknown key; if it is nearly one that each export has, the remedy names that."""
    key = fault.where.rpartition(".")[2]
    near = get_close_matches(key, ExportConfig.model_fields, n=1, cutoff=0.7)
    unknown_key = near and fault.what.startswith("unknown key")
    return Fault(fault.where, fault.what, f"did you mean {near[0]!r}?") if unknown_key else fault


def _named(name: str, format: str, whole: bool) -> str:
    """The name of the file with the ending of its format; it replaces that of another format."""
    stem, dot, ending = name.rpartition(".")
    known = [one for endings in ENDINGS.values() for one in endings]
    if whole or f".{ending}" not in known:
        return f"{name}{ENDINGS[format][0]}" if whole else name
    return name if dot + ending in ENDINGS[format] else f"{stem}{ENDINGS[format][0]}"


def files_of(export: Export) -> dict[str, str]:
    """The name of the file of each split; without a split, all rows are in `train`."""
    if not export.split:
        return {"train": export.file}
    stem, _, ending = export.file.rpartition(".")
    return {name: f"{stem}-{name}.{ending}" for name in export.split}


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
    values = {name: field.values for name, field in made.items()} if sample else {}
    known = {**REVIEWED, **origins.names(stages, export.of)}
    fit = fitted(key, export, others, sample, known, values, faults)
    unkept = origins.unkept(stages, export.of)
    warnings += [
        f"export.{key}.columns: {name} is null in every row unless {unkept[name]} is set"
        for name in export.columns
        if name in unkept and name not in sample
    ]
    first = next((name for name, other in others.items() if other.format != "csv"), None)
    if first and export.format not in ("csv", others[first].format):
        warnings.append(
            f"export.{key}.format: load_dataset reads one format in a folder, that of {first}, so {key} is "
            "not a config of dataset/README.md; the page says how to load it"
        )
    return fit


def fitted(
    key: str,
    export: Export,
    others: Mapping[str, Export],
    sample: Mapping[str, Any],
    known: Mapping[str, Any],
    values: Mapping[str, Sequence[Any]],
    faults: list[Fault],
) -> Export:
    """The export, with its fields and its other columns told apart.

    Args:
        key: its name.
        export: the export.
        others: the exports before it.
        sample: a record, for trying out templates; empty if its fields are unknown.
        known: the columns that are not fields.
        values: by field, all its values if they are a closed set; empty if not all fields are known.
        faults: gets the faults.
    """
    for name in export.fields if sample else ():
        if name not in sample:
            what, remedy = unknown("field", name, sample)
            faults.append(Fault(f"export.{key}", what, _fitting(key, sample) or remedy))
    if values and sample:
        closed = {"review": VERDICTS, **values}
        faults.extend(where_faults(f"export.{key}.where", export.where, {**REVIEWED, **sample}, closed))
    faults.extend(_columns(key, export, {**known, **sample} if values and sample else None))
    for template in export.templates if sample else ():
        try:
            render(template, {"input": "", **sample})
        except TemplateFault as error:
            faults.append(Fault(f"export.{key}", str(error)))
    faults.extend(_file(key, export, others))
    facts = frozenset(known).intersection(export.columns) - set(sample)
    return replace(export, origins=export.origins | facts)


def _fitting(key: str, sample: Mapping[str, Any]) -> str:
    """What to set for records that hold a conversation or a pair instead of an answer."""
    turns = [name for name, value in sample.items() if isinstance(value, list) and "role" in str(value)]
    if turns:
        return (
            f"{turns[0]} has the turns of a conversation: set export.{key}.messages={turns[0]} "
            "(chat, sharegpt or trl), or use export=conversations"
        )
    return "these records are pairs: use export=preferences" if {"chosen", "rejected"} <= {*sample} else ""


def _columns(key: str, export: Export, known: Mapping[str, Any] | None) -> list[Fault]:
    """Faults for columns that are unknown, or that are keys of the format itself."""
    found, where = [], f"export.{key}.columns"
    for name in export.columns:
        if name in export.schema.get("properties", {}):
            what = f"{name!r} is already a key of the format"
            found.append(Fault(where, what, "leave it out; a column adds a key to the rows"))
        elif known is not None and name not in known and name not in export.origins:
            found.append(Fault(where, *unknown("field", name, known)))
    return found


def _file(key: str, export: Export, others: Mapping[str, Export]) -> list[Fault]:
    """Faults for a file or a name that another export has, or that other tools cannot read."""
    found, where = [], f"export.{key}.file"
    if not FILE.fullmatch(export.file):
        what = f"{export.file!r} is not the name of a file in dataset/ that load_dataset can read"
        remedy = 'leave out the folder and the characters * ? [ ] : < > | and ", and end it in .jsonl'
        found.append(Fault(where, what, remedy))
    taken = {file.casefold() for other in others.values() for file in files_of(other).values()}
    if export.file.casefold() == TAKEN:
        found.append(Fault(where, f"{TAKEN} is the file that LLaMA-Factory reads", "give it another name"))
    for file in files_of(export).values():
        if len(file.encode("utf-8", "replace")) > LONGEST:
            found.append(
                Fault(where, f"{file[:40]}… is longer than {LONGEST} bytes", "give it a shorter name")
            )
        if file.casefold() in taken:
            found.append(Fault(where, f"another export writes {file}", "give it another name"))
    if not NAME.fullmatch(key):
        what = "cannot be the name of an export: load_dataset would reject it"
        found.append(Fault(f"export.{key}", what, "leave out the characters / \\ : * ? < > and |"))
    return found
