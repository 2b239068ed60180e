"""A run folder where no journal can be: the run works on local disk and hands its files over at the end.

The run folder has a note meanwhile that says where the run is. A start on the same machine goes on there; one
on another machine is refused, since what was received so far is out of its reach.
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
from selfinstruct.project.disks import local_folder, network_file_system

NOTE = "elsewhere.json"
BACK = "back.txt"  # in the folder on local disk: the run folder that its files belong to
DATASET, ASIDE = "dataset", "set-aside"  # the folder of the exports, and that of those no longer asked for


@contextmanager
def at_hand(path: Path, scratch: Path | None, lock: str) -> Iterator[Path]:
    """The folder to work in: the run folder itself, or one on local disk whose files go there at the end.

    Args:
        path: the run folder.
        scratch: a folder on local disk; None for one of its own choice, where the run folder needs one.
        lock: name of the file that is of no use to anybody else.

    Raises:
        RunFolderError: if the run is on another machine, or its files cannot be moved.
    """
    left = left_here(path)  # also where this start would not need it: what was received is there
    if scratch is None and not place(path) and not network_file_system(path):
        yield path
        return
    here = left or _here(path, scratch)
    with _moving(path, here, "brought from"):
        _begin(path, here)
    try:
        yield here
    finally:
        hand_over(path, here, lock)


def hand_over(path: Path, here: Path, lock: str) -> None:
    """Bring the files of a run from where it worked to its folder.

    Raises:
        RunFolderError: if they cannot be; they stay where they are.
    """
    with _moving(path, here, "handed over to"):
        _copy(here, path, lock, BACK)
        _drop_set_aside(here, path)
        (path / NOTE).unlink()
        shutil.rmtree(here)


def left_here(path: Path) -> Path | None:
    """Where on this machine the run of a folder has left its files without handing them over.

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
            f"{path / NOTE} names {here}, which no run of this folder has made; nothing was touched there.\n"
            "  If the run is yours, move its files from there to the run folder; then delete the note"
        )
    return here


def place(path: Path) -> str:
    """Where the run of a folder is at work, in words; empty where it is in the folder.

    Raises:
        RunFolderError: if the note cannot be read.
    """
    note = _note(path)
    return f"{note['path']} on {note['host']}" if note else ""


def _note(path: Path) -> dict[str, str] | None:
    """What the note of a run folder says; None where there is none."""
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
    """The name of the folder on local disk that a run folder works in."""
    digest = blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()
    return f"{path.name}-{digest}"


def _begin(path: Path, here: Path) -> None:
    """Bring the run's files, unless they are here already, and leave the note."""
    path.mkdir(parents=True, exist_ok=True)
    other = place(path)
    if other and left_here(path) != here:
        raise RunFolderError(
            f"{path}: the run was at work in {other}, and its files did not come back from there.\n  "
            "Go on with it there, with the same command, or set fresh=true to start anew; what it asked is "
            "in the cache that it used"
        )
    if not other:
        here.mkdir(parents=True, exist_ok=True)
        (here / BACK).write_text(f"{path.resolve()}\n", encoding="utf-8")
        _copy(path, here, NOTE)
    note = {"host": socket.gethostname(), "path": str(here)}
    (path / NOTE).write_text(json.dumps(note) + "\n", encoding="utf-8")


def _copy(from_: Path, to: Path, *without: str) -> None:
    """Copy files, each put in place whole."""
    for source in sorted(from_.rglob("*")):
        target = to / source.relative_to(from_)
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif source.name not in without:
            part = target.with_name(f".{target.name}.part")
            shutil.copyfile(source, part)
            part.replace(target)


def _drop_set_aside(from_: Path, to: Path) -> None:
    """Remove from the dataset what was moved out of it; its copy has just arrived."""
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
            f"{socket.gethostname()}; make room, or mend what stands in the way, and run the same command "
            "there again"
        ) from error
