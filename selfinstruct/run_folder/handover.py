"""Runs with a run folder on a network disk: the run works on local disk and moves its files at the end.

SQLite is not safe on a network disk. While the run works, a note in the run folder says where it is. A start
on the same machine goes on there. A start on another machine is refused, since it cannot reach the replies
received so far.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from selfinstruct.errors import RunFolderError
from selfinstruct.journal.beside import NOTE as NOTE
from selfinstruct.project.disks import local_folder, network_file_system

BACK = "back.txt"  # a file in the folder on local disk; it names the run folder that the files belong to
DATASET, ASIDE = "dataset", "set-aside"  # the folders of the exports, and of exports no longer asked for


@contextmanager
def at_hand(path: Path, scratch: Path | None, lock: str) -> Iterator[Path]:
    """The folder to work in: the run folder, or one on local disk; from there the files move at the end.

    Args:
        path: the run folder.
        scratch: a folder on local disk; if None, one is chosen if the run folder is on a network disk.
        lock: name of the lock file, which is not moved.

    Raises:
        RunFolderError: if the run is on another machine, or its files cannot be moved.
    """
    left = left_here(path)  # used even if this start needs no local folder: the replies are there
    if scratch is None and not place(path) and not network_file_system(path):
        yield path
        return
    here = left or _here(path, scratch)
    with _moving(path, here, "copied from"):
        _begin(path, here)
    try:
        yield here
    finally:
        hand_over(path, here, lock)


def hand_over(path: Path, here: Path, lock: str) -> None:
    """Move the files of a run from the folder where it worked to its run folder.

    Raises:
        RunFolderError: if they cannot be moved; they stay where they are.
    """
    with _moving(path, here, "moved to"):
        _copy(here, path, lock, BACK)
        _drop_set_aside(here, path)
        (path / NOTE).unlink()
        shutil.rmtree(here)


def left_here(path: Path) -> Path | None:
    """The folder on this machine with files that the run has not handed over; None if there is none.

    Raises:
        RunFolderError: if the note was not written by a run of this folder.
    """
    note = _note(path)
    if note is None or note["host"] != socket.gethostname():
        return None
    here = Path(note["path"])
    if not here.is_dir():
        return None
    if here.name != _name(path) or not (here / BACK).is_file():  # anybody can write a note
        raise RunFolderError(
            f"{path / NOTE} names {here}, which no run of this folder has made; nothing there was changed.\n"
            "  If the run is yours, move its files from there to the run folder; then delete the note"
        )
    return here


def place(path: Path) -> str:
    """The place where the run of a folder works, for messages; empty if that is the folder itself.

    Raises:
        RunFolderError: if the note cannot be read.
    """
    note = _note(path)
    return f"{note['path']} on {note['host']}" if note else ""


def _note(path: Path) -> dict[str, str] | None:
    """The contents of a run folder's note; None if there is none."""
    file = path / NOTE
    if not file.is_file():
        return None
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        return {"host": str(note["host"]), "path": str(note["path"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunFolderError(f"{file} cannot be read as the note of a run; delete it to go on") from error


def _here(path: Path, scratch: Path | None) -> Path:
    try:
        root = scratch or local_folder()
    except OSError as error:
        raise RunFolderError(f"scratch: {error}; set scratch=DIR to a folder on local disk") from error
    return root / _name(path)


def _name(path: Path) -> str:
    """The name of the folder on local disk for the run of a folder."""
    digest = blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()
    return f"{path.name}-{digest}"


def _begin(path: Path, here: Path) -> None:
    """Copy the run's files to local disk, unless they are there already, and write the note."""
    path.mkdir(parents=True, exist_ok=True)
    other = place(path)
    if other and left_here(path) != here:
        raise RunFolderError(
            f"{path}: the run worked in {other}, and its files were not moved back from there.\n  "
            "Go on with it there, with the same command, or set fresh=true to start anew; its replies are "
            "in the cache that it used"
        )
    if not other:
        here.mkdir(parents=True, exist_ok=True)
        (here / BACK).write_text(f"{path.resolve()}\n", encoding="utf-8")
        _copy(path, here, NOTE)
    note = {"host": socket.gethostname(), "path": str(here)}
    (path / NOTE).write_text(json.dumps(note) + "\n", encoding="utf-8")


def _copy(from_: Path, to: Path, *without: str) -> None:
    """Copy files; at each moment a target is the old file or the new one, never a part."""
    for source in sorted(from_.rglob("*")):
        target = to / source.relative_to(from_)
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif source.name not in without:
            part = target.with_name(f".{target.name}.part")
            shutil.copyfile(source, part)
            part.replace(target)


def _drop_set_aside(from_: Path, to: Path) -> None:
    """Remove the files that the run has set aside from the run folder's dataset, since it has them twice."""
    for aside in (from_ / ASIDE).rglob("*"):
        old, kept = to / DATASET / aside.name, from_ / DATASET / aside.name
        if aside.is_file() and old.is_file() and not kept.exists() and old.read_bytes() == aside.read_bytes():
            old.unlink()


@contextmanager
def _moving(path: Path, here: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunFolderError(
            f"{path}: the run's files could not be {what} it: {error}.\n  They are in {here} on "
            f"{socket.gethostname()}; make room, or remove what prevents it, and run the same command "
            "there again"
        ) from error
