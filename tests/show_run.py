"""One run for the tests of `show`: the paper's pipeline with replies that were written to be told apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfinstruct.cli.main import command

REPLIES = (
    " Write a poem about the old harbour at night.\n"
    "10. Write a poem about the old harbour at dawn.\n"
    "11. Draw an image of the harbour for a calendar.\n"
    "12. 猫について短い話を書いてください。\n",
    " Compare \x1b[31mred\x1b[0m apples with green ones in a small table.\n"
    "10. Name three rivers that flow into the Black Sea.\n",
)
KEYS = ("recipe=paper", "model=scripted", "model.options.replies=replies.jsonl", "target=3")


def user_with_a_run(folder: Path) -> Path:
    """Make the finished run `runs/x` in a user's folder; tests may read it, and change a copy."""
    rows = [
        {"stage": "instructions", "number": number, "reply": reply} for number, reply in enumerate(REPLIES, 1)
    ]
    (folder / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / ".cache"))
        assert command([*KEYS, "run_dir=runs/x", "model.concurrency=1"]) == 0
    return folder
