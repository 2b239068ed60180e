"""Keys that had another name in an earlier version; the old names still work in this one.

When a recipe is composed, values under an old name move to the new one, with a note (`recipe.renaming`); a
run folder of an earlier version is compared under the new names (`now`). To rename a key, give it its new
name where it is defined and add it to `RENAMED`; to drop an old name, remove it there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Renamed:
    """A key that has a new name.

    Attributes:
        place: the section with the key, with `*` for any name, such as `filters.*.*`.
        old, new: its two names.
        kind: the kind of the part in that section; empty if the section has no kinds.
        values: the new names of old values, or of parts of them.
    """

    place: str
    old: str
    new: str
    kind: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    def value(self, found: Any) -> Any:
        """The new form of an old value."""
        if isinstance(found, Mapping):
            return {key: self.value(inner) for key, inner in found.items()}
        return self.values.get(found, found) if isinstance(found, str) else found


RENAMED = (
    Renamed("seeds", "each", "instances_key"),
    Renamed("mix", "machine", "generated"),
    Renamed("pipeline.*", "sets", "variant_field", "expand"),
    Renamed("filters.*.*", "least", "minimum", "below"),
    Renamed("filters.*.*", "talk", "self_references", "refusal"),
    Renamed("filters.*.*", "of", "sources", "within_passage"),
    Renamed("filters.*.*", "letters", "prefix_length", "within_passage"),
    Renamed(
        "filters.*.*",
        "of",
        "sources",
        "echo",
        {"letters": "ignore_case_and_punctuation", "spacing": "ignore_spacing"},
    ),
)


def options(section: str, kind: str = "") -> dict[str, str]:
    """The old names of the keys of a section, or of a kind's options, each with the new one.

    Args:
        section: the first part of the place, such as `filters`.
        kind: the kind; empty if the section has none.
    """
    return {one.old: one.new for one in RENAMED if (one.place.split(".")[0], one.kind) == (section, kind)}


def kind_of(part: Mapping[str, Any], name: str) -> str:
    """The kind of a part: the value of its `kind`, or its name."""
    return str(part.get("kind") or name)


def at(path: Sequence[str], kind: str) -> Renamed | None:
    """The new name of a key; None if it was not renamed.

    Args:
        path: the key with its sections; keys inside it may follow.
        kind: the kind of the part that has it as an option, if there is one.
    """
    for one in RENAMED:
        place = one.place.split(".")
        inside = len(path) > len(place) and path[len(place)] == one.old
        there = inside and all(mine in ("*", its) for mine, its in zip(place, path, strict=False))
        if there and one.kind in ("", kind):
            return one
    return None


def may_be_missing(override: str) -> bool:
    """Whether an override sets a key that the composed recipe may only have under its other name."""
    return bool(_EITHER.match(override))


def now(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a run's shape, as stored in its journal, under their new names."""
    found = {}
    for key, value in shape.items():
        path = key.split(".")
        depth = {"pipeline": 2, "filters": 3}.get(path[0], 0)
        kind = str(shape.get(".".join([*path[:depth], "kind"])) or path[min(depth, len(path)) - 1])
        one = at(path, kind)
        if one:
            place = len(one.place.split("."))
            key = ".".join([*path[:place], one.new, *path[place + 1 :]])
        found[key] = one.value(value) if one else value
    return found


def _pattern(one: Renamed) -> str:
    return one.place.replace(".", r"\.").replace("*", r"[\w-]+") + rf"\.(?:{one.old}|{one.new})"


_EITHER = re.compile(rf"(?:{'|'.join(dict.fromkeys(map(_pattern, RENAMED)))})(?:\.[\w-]+)*=")
