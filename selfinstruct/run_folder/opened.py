"""Any run folder, opened to read: finished or not, also while a run writes to it, with or without its recipe.

Everything that people do with a run (show, report, review, export) begins here. Nothing in the folder is
changed, and no other process has to wait. A row of the journal is checked when it is read, so one record of
a large run is there at once; `verify` checks all of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from selfinstruct.errors import RunFolderError, UserError
from selfinstruct.journal import labelled_records
from selfinstruct.journal.repair import OTHER, SUMMARY, looked_into
from selfinstruct.journal.store import FINISHED, GAVE_UP, Journal
from selfinstruct.project.layout import no_path, path_below
from selfinstruct.project.resolving import load, resolved
from selfinstruct.records import Record
from selfinstruct.run_folder.folder import JOURNAL, REVIEWED, in_use
from selfinstruct.run_folder.handover import left_here, place
from selfinstruct.run_folder.outline import Outline, outline_of, stored_outline, stored_seeds
from selfinstruct.sources.pool import Seeds

CONFIG = ".hydra/config.yaml"
RUNNING, UNFINISHED = "running", "unfinished"


@dataclass(frozen=True)
class OpenedRun:
    """A run folder to read from.

    Attributes:
        path: the folder with its files.
        journal: its journal.
        outline: its stages.
        running: whether another process is writing to it.
        project: the user's folder.
    """

    path: Path
    journal: Journal
    outline: Outline
    running: bool
    project: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The contents of `summary.json`; empty if a run has not ended yet."""
        try:
            found = json.loads((self.path / SUMMARY).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def state(self) -> str:
        """`finished`, `missed`, `unfinished` or `running`."""
        if self.running:
            return RUNNING
        ended = self.journal.meta(FINISHED) or self.journal.meta(GAVE_UP)
        if not ended:  # also where an earlier start has ended and written its files
            return UNFINISHED
        return str(self.summary.get("state") or "finished")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The composed config of its last start, as plain dicts and lists.

        Raises:
            UserError: if the run's own file with it is missing or cannot be read.
        """
        path = self.path / CONFIG
        if not path.is_file():
            raise UserError(f"{path} is missing; run the recipe once more to write it again")
        found = resolved(load(path))
        if not _is_nested(found.get("schema"), 3) or not _is_nested(found.get("seeds"), 1):
            raise UserError(
                f"{path} was changed and cannot be read; run the recipe once more to write it again"
            )
        return found

    @cached_property
    def seeds(self) -> Seeds | None:
        """The seed tasks; None if the run is of a version that did not keep them, and its file has moved."""
        return stored_seeds(self.journal)

    @cached_property
    def seed_tasks(self) -> dict[str, Record]:
        """The seed tasks by id."""
        return {seed.id: seed for seed in self.seeds.tasks} if self.seeds else {}

    def records(self, stage: str) -> Iterator[Record]:
        """The accepted records of a stage, with their labels, as in its JSONL file; read one by one."""
        return labelled_records.one_by_one(self.outline, self.journal, stage)

    def record(self, id: str) -> Record | None:
        """A record by its id, whatever its fate, or a seed task; None if there is none."""
        return self.journal.record(id) or self.seed_tasks.get(id)


def run_of(words: str, project: Path, verb: str) -> Path:
    """The folder that a user has named as a run's.

    Args:
        words: the path as typed.
        project: the user's folder.
        verb: the verb that needs it, for the message.

    Raises:
        UserError: if it is not the folder of a run; the message names the jobs of a sweep.
    """
    if wrong := no_path(words):
        raise UserError(f"{words[:40]!r} {wrong}; {verb} takes the folder of a run")
    path = path_below(project, words)
    if not path.exists():
        named = path_below(project, f"runs/{words}")  # a run by its recipe's name
        hint = f"{verb} takes the folder of a run, such as runs/chat"
        hint = f"did you mean runs/{words}?" if (named / JOURNAL).is_file() else hint
        raise UserError(f"{verb}: {words} does not exist; {hint}")
    if (path / JOURNAL).is_file() or place(path):
        return path
    if (path / "0" / JOURNAL).is_file():
        raise UserError(f"{path} is a sweep; {verb} takes the folder of one of its jobs: {words}/0")
    inside = sorted(file.parent.name for file in path.glob(f"*/{JOURNAL}")) if path.is_dir() else []
    hint = ", such as " + " or ".join(str(Path(words) / name) for name in inside[:3]) if inside else ""
    raise UserError(f"{verb}: {path} holds no run ({JOURNAL} is missing); give the folder of a run{hint}")


@contextmanager
def opened(path: Path, project: Path | None = None) -> Iterator[OpenedRun]:
    """Open a run folder to read from.

    Args:
        path: the folder.
        project: the user's folder, in which the recipe of a run of an earlier version is looked up.

    Raises:
        RunFolderError: if it holds no run, or works on another machine.
        DamagedJournal: if a row that is read is not as it was written.
    """
    project = project or Path.cwd()
    where = place(path)
    if where:
        here = left_here(path)
        if here is None:
            raise RunFolderError(f"{path}: the run works in {where}; read it there")
        path = here
    if not (path / JOURNAL).is_file():
        raise RunFolderError(f"{path} holds no run ({JOURNAL} is missing); give the folder of a run")
    busy = in_use(path)
    with looked_into(path / JOURNAL, busy or in_use(path, REVIEWED), OTHER, whole=False) as journal:
        try:
            yield OpenedRun(path, journal, _outline(journal, path, project), busy, project)
        except sqlite3.DatabaseError as error:
            raise RunFolderError(
                f"{path / JOURNAL} cannot be read: {error}; try selfinstruct verify"
            ) from error


def _is_nested(section: Any, levels: int) -> bool:
    """Whether a section is a mapping, with the schemas and their properties in it, or is not there."""
    if section is None:
        return True
    if not isinstance(section, dict):
        return False
    inner = section.values() if levels == 3 else [section.get("properties")] if levels == 2 else []
    return all(_is_nested(one, levels - 1) for one in inner)


def _outline(journal: Journal, path: Path, project: Path) -> Outline:
    """The outline in the journal; for a run of an earlier version that of its saved config."""
    found = stored_outline(journal)
    if found:
        return found
    from selfinstruct.recipe.build import build

    name = str(journal.meta("recipe", "unknown"))
    try:
        return outline_of(build(name, resolved(load(path / CONFIG)), project))
    except (UserError, OSError) as error:
        raise RunFolderError(
            f"{path} was made by an earlier version, and its recipe cannot be read any more: {error}\n"
            "  Run its own command once more; then the folder can be read without its recipe"
        ) from error
