"""Documents of the user's own: which files there are, and what they say, as passages.

What cannot be read is a fault, since a part of the documents that is left out unseen would be missed later;
what holds no text, or is of another kind, is told.
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
SHOWN = 3  # names in one note


@dataclass
class Found:
    """What is in a folder.

    Attributes:
        files: the documents, by their name in the folder, in order.
        others: how many files of each suffix are passed over.
        links: links to folders, which are not followed.
    """

    files: dict[str, Path] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)


def read(
    path: str, cutting: Cutting, project: Path, where: str, faults: list[Fault]
) -> tuple[list[dict[str, Any]], str, list[str]] | None:
    """The passages of a file, of a folder with all in it, or of what a pattern matches.

    Args:
        path: the file, the folder or the pattern; in the user's folder, then among ours.
        cutting: how they are read and cut.
        project: the user's folder.
        where: the stage's key, for messages.
        faults: receives every fault found.

    Returns:
        The passages as rows of `passage`, `document`, `section` and `place`, in the order of the documents'
        names; the words for them; and what the user should know. None where there was a fault.
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
    told = f"passages of {read} document{'s' if read > 1 else ''} in {path}"
    return rows, told, list(_notes(path, found, empty))


def _find(path: str, cutting: Cutting, project: Path, where: str, faults: list[Fault]) -> Found | None:
    """The documents; a fault where there are none."""
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
            faults.append(Fault(key, what, f"name another with {where}.formats.SUFFIX=text"))
        return None
    remedy = f"looked in {project} and among the files that come with selfinstruct; set {key}=…"
    faults.append(Fault(key, f"there is no file or folder {path}", remedy))
    return None


def _matched(root: Path, path: str) -> list[Path]:
    """What a pattern matches, files only; nothing where it is no pattern."""
    if not re.search(r"[*?\[]", path):
        return []
    base, pattern = (Path(path).anchor, path.lstrip("/")) if Path(path).is_absolute() else (root, path)
    return [file for file in Path(base).glob(pattern) if not file.is_dir()]


def _below(start: Path) -> Iterator[Path]:
    """A file, or all in a folder but what is hidden; links to folders as themselves, since they may loop."""
    if not start.is_dir():
        yield start
        return
    for folder, inner, files in os.walk(start):
        inner[:] = [name for name in inner if not name.startswith(".")]
        links = [name for name in inner if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in [*files, *links] if not name.startswith("."))


def _gather(paths: Iterator[Path], folder: Path, cutting: Cutting, faults: list[Fault]) -> Found:
    """The files that are documents, sorted by their names in the folder, and what was passed over."""
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
    """A file's name in its folder, with slashes on every system."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _suffix(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _text(path: Path, cutting: Cutting, faults: list[Fault]) -> str | None:
    """The text of a file, with one sort of line break; None where a fault was added."""
    try:
        size = path.stat().st_size
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        why = getattr(error, "strerror", None) or "its links lead round in a loop"
        faults.append(Fault(str(path), f"cannot be read: {why}", "mend or remove it"))
        return None
    if size > cutting.largest_mb * 1e6:
        what = f"has {size / 1e6:,.0f} MB, more than {cutting.largest_mb:g}"
        faults.append(Fault(str(path), what, "split it, or set the stage's largest_mb higher"))
        return None
    text = textfiles.read(path, faults)
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def _notes(path: str, found: Found, empty: list[str]) -> Iterator[str]:
    """What was passed over, in sentences."""
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
