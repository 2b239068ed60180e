"""What a turn of a conversation costs in CPU: reading, judging and storing it; run by hand.

    python tests/bench/conversations.py               # half a minute
    python tests/bench/conversations.py --rounds 5

Conversations of 8 turns (16 messages) from a file of first messages, by a scripted model. A figure is the
CPU of a long run less that of a short one, divided by the turns between them, so that starting and ending do
not count. The script and the prompts are part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

TURNS, FEW, MANY = 8, 20, 420
MARK = 1.0  # ms a turn
RECIPE = """\
# Conversations from a file of first messages.
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: none
model: {mode: chat, concurrency: 64, options: {replies: replies.jsonl}}
mix: {examples: 0, generated: 0}
report: false
pipeline:
  asks: {kind: records, path: asks.jsonl}
  talks: {kind: converse, first: instruction, turns: 8, least: 8, window: 64}
prompts:
  talks:
    variants:
      user:
        style: chat
        template: "{% for one in messages %}{{ one.role }}: {{ one.content }}\\n{% endfor %}The next message:"
        parse: {kind: text, field: content}
      assistant:
        style: chat
        messages: [{role: system, content: "Answer in one sentence."}, {turns: same}]
        parse: {kind: text, field: content}
filters:
  talks:
    empty: {field: "messages[*].content"}
    repetition: {field: "messages[assistant].content"}
schema: {asks: {type: object}, talks: {type: object}}
"""


def cpu(folder: Path, conversations: int) -> float:
    """Seconds of CPU of a run of so many conversations, in a process of its own."""
    words = ["recipe=talking", f"target={conversations}", f"run_dir=run-{conversations}", "cache=off"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "selfinstruct", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log.txt").open("w"),
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "log.txt").read_text())
    made = sum(1 for _ in (folder / f"run-{conversations}/talks.jsonl").open())
    if made != conversations:
        sys.exit(f"{made} of {conversations} conversations were made")
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "recipes").mkdir()
            (folder / "recipes/talking.yaml").write_text(RECIPE)
            rows = ({"instruction": f"How many days are there in {number} weeks?"} for number in range(MANY))
            (folder / "asks.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
            reply = {
                "match": ".",
                "reply": "There are {{ number(2, 999) }} days in all of these weeks together.",
            }
            (folder / "replies.jsonl").write_text(json.dumps(reply))
            seconds = cpu(folder, MANY) - cpu(folder, FEW)
        found.append(seconds / ((MANY - FEW) * TURNS) * 1e3)
    print(
        f"{median(found):.2f} ms of CPU a turn (two messages; mark {MARK:g}), of",
        *(f"{one:.2f}" for one in found),
    )


if __name__ == "__main__":
    main()
