"""Parts: files of conf/parts, each of which adds a stage or a filter with all that it needs to a recipe.

A part has the keys of a recipe: the stage's entry in `pipeline`, its prompt, its checks and its schema. It is
added by `+parts=judge` on the command line, or in a recipe by `/parts: judge` in its defaults list or by a
key `parts: [personas, judge]`. A Hydra group has only one choice in the whole recipe, but parts add up: those
of a recipe, of the one it builds on and of the command line. So `spread` makes a separate entry for each. To
add a part, write a file in conf/parts.
"""

from __future__ import annotations

import re
from typing import Any

PARTS = "parts"
FORM = f"'{PARTS}' is the name of a file of conf/{PARTS}, or a list of such names"
ENTRY = f"/{PARTS}/"  # the beginning of a part's own entry in a defaults list
_CHOICE = re.compile(rf"(?:optional\s+)?/?{PARTS}")


def faults(node: Any) -> list[str]:
    """Faults of the key `parts` of a recipe; `defaults_list` checks the defaults list."""
    named = node.get(PARTS)
    names = [named] if isinstance(named, str) else named
    fits = isinstance(names, str | None) or all(isinstance(name, str) for name in names)
    return [] if fits and not hasattr(names, "keys") else [FORM]


def spread(node: Any) -> Any:
    """The config with each part as a separate entry in the defaults list, before `override` and `_self_`.

    Args:
        node: the config of a recipe, or of a file of conf/parts; it is changed.
    """
    from omegaconf import OmegaConf

    entries = OmegaConf.to_container(node.get("defaults") or OmegaConf.create([]), resolve=False)
    if not isinstance(entries, list) or not (PARTS in node or any(map(_names, entries))):
        return node
    found = [name for entry in entries for name in _names(entry)] + _listed(node.pop(PARTS, None))
    rest = [entry for entry in entries if not _names(entry)]
    first = next((place for place, entry in enumerate(rest) if _ends(entry)), len(rest))
    rest[first:first] = [f"{ENTRY}{name}" for name in dict.fromkeys(found)]
    node["defaults"] = rest
    return node


def _names(entry: Any) -> list[str]:
    """The parts that an entry of a defaults list chooses by the group's name."""
    if not isinstance(entry, dict):
        return []
    return [name for key, value in entry.items() if _CHOICE.fullmatch(str(key)) for name in _listed(value)]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(name) for name in value or []]


def _ends(entry: Any) -> bool:
    """Whether other entries must come before this one."""
    text = next(iter(entry), "") if isinstance(entry, dict) else entry
    return text == "_self_" or str(text).startswith("override ")
