"""The run folder: which run it belongs to, which process uses it, and how files are written to it.

A run folder belongs to one recipe with one set of settings that shape the data. A run refuses a folder with
other files in it, with a run of another recipe or other settings, or in use by another process.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import DamagedJournal, RunFolderError
from selfinstruct.journal.beside import JOURNAL as JOURNAL
from selfinstruct.journal.beside import LOCK as LOCK
from selfinstruct.journal.beside import NOTE
from selfinstruct.journal.beside import REVIEWED as REVIEWED
from selfinstruct.journal.beside import in_use as in_use
from selfinstruct.journal.repair import OTHER, SUMMARY, looked_into, offer, open_journal
from selfinstruct.journal.store import SETTINGS, Journal
from selfinstruct.llm.batch.still_open import still_open
from selfinstruct.monitor.events import EVENTS
from selfinstruct.project.blocks import BLOCK, batched
from selfinstruct.project.jsonl import json_line
from selfinstruct.project.layout import path_below
from selfinstruct.run_folder.claim import claim, compare
from selfinstruct.run_folder.handover import at_hand, hand_over, left_here, place
from selfinstruct.safety.blot import blotted

if TYPE_CHECKING:
    from selfinstruct.recipe.build import Recipe

JOB = "job.json"  # the outcome of a job of a sweep
TRACES = (LOCK, SUMMARY, EVENTS, ".hydra/overrides.yaml")  # files that a run writes beside its journal


@dataclass(frozen=True)
class RunFolder:
    """An open run folder; made by `open_folder`."""

    path: Path
    journal: Journal
    resumed: bool
    notes: tuple[str, ...] = ()  # about a repair, for the user
    written: dict[str, dict[str, Any]] = field(default_factory=dict)  # size and SHA-256 of each file by name

    def keep_settings(self, saved: dict[str, str]) -> None:
        """Write the composed config and its overrides to `.hydra/`, and note their digests in the journal.

        This happens at the start, long before the summary has the digests of all files.

        Args:
            saved: the texts by file name.
        """
        texts = {f".hydra/{name}": text for name, text in saved.items()}
        before = self.journal.meta(SETTINGS, {})
        now = {name: [sha256(_encoded(text)).hexdigest()] for name, text in texts.items()}
        self.journal.set_meta(SETTINGS, {name: [*before.get(name, [])[-1:], *now[name]] for name in now})
        for name, text in texts.items():
            self.write(name, [text])
        self.journal.set_meta(SETTINGS, now)

    def write_lines(self, name: str, rows: Iterable[Any]) -> Path:
        """Write rows as JSONL; readers see the old file or the new one, never a part."""
        return self.write(name, map(json_line, rows))

    def write(self, name: str, pieces: Iterable[str]) -> Path:
        """Write a file without secrets; readers see the old file or the new one, never a part."""
        return self.write_bytes(name, map(_joined, batched(pieces, BLOCK)))

    def write_bytes(self, name: str, pieces: Iterable[bytes]) -> Path:
        """As `write`, with contents that have no secrets."""
        path = self.path / name
        self.written[name] = write_whole(path, pieces)
        return path


def write_whole(path: Path, pieces: Iterable[bytes]) -> dict[str, Any]:
    """Write a file; readers see the old file or the new one, never a part. Returns its size and SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    digest, size = sha256(), 0
    with part.open("wb") as file:
        for content in pieces:
            digest.update(content)
            size += file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return {"bytes": size, "sha256": digest.hexdigest()}


def write_json(path: Path, value: Any) -> None:
    """As `write_whole`, a value as JSON, without secrets."""
    write_whole(path, [_encoded(json.dumps(value, indent=2, ensure_ascii=False) + "\n")])


def _joined(pieces: Sequence[str]) -> bytes:
    """Pieces of a file together; each is searched for secrets by itself only if one is in them."""
    whole = "".join(pieces)
    clean = whole if blotted(whole) == whole else "".join(map(blotted, pieces))
    return clean.encode("utf-8", "backslashreplace")


def _encoded(text: str) -> bytes:
    return blotted(text).encode("utf-8", "backslashreplace")


@contextmanager
def open_folder(recipe: Recipe, path: Path) -> Iterator[RunFolder]:
    """Open the run folder of a recipe, locked against other processes, and close it at the end.

    Args:
        recipe: the recipe; if it has `fresh`, an old run is set aside first.
        path: the folder; it is made if it does not exist.

    Raises:
        RunFolderError: if it belongs to another run, is in use, or cannot be written.
    """
    _refuse_strangers(path, recipe.config.fresh)
    notes: list[str] = []
    if recipe.config.fresh and ((path / JOURNAL).exists() or place(path) or _has_lost_its_journal(path)):
        notes = _set_aside(path)
    with _writable(path):
        path.mkdir(parents=True, exist_ok=True)
    scratch = recipe.config.scratch
    local = path_below(recipe.project, scratch) if scratch else None
    with at_hand(path, local, LOCK) as here, _opened(recipe, here, notes) as folder:
        yield folder


