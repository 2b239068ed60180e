"""What the kinds `files` and `hosted` share: they tune outside of this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfinstruct.train.kinds import Prepared

TRAIN = "train.jsonl"


def write_examples(prepared: Prepared) -> None:
    """Write the examples, with their ids, to `train.jsonl`."""
    put(prepared.folder / TRAIN, "".join(prepared.examples.lines()))


def put_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a value as JSON; see `put`."""
    put(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def put(path: Path, text: str) -> None:
    """Write a file and put it in place whole, so that a kill leaves the old one or the new one."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", errors="backslashreplace")
    part.replace(path)


def set_aside(folder: Path) -> Path:
    """Move a folder away to the first free name beside it, and return that."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.before-{number}")).exists():
        number += 1
    shutil.move(folder, aside)
    return aside


def short(path: Path, project: Path) -> str:
    """A path as the user would type it."""
    return str(path.relative_to(project) if path.is_relative_to(project) else path)
