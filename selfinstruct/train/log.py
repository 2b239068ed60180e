"""`training.json`: what a training is, and how far it has come; always a whole file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selfinstruct.run_folder.folder import write_json

FILE = "training.json"
RUNNING, STOPPED, FINISHED = "running", "stopped", "finished"


def read(folder: Path) -> dict[str, Any]:
    """The contents of `training.json` in a folder; empty if there is none, or if it cannot be read."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write `training.json`; readers see the old file or the new one."""
    write_json(folder / FILE, facts)
