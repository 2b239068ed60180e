"""The recipe of a merge: the first run's, with all its stages of the kind `merged`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from selfinstruct.errors import UserError, unknown
from selfinstruct.filters import FILTERS
from selfinstruct.merge.parts import Part, schema_of
from selfinstruct.recipe.again import sections
from selfinstruct.recipe.build import Recipe, build
from selfinstruct.records import Record
from selfinstruct.sources.pool import SEED_STAGE, Seeds
from selfinstruct.text.tokenizers import comparing

ONCE = ("fresh", "repair", "scratch")  # for one start
CHANGED = ("filters", "export", "license", "report", "review", "budget", "cache", *ONCE)
SUBJECTS = ("topics", "documents", "rows")  # kinds whose records later stages write about
SEVERAL = "mul"  # the language tag for texts in several languages
Keys = dict[str, Any]


def keys_of(parts: Sequence[Part], overrides: Sequence[str], to: Path, project: Path) -> Keys:
    """The composed keys of the merge's recipe.

    Args:
        parts: the runs, of one shape.
        overrides: the overrides as typed.
        to: the folder of the merge.
        project: the user's folder.

    Raises:
        UserError: for an override of what a merge does not use.
    """
    first = parts[0]
    saved = {key: value for key, value in first.config.items() if key not in ONCE}
    changed = sections(saved, overrides, project, CHANGED, ("to", "run_dir"))
    makers = first.outline.makers
    languages = {part.outline.language for part in parts}
    language = first.outline.language
    if len({comparing(one) for one in languages}) > 1:
        language = SEVERAL
    pipeline = {
        stage.name: {
            "kind": "merged",
            "runs": [str(part.path) for part in parts],
            "unfinished": True,  # the verb has asked
            **({"of": stage.of} if stage.of else {}),
            **({"hand_on": True} if _is_subject(first, stage.name) else {}),
        }
        for stage in makers
    }
    schemas = {stage.name: schema_of(first.config, first.outline, stage.name) for stage in makers}
    seeds = (first.config.get("schema") or {}).get(SEED_STAGE)
    filters = {
        name: _comparing(checks or {}, language)
        for name, checks in (changed.pop("filters") or {}).items()
        if name in pipeline
    }
    _refuse_unused(overrides, filters, pipeline)
    chosen = {key: value for key, value in changed.items() if value is not None or key in saved}
    return {
        **saved,
        **chosen,
        "pipeline": pipeline,
        "prompts": {},
        "filters": filters,
        "schema": {**({SEED_STAGE: seeds} if seeds else {}), **schemas},
        "seeds": {**first.config["seeds"], "language": language},
        "target": max(part.outline.target for part in parts),
        "replay": None,
        "run_dir": str(to),
    }


def recipe_of(keys: Keys, parts: Sequence[Part], project: Path) -> Recipe:
    """The checked recipe of a merge, with the seed tasks of all runs.

    Raises:
        RecipeError: with every fault found.
    """
    return build(parts[0].outline.recipe, keys, project, seeds=merged_seeds(parts))


def merged_seeds(parts: Sequence[Part]) -> Seeds:
    """The seed tasks of all runs; those that are the same are there once.

    One whose id another one has already gets the name of its run before it.
    """
    tasks: list[Record] = []
    rows: list[Record] = []
    for part in parts:
        _add(tasks, part.seeds.tasks, part.name)
        _add(rows, part.seeds.rows, part.name)
    first = parts[0].seeds
    digest = sha256(repr([part.seeds.digest for part in parts]).encode()).hexdigest()[:16]
    same = all(part.seeds.digest == first.digest for part in parts)
    files = list(dict.fromkeys(part.seeds.path.name for part in parts))
    path = first.path if len(files) == 1 else Path(" and ".join(files))
    count = first.count if same else len(tasks)
    return Seeds(tasks, rows, path, count, first.unit, first.format, first.digest if same else digest)


def _add(known: list[Record], more: Iterable[Record], run: str) -> None:
    contents = {_content(one) for one in known}
    ids = {one.id for one in known}
    for one in more:
        content = _content(one)
        if content not in contents:
            id = f"{run}/{one.id}" if one.id in ids else one.id
            contents.add(content)
            known.append(Record(id, one.stage, one.request, one.position, one.data, fate=one.fate))


def _content(record: Record) -> str:
    """The fields of a seed task; its id and its name say nothing about the task."""
    named = {key: value for key, value in record.data.items() if key not in ("id", "name")}
    return json.dumps(named, sort_keys=True)


def _is_subject(part: Part, stage: str) -> bool:
    """Whether the records of a stage are what others write about, such as topics."""
    options = part.config["pipeline"][stage]
    return options.get("kind") in SUBJECTS or bool(options.get("hand_on"))


def _comparing(checks: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The checks of a stage that compare a record with others; each run has done the others itself."""
    found = {}
    for name, options in checks.items():
        if options is None:
            continue
        kind = options.get("kind") or name
        own = {key: value for key, value in options.items() if key not in ("kind", "after", "before")}
        # One that asks a model, or cannot be made, is kept: building the recipe says what is wrong with it.
        asks = FILTERS.models(kind)
        made = None if asks else FILTERS.build(kind, own, "", [], {"language": language})
        if made is None or made.learn:
            found[name] = options
    return found


def _refuse_unused(overrides: Sequence[str], filters: Mapping[str, Any], stages: Mapping[str, Any]) -> None:
    """Refuse to change the options of a filter that a merge does not apply.

    Raises:
        UserError: with those that it applies.
    """
    for override in overrides:
        group, stage, name, *_ = [*override.lstrip("+~").partition("=")[0].split("."), "", "", ""]
        if group != "filters" or not stage or override.startswith("~"):
            continue
        if stage not in stages:
            raise UserError(f"merge: {override!r}: {'; '.join(unknown('stage', stage, stages))}")
        there = filters.get(stage, {})
        if name and name not in there:
            raise UserError(
                f"merge: {override!r}: {name} looks at a record alone, and each run has applied it already; "
                f"a merge applies those that compare records: {', '.join(there) or 'none'}"
            )
