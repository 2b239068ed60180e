"""Keys that were called otherwise in an earlier version, and still go by that name in this one.

What a recipe or an override says under an old name is put under the new one when the recipe is composed, with
a note (`recipe.renaming`), and a run folder of before is compared under the new names (`now`). To rename a
key, give it its new name where it is defined and add it to `RENAMED`; to end an old name, take it out there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Renamed:
    """A key that has another name now.

    Attributes:
        place: the section that it is in, with `*` for any name, such as `filters.*.*`.
        old, new: its names.
        kind: the kind of the part in that section; empty for a section that has no kinds.
        values: by a value of before, or one inside of it, what that is called now.
    """

    place: str
    old: str
    new: str
    kind: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    def value(self, found: Any) -> Any:
        """A value of before, as it is written now."""
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
        kind: the kind; empty for a section that has none.
    """
    return {one.old: one.new for one in RENAMED if (one.place.split(".")[0], one.kind) == (section, kind)}


def kind_of(part: Mapping[str, Any], name: str) -> str:
    """What a part is: what its `kind` says, or its name."""
    return str(part.get("kind") or name)


def at(path: Sequence[str], kind: str) -> Renamed | None:
    """What a key was renamed to; None where it was not.

    Args:
        path: the key with its sections; what is inside of it may follow.
        kind: of the part that it is an option of, as far as there is one.
    """
    for one in RENAMED:
        place = one.place.split(".")
        inside = len(path) > len(place) and path[len(place)] == one.old
        there = inside and all(mine in ("*", its) for mine, its in zip(place, path, strict=False))
        if there and one.kind in ("", kind):
            return one
    return None


def may_be_missing(override: str) -> bool:
    """Whether an override sets a key that the composed recipe may only have by its other name."""
    return bool(_EITHER.match(override))


def now(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a run's shape, as its journal has them, under the names that they have now."""
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
