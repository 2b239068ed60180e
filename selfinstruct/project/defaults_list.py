"""Checks the defaults list of a recipe or a file of conf/: it may only name recipes and files of conf/.

Hydra also accepts paths and interpolations there. A path could load any YAML file of the machine, which the
checks in `layout` have not read, and an empty name fails in an assertion of Hydra.
"""

from __future__ import annotations

import re
from typing import Any

from selfinstruct.project.textfiles import NO_TEXT

FORM = "'defaults' is a list of names and of 'override /GROUP: NAME'"
_REMEDY = "name a recipe, or write 'override /GROUP: NAME' with the NAME of a file of conf/GROUP"
_HYDRA = re.compile(r"(^|[\s/@.:])hydra($|[/@.:])")
_WORDS = re.compile(r"(?:(?:override|optional)\s+)*")


def faults(defaults: Any) -> list[str]:
    """A sentence for each fault of a defaults list.

    Args:
        defaults: the value of that key in the file, as plain lists and dicts.
    """
    if not isinstance(defaults, list) or not all(map(_is_entry, defaults)):
        return [FORM]
    entries = [str(key) for entry in defaults for key in (entry if isinstance(entry, dict) else [entry])]
    found = [
        f"the defaults list names {entry!r}: Hydra's own settings belong on the command line"
        for entry in entries
        if _HYDRA.search(entry)
    ]
    return found + [
        f"the defaults list has the entry {entry!r}: {wrong}; {_REMEDY}"
        for entry in defaults
        if (wrong := _wrong(entry))
    ]


def _is_entry(entry: Any) -> bool:
    """Whether Hydra can read an entry."""
    if isinstance(entry, dict) and len(entry) == 1:
        ((key, names),) = entry.items()
        texts = names if isinstance(names, list) else [] if names is None else [names]
        return isinstance(key, str) and all(isinstance(name, str) for name in texts)
    return isinstance(entry, str)


def _wrong(entry: Any) -> str:
    """Why an entry cannot be a name; empty if it can."""
    if isinstance(entry, str):
        return _unfit(entry.removeprefix("/"))
    ((key, names),) = entry.items()
    group = _WORDS.sub("", key, count=1).removeprefix("/")
    texts = names if isinstance(names, list) else [] if names is None else [names]
    return next((wrong for name in (group, *texts) if (wrong := _unfit(name))), "")


def _unfit(name: str) -> str:
    """Why a text cannot name a recipe, a group or a file in a group; empty if it can."""
    path, _, package = name.partition("@")
    if not path.strip():
        return "it names nothing"
    if "${" in name:
        return "a name cannot be a ${key}"
    if NO_TEXT.search(name):
        return "a name cannot have control characters"
    if any(part.strip() in ("", ".", "..") for part in path.split("/")) or "\\" in name:
        return "a name cannot be a path"
    if "@" in package:
        return "it has more than one @"
    return ""
