"""`selfinstruct export RUN`: writes the dataset of a run again, in other formats, without its recipe.

On a run that no process uses, it replaces what is in `dataset/`, as the end of a run does: files of the
user's stay, and files that are no longer asked for are set aside. `to=DIR` writes to another folder, and is
possible during a run.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from selfinstruct.config import ExportConfig
from selfinstruct.dataset import rejected
from selfinstruct.dataset.folder import write_dataset
from selfinstruct.dataset.make import Dataset, dataset_of
from selfinstruct.dataset.origins import meanings
from selfinstruct.dataset.rejected import REJECTED
from selfinstruct.dataset.reviews import REVIEW
from selfinstruct.dataset.source import Source, of_run
from selfinstruct.errors import Fault, RecipeError, UserError
from selfinstruct.export import Export
from selfinstruct.journal.repair import SUMMARY
from selfinstruct.journal.store import REVIEWS, SUMMED_UP
from selfinstruct.monitor.progress import Progress
from selfinstruct.project.layout import no_path, path_below
from selfinstruct.recipe.again import sections
from selfinstruct.recipe.exports import built, fitted
from selfinstruct.records import ACCEPTED
from selfinstruct.registry import validate
from selfinstruct.run_folder.folder import RunFolder, reopened, write_whole
from selfinstruct.run_folder.handover import DATASET
from selfinstruct.run_folder.opened import RUNNING, OpenedRun, opened, run_of
from selfinstruct.schema.validation import fields_of

HELP = """\
selfinstruct export: write the dataset of a run again, in other formats, without its recipe

  selfinstruct export RUN [KEY=VALUE …]

  RUN is the folder of a run, finished or not. Nothing is sent to a model. The new files replace those in
  RUN/dataset; files of yours stay there, and files that are no longer asked for go to RUN/set-aside.

  selfinstruct export runs/chat 'export=[chat]' export.chat.format=parquet
  selfinstruct export runs/chat 'export=[sharegpt,csv]' 'export.sharegpt.split={train: 0.9, test: 0.1}'
  selfinstruct export runs/chat 'export.chat.where={review: ok}' export.chat.provenance=true license=cc-by-4.0

  export=…        the files: alpaca, chat, trl, sharegpt, prompt_completion, csv, or several of them
  export.NAME.…   format, split, provenance, where, columns, system, reasoning, max_tokens and tokenizer,
                  seed_tasks
  license=NAME    the licence, for the header of README.md
  to=DIR          write to another folder, which must be new or empty; also while a process uses the run
