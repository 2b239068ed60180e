"""A tree of topics that the user gives: nested YAML, an indented text file, or a mapping in the recipe.

In YAML, a topic is a key and its subtopics are below it, as keys or as a list; a number after a topic is its
weight. In a text file, each line is a topic, and its subtopics are the lines below it that are indented more.
A line that begins with # is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.project import textfiles
from selfinstruct.project.layout import find, no_path

BETWEEN = " > "  # between a topic and its subtopic, in a path
YAML = (".yaml", ".yml")
FORM = "write each topic as text, and its subtopics below it as keys or as a list"
_BULLET = re.compile(r"^([-*•]|\d{1,4}[.)])\s+")
_BREAK = re.compile(r"[\r\n]")


class _Wrong(Exception):
    """The first thing in a tree that is not a topic, in words."""


@dataclass(frozen=True)
class Given:
    """A topic of a tree that has no subtopics in it.

    Attributes:
        path: the topics from the top of the tree to this one.
        weight: how many records it wants, compared with the others.
    """

    path: tuple[str, ...]
    weight: float = 1.0

    @property
    def row(self) -> dict[str, Any]:
        """Its fields."""
        path = BETWEEN.join(self.path)
        level = len(self.path)
        return {"topic": self.path[-1], "branch": self.path[0], "path": path, "level": level,
                "weight": self.weight}  # fmt: skip


def from_file(name: str, project: Path, where: str, faults: list[Fault]) -> list[Given] | None:
    """The topics without subtopics of a file.

    Args:
        name: the file, as the recipe names it.
        project: the user's folder.
        where: the config key, for messages.
        faults: receives every fault found.
    """
    path = find(name, project)
    if path is None or not path.is_file():
        what = "is a folder, not a file" if path else f"there is no file {name[:200]}"
        wrong = no_path(name)
        remedy = f"it {wrong}" if wrong else "name a YAML or text file of topics, in your folder"
        faults.append(Fault(where, what, remedy))
        return None
    is_yaml = path.suffix.lower() in YAML
    text = textfiles.read_yaml(path, faults) if is_yaml else textfiles.read(path, faults)
    if text is None:
        return None
    if not is_yaml:
        return _checked(_of_lines(text), str(path), faults)
    broken = textfiles.yaml_faults(text)
    faults += [Fault(str(path), one) for one in broken]
    if broken:
        return None
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return from_tree(yaml.load(text, loader), str(path), faults)


def from_tree(tree: Any, where: str, faults: list[Fault]) -> list[Given] | None:
    """The topics without subtopics of a tree of mappings and lists; see `from_file`."""
    return _checked(_of_tree(tree, ()), where, faults)


def _checked(topics: Iterator[Given], where: str, faults: list[Fault]) -> list[Given] | None:
    """The topics, if there are some and no two are the same."""
    try:
        found = list(topics)
    except _Wrong as error:
        faults.append(Fault(where, str(error), FORM))
        return None
    above = {BETWEEN.join(one.path[:n]).casefold() for one in found for n in range(1, len(one.path))}
    seen, twice = above, []
    for path in (BETWEEN.join(one.path) for one in found):
        if path.casefold() in seen:
            twice.append(path)
        seen.add(path.casefold())
    faults += [Fault(where, f"has the topic {path!r} twice", "remove one of them") for path in twice[:5]]
    if not found:
        faults.append(Fault(where, "has no topic", FORM))
    return found if found and not twice else None


def _of_tree(tree: Any, above: tuple[str, ...], weight: float = 1.0) -> Iterator[Given]:
    """The topics without subtopics below a topic."""
    if tree is None and above:
        yield Given(above, weight)
    elif isinstance(tree, Mapping):
        for topic, inner in tree.items():
            path = (*above, _named(topic, above))
            if isinstance(inner, int | float) and not isinstance(inner, bool):
                yield _weighted(path, inner)
            else:
                yield from _of_tree(inner if inner != [] else None, path)
    elif isinstance(tree, Sequence) and not isinstance(tree, str | bytes):
        for item in tree:
            single = not isinstance(item, Mapping)
            yield from _of_tree(None, (*above, _named(item, above))) if single else _of_tree(item, above)
    elif isinstance(tree, str):
        yield Given((*above, _named(tree, above)))
    elif tree is not None:
        raise _Wrong(f"{_place(above)}: {tree!r} is not a topic")


def _weighted(path: tuple[str, ...], weight: float) -> Given:
    if not 0 < weight <= 1_000_000:
        raise _Wrong(f"{_place(path)}: its weight is {weight:g}; a weight is more than 0, at most 1,000,000")
    return Given(path, float(weight))


def _named(topic: Any, above: tuple[str, ...]) -> str:
    """The text of a topic."""
    if isinstance(topic, int) and not isinstance(topic, bool):  # a year, for example
        topic = str(topic)
    if not isinstance(topic, str):
        raise _Wrong(f"{_place(above)}: {topic!r} is not a topic")
    text = topic.strip()
    if not text or _BREAK.search(text):
        raise _Wrong(f"{_place(above)}: a topic is empty or has several lines")
    if BETWEEN.strip() in text.split():
        raise _Wrong(f"{_place(above)}: {text!r} has '>' in it, which separates topics in a path")
    return text


def _place(above: tuple[str, ...]) -> str:
    return f"below {BETWEEN.join(above)!r}" if above else "at the top"


def _of_lines(text: str) -> Iterator[Given]:
    """The topics without subtopics of an indented text."""
    above: list[tuple[int, str]] = []  # the indentation and the topic of each line above that is open
    fresh = False  # whether the last line has no subtopic yet
    for number, line in enumerate(text.split("\n"), 1):
        stripped = _BULLET.sub("", line.strip())
        if not stripped or stripped.startswith("#"):
            continue
        tabs = line.expandtabs(4)
        indent = len(tabs) - len(tabs.lstrip())
        if fresh and (not above or indent <= above[-1][0]):
            yield Given(tuple(topic for _, topic in above))
        while above and above[-1][0] > indent:
            last = above.pop()[0]
            if above and above[-1][0] < indent < last:
                what = "is indented less than the line above and more than the topic above that"
                raise _Wrong(f"line {number}: {what}; indent the subtopics of a topic equally")
            if not above and indent:
                raise _Wrong(f"line {number}: is indented less than the first topic, but not to the start")
        if above and above[-1][0] == indent:
            above.pop()
        above.append((indent, _named(stripped, tuple(topic for _, topic in above))))
        fresh = True
    if fresh:
        yield Given(tuple(topic for _, topic in above))
