"""Files of lines, such as personas, places or moods: each request draws one line for its prompt.

A line that begins with # is a comment.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from selfinstruct.errors import Fault
from selfinstruct.project import textfiles
from selfinstruct.project.layout import find, no_path, roots


@dataclass(frozen=True)
class Lines:
    """The content of a file of lines.

    Attributes:
        path: the file.
        texts: its lines, without the empty ones and the comments.
    """

    path: Path
    texts: tuple[str, ...]


def load_lines(name: str, where: str, project: Path, faults: list[Fault]) -> Lines | None:
    """Read a file of lines.

    Args:
        name: the file, as the recipe names it.
        where: the config key, for messages.
        project: the user's folder.
        faults: receives every fault found.

    Returns:
        The lines; None if there was a fault.
    """
    path = find(name, project)
    if path is None:
        faults.append(Fault(where, f"there is no file {name[:200]}", _nearest(name, project)))
        return None
    text = textfiles.read(path, faults)
    if text is None:
        return None
    lines = [line.strip() for line in text.split("\n")]
    texts = tuple(line for line in lines if line and not line.startswith("#"))
    if not texts:
        faults.append(Fault(str(path), "has no line to draw", "write one text per line; # begins a comment"))
        return None
    return Lines(path, texts)


def _nearest(name: str, project: Path) -> str:
    """Suggest a file with a similar name, or say where the file was looked for."""
    if wrong := no_path(name):
        return f"it {wrong}"
    folder = Path(name).parent
    known = [str(folder / file.name) for root in roots(project) for file in (root / folder).glob("*.txt")]
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"looked in {project} and among the files that come with selfinstruct"