@contextmanager
def reopened(path: Path) -> Iterator[RunFolder]:
    """Open a run folder to write other files from its journal, without its recipe; locked like `open_folder`.

    Raises:
        RunFolderError: if another process uses it, or it cannot be written.
        DamagedJournal: if the journal is damaged.
    """
    with at_hand(path, None, LOCK) as here, _locked(here):
        journal, _ = open_journal(here / JOURNAL, how=OTHER)
        try:
            yield RunFolder(here, journal, resumed=True)
        finally:
            journal.close()


def _set_aside(path: Path) -> list[str]:
    """Set a run aside; return what the user should know about the batches that it has at a provider."""
    here = left_here(path)
    with _locked(here or path):
        pass
    if here:
        hand_over(path, here, LOCK)
    path.rename(free := aside(path))
    command = f"the same command with run_dir={free}, without fresh=true,"
    return [f"{free}: {line}" for line in open_at_provider(free, command)]


@contextmanager
def _opened(recipe: Recipe, path: Path, before: Iterable[str]) -> Iterator[RunFolder]:
    with _locked(path):
        resumed = (path / JOURNAL).exists()
        journal, notes = open_journal(path / JOURNAL, recipe.config.repair, bool(recipe.config.replay))
        try:
            claim(journal, recipe, path, mended=bool(notes))
            yield RunFolder(path, journal, resumed, (*before, *notes))
        finally:
            journal.close()


def look(recipe: Recipe, path: Path) -> str:
    """Say what a run would find in the folder; raise the errors that the run would raise; change nothing."""
    _refuse_strangers(path, recipe.config.fresh)
    if place(path):
        return f"at work in {place(path)}"
    lost = _has_lost_its_journal(path)
    if not (path / JOURNAL).exists() and not lost:
        return "new"
    if recipe.config.fresh:
        return f"the run in it will be set aside as {aside(path)}"
    with looked_into(path / JOURNAL, in_use(path) or in_use(path, REVIEWED)) as journal:
        compare(journal, recipe, path)
        done = [f"{journal.stats(stage.name).accepted} {stage.name}" for stage in recipe.stages]
        return f"continues the run in it: {', '.join(done)} accepted so far"


def open_at_provider(path: Path, command: str) -> list[str]:
    """The open batches of the run in a folder, and what to do about them; empty without one.

    Args:
        path: the folder.
        command: the command that picks them up, in words.
    """
    if place(path) or not (path / JOURNAL).exists():
        return []
    try:
        with looked_into(path / JOURNAL, in_use(path) or in_use(path, REVIEWED), whole=False) as journal:
            return still_open(journal, command)
    except (RunFolderError, sqlite3.Error):  # reported wherever the journal is needed
        return []


def broken(path: Path, error: sqlite3.Error | OSError) -> RunFolderError:
    """The error to raise if the disk fails in the middle of a run."""
    if type(error) is sqlite3.DatabaseError:  # its subclasses are locks, full disks and the like
        return offer(DamagedJournal(path / JOURNAL, [str(error)]))
    return RunFolderError(
        f"{path}: cannot be written any more: {error}. Everything stored so far is kept; make room, or "
        "remove what prevents writing, and run the same command again"
    )


def _has_lost_its_journal(path: Path) -> bool:
    """Whether a folder without a journal was a run folder; one such file alone may be there by chance."""
    return not (path / JOURNAL).exists() and sum((path / name).is_file() for name in TRACES) > 1


def _refuse_strangers(path: Path, fresh: bool) -> None:
    """Refuse a folder with files that are not a run's, and a run folder without its journal.

    Args:
        path: the folder.
        fresh: whether a run in it will be set aside.
    """
    if not path.exists() or (path / JOURNAL).exists() or (path / NOTE).exists():
        return
    if not path.is_dir():
        raise RunFolderError(f"run_dir: {path} is a file; choose another run_dir")
    if _has_lost_its_journal(path):
        if fresh:
            return
        raise RunFolderError(
            f"run_dir: {path} holds a run whose journal is missing ({JOURNAL}); put it back, or set "
            "fresh=true to set the folder aside and start anew (nothing is deleted)"
        )
    try:
        strangers = [entry.name for entry in path.iterdir() if entry.name not in (LOCK, JOB, NOTE)]
    except OSError as error:
        raise RunFolderError(f"run_dir: {path} cannot be read: {error.strerror}") from error
    if strangers:
        raise RunFolderError(
            f"run_dir: {path} has other files in it ({strangers[0]}, …); choose another run_dir"
        )


def aside(path: Path) -> Path:
    """The first free name for a folder that is set aside."""
    number = 1
    while (free := path.with_name(f"{path.name}.before-{number}")).exists():
        number += 1
    return free


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the folder; the operating system unlocks it when the process ends, however it ends."""
    from filelock import FileLock, Timeout

    lock = FileLock(path / LOCK)
    with _writable(path):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            wait = "wait for it, or choose another run_dir"
            raise RunFolderError(f"{path}: another process uses this run; {wait}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunFolderError(
            f"run_dir: {path} cannot be written: {reason}. Set run_dir=… to a folder that you can write to"
        ) from error
