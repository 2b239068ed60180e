"""Values that requests draw: lines of a text file, such as personas, places or moods, or JSON values.

In a text file a line that begins with # is a comment. In a JSONL file each line is one JSON value, such as a
list of tools; a list in the recipe has such values too. JSON values become fields of the records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.project import textfiles
from selfinstruct.project.layout import find, no_path, roots

JSONL = ".jsonl"


@dataclass(frozen=True)
class Lines:
    """The values that a request may draw.

    Attributes:
        path: the file; None if they are in the recipe.
        texts: its lines, without the empty ones and the comments; or the values as JSON.
        values: the JSON values; None if the lines are plain text.
        places: where each of these values is, for messages.
    """

    path: Path | None
    texts: tuple[str, ...]
    values: tuple[Any, ...] | None = None
    places: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether the drawn value becomes a field of the records."""
        return self.values is not None

    @property
    def drawable(self) -> Sequence[Any]:
        """What a request draws from."""
        return self.texts if self.values is None else self.values

    @property
    def told(self) -> str:
        """What they are, in words."""
        if self.path is None:
            return f"{len(self.texts)} values"
        return f"{len(self.texts)} lines, {self.path}"


def load_lines(given: str | list[Any], where: str, project: Path, faults: list[Fault]) -> Lines | None:
    """Read a file of lines, or take the values that the recipe lists.

    Args:
        given: the file, as the recipe names it, or the values.
        where: the config key, for messages.
        project: the user's folder.
        faults: receives every fault found.

    Returns:
        The lines; None if there was a fault.
    """
    if isinstance(given, list):
        return _listed(given, where, faults)
    path = find(given, project)
    if path is None:
        faults.append(Fault(where, f"there is no file {given[:200]}", _nearest(given, project)))
        return None
    text = textfiles.read(path, faults)
    if text is None:
        return None
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    if path.suffix == JSONL:
        return _parsed(path, [(number, line) for number, line in lines if line], faults)
    texts = tuple(line for _, line in lines if line and not line.startswith("#"))
    if not texts:
        faults.append(Fault(str(path), "has no line to draw", "write one text per line; # begins a comment"))
        return None
    return Lines(path, texts)


def _listed(values: list[Any], where: str, faults: list[Fault]) -> Lines | None:
    """The values of a list in the recipe."""
    if not values:
        faults.append(Fault(where, "has no value to draw", "list at least one, or name a file"))
        return None
    texts = tuple(json.dumps(value, sort_keys=True, default=str) for value in values)
    return Lines(None, texts, tuple(values), tuple(f"{where}.{place}" for place in range(len(values))))


def _parsed(path: Path, lines: Sequence[tuple[int, str]], faults: list[Fault]) -> Lines | None:
    """The values of a JSONL file."""
    values, before = [], len(faults)
    for number, line in lines:
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            what = f"is not valid JSON: {error}"
            faults.append(Fault(f"{path} line {number}", what, "write one JSON value per line"))
    if not lines:
        faults.append(Fault(str(path), "has no line to draw", "write one JSON value per line"))
    if len(faults) > before:
        return None
    places = tuple(f"{path} line {number}" for number, _ in lines)
    return Lines(path, tuple(line for _, line in lines), tuple(values), places)


def values_with_places(lines: Lines) -> Iterator[tuple[Any, str]]:
    """Each JSON value with its place."""
    yield from zip(lines.values or (), lines.places, strict=True)


def _nearest(name: str, project: Path) -> str:
    """Suggest a file with a similar name, or say where the file was looked for."""
    if wrong := no_path(name):
        return f"it {wrong}"
    folder = Path(name).parent
    endings = ("*.txt", f"*{JSONL}")
    files = [file for root in roots(project) for ending in endings for file in (root / folder).glob(ending)]
    near = get_close_matches(name, [str(folder / file.name) for file in files], n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"looked in {project} and among the files that come with selfinstruct"
