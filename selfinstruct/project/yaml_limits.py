"""Limits the size of a YAML file after its aliases are replaced; checked before any value is built.

A file of a kilobyte can expand to a billion values, since an alias can refer to a value that has aliases
itself (also through merge keys, `<<`). The library that reads recipes would build and copy every one of them.
The check reads only the parser's events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# The most of each in a file:
BYTES = 500_000
VALUES = 10_000  # keys, values and items, with aliases replaced
CHARACTERS = 2_000_000  # in all values, with aliases replaced
DEEP = 30  # levels of mappings and lists inside each other
DIGITS = 40  # in a number
LINKS = 1_000  # uses of ${key}
WORKED_OUT = 2_000  # characters in a value with ${name:…}, which is slow to parse

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


@dataclass
class _Size:
    """The size of a value with its aliases replaced.

    Attributes:
        values: how many values it has.
        characters: how many characters they have.
        depth: how deep they are nested.
        anchor: the name by which an alias refers to it.
    """

    values: int = 1
    characters: int = 0
    depth: int = 0
    anchor: str | None = None

    def add(self, inner: _Size) -> None:
        """Add the size of a value inside this one."""
        self.values += inner.values
        self.characters += inner.characters
        self.depth = max(self.depth, inner.depth + 1)


def excess(text: str, loader: Any) -> str | None:
    """The first thing in a YAML text that exceeds a limit, with its line; None if nothing does.

    Args:
        text: the text of the file.
        loader: the class of PyYAML that reads it.

    Raises:
        yaml.YAMLError: if it is not valid YAML.
    """
    if len(text) > BYTES:
        return f"has {len(text):,} characters; a file may have {BYTES:,} at most; remove what is not needed"
    if text.count("${") > LINKS:
        return f"uses ${{key}} more than {LINKS:,} times; write out the values"
    return next(_excesses(loader(text)), None)


def _excesses(events: Any) -> Iterator[str]:
    import yaml

    opened = [_Size()]
    anchors: dict[str, _Size] = {}
    while events.check_event():
        event = events.get_event()
        line = f"line {event.start_mark.line + 1}"
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(_Size(anchor=event.anchor))
            if len(opened) > DEEP + 1:
                yield f"{line}: is nested more than {DEEP} deep; put it into fewer levels"
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            size = opened.pop()
        elif isinstance(event, yaml.ScalarEvent):
            if _is_number(event, events) and len(event.value) > DIGITS:
                many = f"a number of {len(event.value):,} characters; numbers may have {DIGITS} at most"
                yield f"{line}: has {many}; if it is a text, put it in quotes"
            if len(event.value) > WORKED_OUT and re.search(r"\$\{[^}]*:", event.value):
                what = f"has ${{name:…}} in a value of more than {WORKED_OUT:,} characters"
                yield f"{line}: {what}; write out its value"
            size = _Size(characters=len(event.value), anchor=event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == one.anchor for one in opened):
                yield f"{line}: the alias *{event.anchor} is inside the value it refers to; write it out"
            size = anchors.get(str(event.anchor), _Size())
        else:
            continue
        if size.anchor:
            anchors[size.anchor] = size
        opened[-1].add(size)
        if opened[-1].values > VALUES or opened[-1].characters > CHARACTERS:
            what = f"has more than {VALUES:,} values, or {CHARACTERS:,} characters, with its aliases replaced"
            yield f"{line}: {what}; use fewer aliases (*name), and put long lists into separate files"
        if opened[-1].depth + len(opened) > DEEP + 2:
            yield f"{line}: is nested more than {DEEP} deep, with its aliases replaced; use fewer levels"


def _is_number(event: Any, resolver: Any) -> bool:
    """Whether YAML reads a value as a number."""
    import yaml

    if event.tag not in (None, "!"):
        return event.tag in _NUMBERS
    return (
        bool(event.implicit[0]) and resolver.resolve(yaml.ScalarNode, event.value, (True, False)) in _NUMBERS
    )
