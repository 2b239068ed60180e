"""Finds things that YAML allows and a recipe does not, with their lines: tags, keys that are not text, loops.

Without this check, the libraries that read the file would fail with a message about themselves, or with a
traceback. The limits on nesting and on numbers are in `yaml_limits`, which is checked first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = ("!", *(f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null")))


def event_faults(text: str, loader: Any) -> list[str]:
    """The faults that the parser's events show; reading events needs no deep recursion.

    Args:
        text: the YAML.
        loader: the class of PyYAML that reads it.
    """
    import yaml

    for event in yaml.parse(text, Loader=loader):
        tag = getattr(event, "tag", None)
        if tag and tag not in _PLAIN_TAGS:
            written = tag.replace(_TAG, "!!")
            return [f"line {_line(event)}: has the tag {written!r}, which a recipe cannot have; remove it"]
    return []


def node_faults(node: Any) -> list[str]:
    """The faults that the nodes of a text show."""
    return list(_walk(node, [], set()))


def _walk(node: Any, above: list[int], seen: set[int]) -> Iterator[str]:
    import yaml

    if id(node) in above:
        yield f"line {_line(node)}: an alias (*NAME) in it refers back to it; write the value out"
    if id(node) in seen:
        return
    seen.add(id(node))
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        yield from _key(key)
        yield from _walk(value, [*above, id(node)], seen)
    for inner in node.value if isinstance(node, yaml.SequenceNode) else ():
        yield from _walk(inner, [*above, id(node)], seen)


def _key(key: Any) -> Iterator[str]:
    import yaml

    if not isinstance(key, yaml.ScalarNode):
        yield f"line {_line(key)}: has a list or mapping as a key; put it in quotes if it is text"
    elif key.tag == f"{_TAG}null":
        yield f"line {_line(key)}: has the key {key.value!r}, which YAML reads as null; put it in quotes"


def _line(thing: Any) -> int:
    return int(thing.start_mark.line) + 1
