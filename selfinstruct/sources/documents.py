"""The user's own documents: find the files and cut their texts into passages.

A file that cannot be read is a fault, so that no part of the documents is left out unnoticed, unless the
recipe skips such files. A file without text, or of another kind, is passed over with a note. To add a format
that is not text, write a function like `pdf.pdf` and list it in `BINARY`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.project import textfiles
from selfinstruct.project.layout import no_path, path_below, roots
from selfinstruct.sources import archives
from selfinstruct.sources.passages import FORMATS, Cutting, Format, Passage, Reading
from selfinstruct.sources.pdf import pdf

INSTALL = "pip install 'selfinstruct[documents]'"
SHOWN = 3  # file names in one note
SCANNED = "only images of pages, no text"
RECOGNISE = "recognise the text first (OCR), for example with ocrmypdf"
# Formats that are not text: the package that one needs, and the function from a file's bytes to its passages.
BINARY: dict[Format, tuple[str, Callable[[bytes, Reading], Iterator[Passage]]]] = {
    "pdf": ("pypdf", pdf),
    "docx": ("mammoth", archives.docx),
    "pptx": ("", archives.pptx),
    "epub": ("", archives.epub),
}


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


@dataclass
class LeftOut:
    """The documents that were not read, or not wholly.

    Attributes:
        scanned: those whose pages are only images, with the number of pages.
        partly: those of which some pages have no text: how many of how many.
        empty: those without text.
        broken: those that cannot be read, with the reason.
    """

    scanned: dict[str, int] = field(default_factory=dict)
    partly: dict[str, tuple[int, int]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)

    def see(self, name: str, has_text: bool, blank: int, pages: int) -> None:
        """Note a document that was read; of its pages, so many are blank."""
        if not has_text and blank:
            self.scanned[name] = pages
        elif not has_text:
            self.empty.append(name)
        elif blank:
            self.partly[name] = (blank, pages)


def read(
    path: str,
    cutting: Cutting,
    project: Path,
    where: str,
    faults: list[Fault],
    skip: bool = False,
) -> tuple[list[dict[str, Any]], str, list[str]] | None:
    """Read the passages of a file, of all files in a folder, or of the files that a pattern matches.

    Args:
        path: the file, the folder or the pattern; looked for in the user's folder, then among ours.
        cutting: how the documents are read and cut.
        project: the user's folder.
        where: the stage's key, for messages.
        faults: receives every fault found.
        skip: whether a file that cannot be read is passed over with a note.

    Returns:
        The passages as rows of `passage`, `document`, `section` and `place`, in the order of the documents'
        names; a phrase that describes them; and notes for the user. None if there was a fault.
    """
    found = _find(path, cutting, project, where, faults)
    if found is None:
        return None
    before, rows, left_out = len(faults), list[dict[str, Any]](), LeftOut()
    for name, file in found.files.items():
        reading = Reading(file, cutting)
        made = list(_passages(reading))
        if reading.faults and skip:
            left_out.broken[name] = reading.faults[0].what
            continue
        faults += reading.faults
        rows += [
            {"passage": one.text, "document": name, "section": one.section, "place": one.place}
            for one in made
        ]
        left_out.see(name, bool(made), *reading.textless)
    if len(faults) > before:
        return None
    if not rows:
        faults.append(_nothing(path, where, left_out))
        return None
    count = len({row["document"] for row in rows})
    phrase = f"passages of {count} document{'s' if count > 1 else ''} in {path}"
    return rows, phrase, list(_notes(path, found, left_out))


def _passages(reading: Reading) -> Iterator[Passage]:
    """The passages of a file; its faults are in `reading`."""
    format = reading.cutting.formats[_suffix(reading.path)] or "text"
    if format in FORMATS:
        text = _text(reading)
        return FORMATS[format](text, reading) if text is not None else iter(())
    package, reader = BINARY[format]
    if package and not find_spec(package):
        reading.fault(f"needs the package {package} to be read", INSTALL)
        return iter(())
    data = textfiles.read_bytes(reading.path, reading.faults) if _fits(reading) else None
    return reader(data, reading) if data is not None else iter(())


def _nothing(path: str, where: str, left_out: LeftOut) -> Fault:
    what = f"there is no text in the documents of {path}"
    if left_out.scanned:
        return Fault(f"{where}.path", f"{what}: {_some(list(left_out.scanned))}: {SCANNED}", RECOGNISE)
    return Fault(f"{where}.path", what)


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


def _fits(reading: Reading) -> bool:
    """Whether a file is there and not too large; if not, a fault was added."""
    try:
        size = reading.path.stat().st_size
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        why = getattr(error, "strerror", None) or "its links form a loop"
        reading.fault(f"cannot be read: {why}", "repair or remove it")
        return False
    if size > reading.cutting.largest_mb * 1e6:
        reading.too_large(size)
        return False
    return True


def _text(reading: Reading) -> str | None:
    """The text of a file, with all line breaks as \\n; None if a fault was added."""
    text = textfiles.read(reading.path, reading.faults) if _fits(reading) else None
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def _notes(path: str, found: Found, left_out: LeftOut) -> Iterator[str]:
    """One note for each sort of file that was passed over."""
    if left_out.scanned:
        count = len(left_out.scanned)
        each = f"{count} documents" if count > 1 else "1 document"
        yield f"{path}: {_some(list(left_out.scanned))}: {each}: {SCANNED}; {RECOGNISE}"
    if left_out.empty:
        yield f"{path}: {_some(left_out.empty)}: no text in it"
    for name, (blank, pages) in left_out.partly.items():
        yield f"{path}: {name}: {blank} of {pages} pages have no text; they may be scanned"
    for name, what in left_out.broken.items():
        yield f"{path}: {name} {what}; it is passed over"
    if found.links:
        yield f"{path}: {_some(found.links)}: a link to a folder, which is not followed"
    if found.others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(found.others.items()))
        yield f"{path}: files of other kinds are passed over: {kinds}"


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
