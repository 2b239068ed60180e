"""The user's own documents: find the files and cut their texts into passages.

A file that cannot be read is a fault, so that no part of the documents is left out unnoticed. A file without
text, or of another kind, is passed over with a note.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.project import textfiles
from selfinstruct.project.layout import no_path, path_below, roots
from selfinstruct.sources.passages import FORMATS, Cutting

INSTALL = "pip install 'selfinstruct[documents]'"
SHOWN = 3  # file names in one note


@dataclass
class Found:
    """The content of a folder.

    Attributes:
        files: the documents, by their name in the folder, in order.
        others: the number of files of each suffix that are passed over.
        links: the links to folders; they are not followed.
    """

    files: dict[str, Path] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)


def read(
    path: str, cutting: Cutting, project: Path, where: str, faults: list[Fault]
) -> tuple[list[dict[str, Any]], str, list[str]] | None:
    """Read the passages of a file, of all files in a folder, or of the files that a pattern matches.

    Args:
        path: the file, the folder or the pattern; looked for in the user's folder, then among ours.
        cutting: how the documents are read and cut.
        project: the user's folder.
        where: the stage's key, for messages.
        faults: receives every fault found.

    Returns:
        The passages as rows of `passage`, `document`, `section` and `place`, in the order of the documents'
        names; a phrase that describes them; and notes for the user. None if there was a fault.
    """
    found = _find(path, cutting, project, where, faults)
    if found is None:
        return None
    before, rows, empty = len(faults), list[dict[str, Any]](), list[str]()
    for name, file in found.files.items():
        text = _text(file, cutting, faults)
        if text is None:
            continue
        made = list(FORMATS[cutting.formats[_suffix(file)] or "text"](text, file, cutting, faults))
        rows += [
            {"passage": one.text, "document": name, "section": one.section, "place": one.place}
            for one in made
        ]
        if not made:
            empty.append(name)
    if len(faults) > before:
        return None
    if not rows:
        faults.append(Fault(f"{where}.path", f"there is no text in the documents of {path}"))
        return None
    read = len(found.files) - len(empty)
    phrase = f"passages of {read} document{'s' if read > 1 else ''} in {path}"
    return rows, phrase, list(_notes(path, found, empty))


def _find(path: str, cutting: Cutting, project: Path, where: str, faults: list[Fault]) -> Found | None:
    """Find the documents; add a fault if there are none."""
    key = f"{where}.path"
    if wrong := no_path(path):
        faults.append(Fault(key, f"{path[:40]!r} {wrong}", f"name a file or a folder: {key}=…"))
        return None
    for root in roots(project):
        start = path_below(root, path)
        if os.path.lexists(start):
            found = _gather(_below(start), start if start.is_dir() else start.parent, cutting, faults)
        elif files := _matched(root, path):
            fixed = re.split(r"[*?\[]", path)[0].rpartition("/")[0]
            found = _gather(iter(files), root / fixed, cutting, faults)
        else:
            continue
        if found.files:
            return found
        kinds = ", ".join(f".{suffix}" for suffix, format in cutting.formats.items() if format)
        if not faults:
            what = f"no file of {path} is of a known kind ({kinds})"
            faults.append(Fault(key, what, f"add another kind with {where}.formats.SUFFIX=text"))
        return None
    remedy = f"looked in {project} and among the files that come with selfinstruct; set {key}=…"
    faults.append(Fault(key, f"there is no file or folder {path}", remedy))
    return None


def _matched(root: Path, path: str) -> list[Path]:
    """The files that a pattern matches; none if the path is not a pattern."""
    if not re.search(r"[*?\[]", path):
        return []
    base, pattern = (Path(path).anchor, path.lstrip("/")) if Path(path).is_absolute() else (root, path)
    return [file for file in Path(base).glob(pattern) if not file.is_dir()]


def _below(start: Path) -> Iterator[Path]:
    """The file itself, or all files in a folder except hidden ones.

    A link to a folder is yielded, not followed, since links may form a loop.
    """
    if not start.is_dir():
        yield start
        return
    for folder, inner, files in os.walk(start):
        inner[:] = [name for name in inner if not name.startswith(".")]
        links = [name for name in inner if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in [*files, *links] if not name.startswith("."))


def _gather(paths: Iterator[Path], folder: Path, cutting: Cutting, faults: list[Fault]) -> Found:
    """Sort the files by their names in the folder, and separate the documents from those passed over."""
    found = Found()
    for name, path in sorted((_name(path, folder), path) for path in paths):
        suffix = _suffix(path)
        if path.is_symlink() and path.is_dir():
            found.links.append(name)
        elif cutting.formats.get(suffix) is None:
            found.others[f".{suffix}" if suffix else "no suffix"] += 1
        else:
            found.files[name] = path
    return found


def _name(path: Path, folder: Path) -> str:
    """A file's path relative to the folder, with forward slashes on every system."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _suffix(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _text(path: Path, cutting: Cutting, faults: list[Fault]) -> str | None:
    """The text of a file, with all line breaks as \\n; None if a fault was added."""
    try:
        size = path.stat().st_size
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        why = getattr(error, "strerror", None) or "its links form a loop"
        faults.append(Fault(str(path), f"cannot be read: {why}", "repair or remove it"))
        return None
    if size > cutting.largest_mb * 1e6:
        what = f"has {size / 1e6:,.0f} MB, more than {cutting.largest_mb:g}"
        faults.append(Fault(str(path), what, "split it, or raise the stage's largest_mb"))
        return None
    text = textfiles.read(path, faults)
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def _notes(path: str, found: Found, empty: list[str]) -> Iterator[str]:
    """One note for each sort of file that was passed over."""
    if empty:
        yield f"{path}: {_some(empty)}: no text in it"
    if found.links:
        yield f"{path}: {_some(found.links)}: a link to a folder, which is not followed"
    if found.others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(found.others.items()))
        yield f"{path}: files of other kinds are passed over: {kinds}"


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
