"""The texts of evaluation files, with which training data may not overlap; each with its file and line.

The files have any format that a seed file may have (`seed_files`). No row is skipped unnoticed: a file that
cannot be read, or that has no text, is a fault.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault, unknown
from selfinstruct.project.layout import no_path, path_below, roots
from selfinstruct.sources.seed_files import KINDS, Form, read_file
from selfinstruct.sources.seed_table import TEXT_LINES, Table

SUFFIXES = (".jsonl", ".ndjson", ".jsonlines", ".json", ".csv", ".tsv", ".tab", ".parquet", ".arrow", ".txt")
_OF_DATASETS = ("dataset_info.json", "dataset_dict.json", "state.json")  # about a saved folder, no rows


@dataclass(frozen=True, slots=True)
class EvaluationText:
    """A text of an evaluation file.

    Attributes:
        text: the text.
        file: its file, as a recipe would name it.
        unit: the word for its row: line, item or row.
        number: the number of its row.
    """

    text: str
    file: str
    unit: str
    number: int

    @property
    def place(self) -> str:
        """Its file and row, in words."""
        return f"{self.file} {self.unit} {self.number}"


@dataclass
class Found:
    """The evaluation files that a recipe names.

    Attributes:
        files: the files, by the name that messages use.
        others: how many files of each other kind are passed over in a folder.
    """

    files: dict[str, Path] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)


@dataclass
class _Read:
    """What was read so far: the texts, by their words, and the names of all columns."""

    texts: dict[str, EvaluationText] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)


def find(names: Sequence[str], project: Path, where: str, faults: list[Fault]) -> Found:
    """The evaluation files.

    Args:
        names: files, folders (all their data files, also in subfolders) and patterns, as the recipe has them;
            looked for in the user's folder, then among ours.
        project: the user's folder.
        where: the config key, for messages.
        faults: receives a fault for each name without a file.
    """
    found = Found()
    for name in names:
        wrong = no_path(name)
        try:
            files = None if wrong else _below(name, project, found.others)
        except (ValueError, NotImplementedError) as error:
            wrong = f"is not a pattern of files: {error}"
        if wrong:
            faults.append(Fault(where, f"{name[:40]!r} {wrong}", "name a file"))
        elif files is None:
            remedy = f"looked in {project} and among the files that come with selfinstruct"
            faults.append(Fault(where, f"there is no file {name}", remedy))
        elif not files:
            what = f"{name} is a folder without an evaluation file"
            faults.append(Fault(where, what, f"evaluation files are {KINDS}"))
        else:
            alone = files == [path_below(project, name)]
            found.files |= {name if alone else _named(file, project): file for file in files}
    return found


def read(
    files: dict[str, Path], columns: Sequence[str] | None, where: str, faults: list[Fault]
) -> list[EvaluationText] | None:
    """Read the texts of evaluation files; a text that occurs again is left out.

    Args:
        files: the files, by name.
        columns: the keys or columns to read, at any depth; None for all that have text.
        where: the filter's config key, for messages.
        faults: receives every fault found.

    Returns:
        The texts, in order; None if there was a fault.
    """
    found, read, lost = list[Fault](), _Read(), list[Path]()
    for name, path in files.items():
        table = Table(path, noun="evaluation texts", smaller="split it into several files")
        read_file(table, Form(frozenset(), _is_row))
        found += table.faults
        if not table.faults and not _take(table, name, columns, read):
            lost.append(path)
    missing = [column for column in columns or () if read.columns and column not in read.columns]
    found += [Fault(f"{where}.columns", *unknown("column", name, read.columns)) for name in missing]
    of = f" under {' or '.join(columns)}" if columns else ""
    for path in lost if not missing else ():
        found.append(Fault(str(path), f"has no text{of} to compare with", "leave it out"))
    faults.extend(fault for fault in found if fault not in faults)  # another stage may read the same files
    return None if found else list(read.texts.values())


def _below(name: str, project: Path, others: Counter[str]) -> list[Path] | None:
    """The files that a name means; None if there is no such file, folder or match.

    Raises:
        ValueError: if the name is not a valid pattern; NotImplementedError for some of them.
    """
    for root in roots(project):
        start = path_below(root, name)
        if start.is_file():
            return [start]
        if start.is_dir():
            return sorted(_data_files(start, others))
        if re.search(r"[*?\[]", name):
            base, pattern = (
                (Path(start.anchor), name.lstrip("/")) if Path(name).is_absolute() else (root, name)
            )
            if files := sorted(file for file in base.glob(pattern) if file.is_file()):
                return files
    return None


def _data_files(start: Path, others: Counter[str]) -> Iterator[Path]:
    """The data files in a folder; hidden ones are left out, the rest is counted.

    Links to folders are counted too, not followed, since they may form a loop.
    """
    for folder, inner, files in os.walk(start):
        inner[:] = [name for name in inner if not name.startswith(".")]
        others["link to a folder"] += sum(Path(folder, name).is_symlink() for name in inner)
        for name in files:
            plain = Path(name.lower().removesuffix(".gz"))
            if plain.suffix in SUFFIXES and name not in _OF_DATASETS and not name.startswith("."):
                yield Path(folder, name)
            elif name not in _OF_DATASETS and not name.startswith("."):
                others[Path(name).suffix or "no suffix"] += 1


def _named(file: Path, project: Path) -> str:
    return file.relative_to(project).as_posix() if project in file.parents else str(file)


def _is_row(data: Any) -> bool:
    """Whether a JSON object is one row: it has a sentence of its own, or no single list of rows."""
    lists = [value for value in data.values() if _is_rows(value)]
    return len(lists) != 1 or any(isinstance(value, str) and " " in value for value in data.values())


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _take(table: Table, name: str, columns: Sequence[str] | None, read: _Read) -> bool:
    """Take the texts of a table; returns whether it has any."""
    wanted = None if columns is None or table.format == TEXT_LINES else frozenset(columns)
    some = False
    for row in table.rows:
        for text in _texts(row.data, wanted, read.columns):
            some = True
            if text not in read.texts:
                read.texts[text] = EvaluationText(text, name, table.unit, row.number)
    return some


def _texts(data: Any, wanted: frozenset[str] | None, columns: dict[str, None]) -> Iterator[str]:
    """The texts in a row, at any depth, in order: those below a wanted key, or all of them."""
    waiting = [(data, wanted is None)]  # not recursive, since a row may be nested deeply
    while waiting:
        value, inside = waiting.pop()
        if isinstance(value, str) and inside and value.strip():
            yield value
        elif isinstance(value, dict):
            columns.update(dict.fromkeys(value))
            inner = [(one, inside or key in (wanted or ())) for key, one in value.items()]
            waiting += reversed(inner)
        elif isinstance(value, list):
            waiting += [(one, inside) for one in reversed(value)]