"""
TO, LICENSE = "to", "license"


def main(arguments: list[str], project: Path) -> int:
    """Write the dataset and say what was written; return the exit status.

    Raises:
        UserError: if the arguments name no run or have a fault, or the files cannot be written.
    """
    words = [part for part in arguments if "=" not in part and part[:1] not in ("-", "~")]
    if len(words) != 1:
        raise UserError("export takes the folder of one run: selfinstruct export runs/NAME 'export=[chat]'")
    overrides = [part for part in arguments if part != words[0]]
    own = {
        name: value for name, _, value in (part.partition("=") for part in overrides) if name in (TO, LICENSE)
    }
    overrides = [part for part in overrides if part.partition("=")[0] not in own]
    path = run_of(words[0], project, "export")
    to = _new_folder(own[TO], project) if TO in own else None
    with opened(path, project) as run:
        if run.state == RUNNING and to is None:
            raise UserError(
                f"{words[0]}: another process uses this run and writes its dataset at the end; wait for it, "
                "or write what there is now to another folder: to=DIR"
            )
        exports = exports_of(run, overrides)
        _refuse_unreviewed(run, exports, words[0])
        try:
            with Progress().busy("writing the dataset"):
                made = write(run, exports, to, own.get(LICENSE))
        except (sqlite3.Error, OSError) as error:
            raise UserError(f"export: the dataset cannot be written: {error}") from error
        print(_told(run, made, to or path / DATASET, project))
    return 0


def _refuse_unreviewed(run: OpenedRun, exports: Mapping[str, Export], folder: str) -> None:
    """Refuse an export of reviewed records before there is a review: it would have no row.

    Raises:
        UserError: with the command that reviews them.
    """
    asked = [name for name, export in exports.items() if REVIEW in export.where]
    if asked and not run.journal.facts(REVIEWS):
        what = f"export.{asked[0]}.where: no record of {folder} has a review yet"
        raise UserError(f"{what}; to judge some: selfinstruct review {folder}")


def write(
    run: OpenedRun, exports: Mapping[str, Export], to: Path | None = None, license: str | None = None
) -> Dataset:
    """Write the dataset of a run.

    Args:
        run: the run.
        exports: the exports by name.
        to: a new or empty folder; None for the run's own `dataset/`.
        license: the licence; that of its recipe if there is none.

    Raises:
        RunFolderError: if another process uses the run, or the folder cannot be written.
    """
    if to is not None:
        made = dataset_of(of_run(run, license=license), exports)
        for name, content in made.files.items():
            write_whole(to / name, content.pieces())
        return made
    with reopened(run.path) as folder:
        source = of_run(run, folder.journal, license)
        made = dataset_of(source, exports)
        write_dataset(folder, made.files)
        if (folder.path / SUMMARY).exists():  # a run that was killed has written no files yet
            _sum_up(folder, source, made)
    return made


def exports_of(run: OpenedRun, overrides: Sequence[str]) -> dict[str, Export]:
    """The exports in the saved config of a run, changed by overrides.

    Raises:
        RecipeError: with every fault.
        UserError: for an override that cannot be read, or of another section.
    """
    keys = sections(run.config, overrides, run.project, ("export",), (LICENSE, TO))["export"] or {}
    makers = [stage.name for stage in run.outline.makers]
    faults: list[Fault] = []
    found: dict[str, Export] = {}
    if not isinstance(keys, dict) or not keys:
        raise UserError("the run has no export; choose one: 'export=[chat]'")
    for name, part in keys.items():
        config, wrong = validate(ExportConfig, part, f"export.{name}")
        faults += wrong
        export = built(name, config, makers, run.project, faults) if config else None
        if export:
            sample, known = _sample(run, export.of), meanings(run.outline, export.of)
            found[name] = fitted(name, export, found, sample, known, dict.fromkeys(sample, ()), faults)
    if faults:
        raise RecipeError(faults)
    return found


def _sample(run: OpenedRun, of: str) -> dict[str, Any]:
    """A record of a stage with all the fields that its records have; empty if nothing is known of them."""
    first = next(run.journal.records(of, ACCEPTED), None)
    fields = dict(fields_of(run.config.get("schema", {}).get(of) or {})) if first is None else {}
    name: str | None = of
    while name:
        stage = run.outline.stage(name)
        labels = [field for label in run.outline.labels_of(name) for field in label.own]
        fields = {**dict.fromkeys([*stage.own, *labels], ""), **fields}
        name = stage.of
    return {**fields, **(first.data if first else {})}


def _sum_up(folder: RunFolder, source: Source, made: Dataset) -> None:
    """Renew `rejected.jsonl` and the digests in `summary.json`, so that `verify` finds the run whole."""
    folder.write(REJECTED, rejected.lines(source.outline, folder.journal, made.left_out))
    summary = json.loads((folder.path / SUMMARY).read_text(encoding="utf-8"))
    kept = {
        name: facts
        for name, facts in (summary.get("files") or {}).items()
        if name != REJECTED and not name.startswith(f"{DATASET}/")
    }
    text = json.dumps({**summary, "files": {**kept, **folder.written}}, indent=2) + "\n"
    digests = folder.journal.meta(SUMMED_UP) or {}
    folder.journal.set_meta(SUMMED_UP, {**digests, SUMMARY: sha256(text.encode()).hexdigest()})
    folder.write(SUMMARY, [text])


def _new_folder(words: str, project: Path) -> Path:
    """The folder that `to=` names, which must be new or empty."""
    if not words or no_path(words):
        raise UserError(f"to={words}: {no_path(words) or 'names no folder'}")
    path = path_below(project, words)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"to={words}: {path} is not an empty folder; choose a new one")
    return path


def _told(run: OpenedRun, made: Dataset, where: Path, project: Path) -> str:
    """What was written, for the terminal."""
    lines = []
    for one in made.exports:
        left = sum(one.left_out.values())
        out = (
            f"; left out: {', '.join(f'{n:,} by {check}' for check, n in one.left_out.items())}"
            if left
            else ""
        )
        files = ", ".join(f"{name} ({one.counts[split]:,})" for split, name in one.files.items())
        lines.append(f"{one.name}: {files or 'no row, no file'}{out}")
    short = where.relative_to(project) if where.is_relative_to(project) else where
    state = (
        "" if run.state in ("finished", "missed") else f"; the run is {run.state}, so this is a part of it"
    )
    return "\n".join([*lines, f"\nwritten to {short}{state}"])
