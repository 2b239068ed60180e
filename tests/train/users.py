"""A run of twelve instances, made by a script, for the tests of `finetune`."""

from __future__ import annotations

from pathlib import Path

from conftest import seed_file

from selfinstruct.api import execute
from selfinstruct.monitor.progress import Progress
from selfinstruct.recipe.compose import compose


def user_with_a_run(project: Path) -> Path:
    """Make the finished run `x` in a user's folder; tests may read it, and change a copy."""
    seed_file(project / "mine.jsonl")
    keys = ["recipe=paper", "model=scripted", "seeds.path=mine.jsonl", "target=6", "export=none", "cache=off"]
    composed = compose(keys, project)
    execute(composed.recipe(), project / "x", Progress(quiet=True), composed.saved)
    return project / "x"
