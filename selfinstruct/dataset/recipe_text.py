"""The recipe of a run as text, for the dataset's page: every setting that its records follow from.

It comes from the journal, so it is what the run was made with. It has no path of this machine: of a file it
shows the name only. The journal itself holds no secret.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

from selfinstruct.journal.store import Journal
from selfinstruct.recipe.paths import named
from selfinstruct.run_folder.shape import SHAPE

CONTENTS = " (contents)"  # the end of a key with the digest of a file
LOCATION = re.compile(r"(?:~|[A-Za-z]:)?[/\\]")  # the beginning of a path that is not in the project


def text(journal: Journal) -> str:
    """The settings as YAML, nested as in a recipe; empty if the run noted none."""
    import yaml

    paths, nested = named(), dict[str, Any]()
    for key, value in (journal.meta(SHAPE) or {}).items():
        if not key.endswith(CONTENTS):
            _put(nested, key.split("."), _name(value) if paths.fullmatch(key) else value)
    return yaml.safe_dump(nested, sort_keys=False, allow_unicode=True, width=100) if nested else ""


def fence(text: str) -> str:
    """A Markdown fence that the text does not end."""
    longest = max(map(len, re.findall("`{3,}", text)), default=2)
    return "`" * (longest + 1)


def _put(nested: dict[str, Any], parts: list[str], value: Any) -> None:
    """Set a value by the path of its key; where a part of the path has a value, the rest is one key."""
    for place, part in enumerate(parts[:-1]):
        below = nested.setdefault(part, {})
        if not isinstance(below, dict):
            nested[".".join(parts[place:])] = value
            return
        nested = below
    nested[parts[-1]] = value


def _name(value: Any) -> Any:
    """The last part of a path that leads out of the project; one in the project stays as it is."""
    if isinstance(value, list):
        return [_name(one) for one in value]
    return PurePath(value).name if isinstance(value, str) and LOCATION.match(value) else value
