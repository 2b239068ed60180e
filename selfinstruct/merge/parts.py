"""Which runs are merged, and whether they have one shape: the same stages, fields and schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.errors import DamagedJournal, RunFolderError, UserError
from selfinstruct.journal.store import FINISHED
from selfinstruct.run_folder.folder import in_use
from selfinstruct.run_folder.opened import OpenedRun, opened, run_of
from selfinstruct.run_folder.outline import Outline
from selfinstruct.sources.giving_runs import fields_of, names_of, origins_of
from selfinstruct.sources.past_runs import refuse_damaged
from selfinstruct.sources.pool import Seeds

CLOSING = ("additionalProperties", "unevaluatedProperties")  # keywords that forbid other fields
# Keywords that may differ: words for people, and limits. The records are checked against those of the first.
FREE = {"description", "title", "examples", "default", "$comment"}
FREE |= {f"{end}{what}" for end in ("min", "max") for what in ("Length", "Items", "Properties", "Contains")}
FREE |= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern", "uniqueItems"}
MOST_NAMED = 12  # differences


@dataclass(frozen=True)
class Part:
    """A run to be merged.

    Attributes:
        words: its folder as the user typed it.
        path: its folder.
        name: what its records and the messages call it.
        outline: its stages.
        config: its composed config.
        seeds: its seed tasks.
        finished: whether it is finished.
        origins: digests of the records of the runs that it began with; see `origins_of`.
    """

    words: str
    path: Path
    name: str
    outline: Outline
    config: Mapping[str, Any]
    seeds: Seeds
    finished: bool
    origins: list[str]


def read_parts(runs: Sequence[str], project: Path, unfinished: bool) -> list[Part]:
    """The runs, in order; their records are not read yet.

    Args:
        runs: their folders, as typed.
        project: the user's folder.
        unfinished: whether a run that is not finished may be among them.

    Raises:
        UserError: if one cannot be merged, is named twice, or is not finished.
    """
    paths = [run_of(words, project, "merge") for words in runs]
    resolved = [path.resolve() for path in paths]
    for words, path in zip(runs, resolved, strict=True):
        if resolved.count(path) > 1:
            raise UserError(f"merge: {words} is named twice; name each run once")
    _refuse_damaged(paths)
    with ExitStack() as stack:
        those = [stack.enter_context(opened(path, project)) for path in paths]
        named = zip(runs, those, names_of([run.path.resolve() for run in those]), strict=True)
        parts = [_part(words, run, name) for words, run, name in named]
    waiting = [part for part in parts if not part.finished]
    if waiting and not unfinished:
        raise UserError("\n".join([*map(_not_finished, waiting), "  or take what they have: --unfinished"]))
    return parts


def refuse_differing(parts: Sequence[Part]) -> None:
    """Refuse runs of different shapes.

    Raises:
        UserError: with each difference, key by key.
    """
    first, *others = parts
    for part in others:
        shapes = _shapes(first, part)
        keys = [key for key in {**shapes[0], **shapes[1]} if shapes[0].get(key) != shapes[1].get(key)]
        if not keys:
            continue
        lines = [f"  {key}: {' | '.join(_short(shape.get(key)) for shape in shapes)}" for key in keys]
        lines = lines[:MOST_NAMED]
        lines += [f"  and {len(keys) - MOST_NAMED} more"] if len(keys) > MOST_NAMED else []
        raise UserError(
            "\n".join(
                [
                    f"merge: {first.words} and {part.words} have different shapes (first | second):",
                    *lines,
                    "  Merge runs of the same recipe; seed, model, target, seed tasks, language and the",
                    "  options of filters may differ. Or bring one into the other's shape with a recipe",
                    "  of the kind records, whose `columns` rename and leave out fields: docs/from-a-run.md",
                ]
            )
        )


def schema_of(config: Mapping[str, Any], outline: Outline, stage: str) -> dict[str, Any]:
    """The schema of a stage's records with the labels that are set on them, and on those they are made of.

    Args:
        config: the composed config of the run.
        outline: its stages.
        stage: a stage that makes records.
    """
    schemas: Mapping[str, Any] = config.get("schema") or {}
    of = outline.stage(stage).of
    found = dict(schemas.get(stage) or {})
    if not found and of:  # a stage without one has that of the records it is made of
        above = schema_of(config, outline, of)
        found = {key: value for key, value in above.items() if key not in CLOSING}
    labels: dict[str, Any] = {}
    above_it: str | None = stage
    while above_it:
        for label in outline.labels_of(above_it):
            properties = (schemas.get(label.name) or {}).get("properties") or {}
            labels |= {name: properties.get(name, {}) for name in label.own}
        above_it = outline.stage(above_it).of
    if labels:
        found["properties"] = {**labels, **(found.get("properties") or {})}
    return found or {"type": "object"}


def _refuse_damaged(paths: Sequence[Path]) -> None:
    """Refuse damaged runs, all of them at once."""
    found: list[DamagedJournal] = []
    for path in paths:
        try:
            refuse_damaged(path)
        except DamagedJournal as error:
            found.append(error)
    if found:
        raise RunFolderError("\n".join(map(str, found))) from found[0]


def _part(words: str, run: OpenedRun, name: str) -> Part:
    if run.seeds is None:
        raise RunFolderError(
            f"merge: the run in {words} is of an earlier version, which kept no seed tasks; run its own "
            "command once more, which brings it up to date"
        )
    finished = bool(run.journal.meta(FINISHED)) and not run.running
    origins = origins_of(run.journal)
    return Part(words, run.path, name, run.outline, run.config, run.seeds, finished, origins)


def _not_finished(part: Part) -> str:
    if in_use(part.path):
        return f"merge: the run in {part.words} still works; wait until it is finished"
    return f"merge: the run in {part.words} is not finished; finish it with its own command"


def _shapes(one: Part, other: Part) -> tuple[dict[str, Any], dict[str, Any]]:
    """What must be the same in two runs, by key; schemas are compared where the fields are the same."""
    shapes: tuple[dict[str, Any], dict[str, Any]] = dict(_stages(one)), dict(_stages(other))
    for stage in one.outline.makers:
        key = f"{stage.name}, fields"
        if shapes[0][key] == shapes[1].get(key):
            for part, shape in zip((one, other), shapes, strict=True):
                schema = schema_of(part.config, part.outline, stage.name)
                shape |= dict(_flat(schema, f"schema.{stage.name}"))
    return shapes


def _stages(part: Part) -> Iterator[tuple[str, Any]]:
    makers = part.outline.makers
    yield "stages with records", [stage.name for stage in makers]
    for stage in makers:
        yield f"{stage.name}, made from", stage.of
        yield f"{stage.name}, fields", sorted(fields_of(part.outline, stage.name))


def _flat(schema: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, Mapping):
        named = key.endswith(".properties")  # whose keys are names of fields
        for name, value in schema.items():
            if named or name not in FREE:
                yield from _flat(value, f"{key}.{name}")
    else:
        yield key, sorted(schema) if key.endswith(".required") else schema


def _short(value: Any) -> str:
    listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
    text = "none" if value is None else ", ".join(value) if listed else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 70 else f"{text[:69]}…"
