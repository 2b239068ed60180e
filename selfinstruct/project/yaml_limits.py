"""How large a YAML file may be, once its aliases are put in; found on its events, before anything is built.

A file of a kilobyte can stand for a billion values, since an alias may name what itself has aliases (also
those of merge keys, `<<`). The library that reads recipes builds and copies every one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BYTES = 500_000  # of a file
VALUES = 10_000  # keys, values and items, aliases put in
CHARACTERS = 2_000_000  # of all of them, aliases put in
DEEP = 30  # mappings and lists in one another
DIGITS = 40  # of a number
LINKS = 1_000  # ${key} in a file
WORKED_OUT = 2_000  # characters of a value that has ${name:…}, which is slow to parse

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


@dataclass
class _Size:
    """What a value comes to.

    Attributes:
        values: how many values it stands for.
        characters: how many characters they have.
        depth: how deep they are nested.
        anchor: the name that an alias has for it.
    """

    values: int = 1
    characters: int = 0
    depth: int = 0
    anchor: str | None = None

    def add(self, inner: _Size) -> None:
        """Put a value into this one."""
        self.values += inner.values
        self.characters += inner.characters
        self.depth = max(self.depth, inner.depth + 1)


def excess(text: str, loader: Any) -> str | None:
    """What of a YAML text goes beyond the limits, with its line; None where nothing does.

    Args:
        text: the file.
        loader: PyYAML's class that reads it.

    Raises:
        yaml.YAMLError: where it is not YAML.
    """
    if len(text) > BYTES:
        return f"has {len(text):,} characters; a file has {BYTES:,} at most; take out what is not needed"
    if text.count("${") > LINKS:
        return f"has more than {LINKS:,} times ${{key}}; write out what they stand for"
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
                many = f"a number of {len(event.value):,} characters; numbers have {DIGITS} at most"
                yield f"{line}: has {many}; for a text, put it in quotes"
            if len(event.value) > WORKED_OUT and re.search(r"\$\{[^}]*:", event.value):
                what = f"has ${{name:…}} in a value of more than {WORKED_OUT:,} characters"
                yield f"{line}: {what}; write out what it stands for"
            size = _Size(characters=len(event.value), anchor=event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == one.anchor for one in opened):
                yield f"{line}: the alias *{event.anchor} stands for what it is part of; write its values out"
            size = anchors.get(str(event.anchor), _Size())
        else:
            continue
        if size.anchor:
            anchors[size.anchor] = size
        opened[-1].add(size)
        if opened[-1].values > VALUES or opened[-1].characters > CHARACTERS:
            what = f"has more than {VALUES:,} values, or {CHARACTERS:,} characters, with its aliases put in"
            yield f"{line}: {what}; use fewer aliases (*name), and put long lists into a file of their own"
        if opened[-1].depth + len(opened) > DEEP + 2:
            yield f"{line}: is nested more than {DEEP} deep, with its aliases put in; use fewer levels"


def _is_number(event: Any, resolver: Any) -> bool:
    """Whether YAML takes a plain value for a number."""
    import yaml

    if event.tag not in (None, "!"):
        return event.tag in _NUMBERS
    return (
        bool(event.implicit[0]) and resolver.resolve(yaml.ScalarNode, event.value, (True, False)) in _NUMBERS
    )
