"""What batches take: time of the processor for each request, and the most memory, by the size of the run.

    python tests/bench/batches.py                        # 5,000 and 20,000 requests, in batches of 1,000
    python tests/bench/batches.py --kind anthropic --batch-size 50000

A `label` stage asks a provider on this machine, in a process of its own; the run is another process. What
batches hold is bounded by the size of a batch. The records that get a label are in memory too, as in a run
that asks at once (`--direct`), and their part grows with the run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from batch_server import KEY, NAMES, BatchServer

RECIPE = """\
# Labels of the rows of a file, one request each.
defaults:
  - override /model: null
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: null
seeds: {path: rows.jsonl}
mix: {examples: 0, generated: 0}
model: {kind: litellm, mode: chat, api_key_env: TINY_KEY, concurrency: 8}
pipeline:
  items: {kind: rows, path: rows.jsonl}
  answers: {kind: label}
prompts:
  answers:
    style: chat
    template: "Is this question easy? {{ instruction }}"
    sampling: {max_tokens: 50}
    parse: {kind: choice, field: verdict, choices: {easy: {}, hard: {}}}
schema: {items: {}, answers: {}}
"""
LETTERS = 1000  # of a prompt, about
LOOK = 0.2  # seconds


class Labels(BatchServer):
    """A provider that gives each prompt a label."""

    def text(self, prompt: str) -> str:
        """See `BatchServer`."""
        return "easy" if len(prompt) % 2 else "hard"


def serve(kind: str) -> None:
    """The provider, until standard input ends."""
    with Labels(kind, states=("in_progress", "completed"), late=0) as server:
        print(server.base, flush=True)
        sys.stdin.read()


def child(words: list[str]) -> None:
    """A run in this process; prints what it took as JSON."""
    import selfinstruct.llm.batch.follow as follow
    from selfinstruct.api import run

    follow.FIRST_LOOK = follow.LAST_LOOK = LOOK
    runner = import_module("selfinstruct.runner")
    write = runner.write_files
    before: list[float] = []

    def noted(*given: Any) -> None:
        before.append(peak())
        write(*given)

    setattr(runner, "write_files", noted)  # noqa: B010  (the type of the module has no such attribute)
    began = time.process_time()
    run("labels", words, quiet=True)
    print(json.dumps({"cpu": time.process_time() - began, "peak": peak(), "before": before[0]}))


def peak() -> float:
    """The most memory that this process ever held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


@contextmanager
def provider(kind: str) -> Iterator[str]:
    """The address of a provider in a process of its own."""
    command = [sys.executable, __file__, "serve", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()


def measure(kind: str, count: int, *keys: str) -> dict[str, float]:
    """A run of so many requests."""
    with tempfile.TemporaryDirectory() as folder, provider(kind) as base:
        project = Path(folder)
        (project / "recipes").mkdir()
        (project / "recipes/labels.yaml").write_text(RECIPE, encoding="utf-8")
        with (project / "rows.jsonl").open("w", encoding="utf-8") as rows:
            for number in range(count):
                text = f"Question {number} about the harbour. " + "It has many words. " * (LETTERS // 19)
                rows.write(json.dumps({"instruction": text}) + "\n")
        own = [f"model.name={NAMES[kind]}", f"model.api_base={base}", "run_dir=run", "cache=off"]
        own += ["model.api_key_env=TINY_KEY"]
        command = [sys.executable, __file__, "child", *own, "report=null", *keys]
        setting = {**os.environ, "TINY_KEY": KEY, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(command, cwd=folder, env=setting, stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0
        stage = json.loads((project / "run/summary.json").read_text(encoding="utf-8"))["stages"]["answers"]
        assert stage["accepted"] == count, stage
        return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--kind", choices=NAMES, default="openai")
    parser.add_argument("--batch-size", type=int, default=1_000)
    parser.add_argument("--direct", action="store_true", help="also without batches")
    given = parser.parse_args()
    ways = {f"batches of {given.batch_size:,}": ["model.batch=true", f"model.batch_size={given.batch_size}"]}
    if given.direct:
        ways["no batches"] = ["model.batch=false"]
    for way, keys in ways.items():
        least = measure(given.kind, 1, *keys)
        for count in given.requests:
            found = measure(given.kind, count, *keys)
            each = 1e6 * (found["cpu"] - least["cpu"]) / count
            more = {when: found[when] - least[when] for when in ("before", "peak")}
            print(
                f"{given.kind}, {count:,} requests, {way}: {each:,.0f} us of CPU a request; "
                f"{found['peak']:,.0f} MB at most; {more['before']:,.0f} MB more than with one "
                f"request before the files, {more['peak']:,.0f} in all (load {os.getloadavg()[0]:.1f})",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2:])
    elif sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        main()
