"""The memory of a run of 200,000 records, and what it leaves open; run by hand.

    python tests/bench/memory.py                            # about five minutes
    python tests/bench/memory.py --records 20000 --filters none

A run of the paper's first stage, in a process of its own, over LiteLLM from the fast server with 40
instructions a reply: the most memory the process ever held, and the files, asyncio tasks and threads that
there are when it is done beyond those before it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from fast_server import FastServer
from throughput import Bench, Row

IN_FLIGHT = 64
CANDIDATES = 40
MARK_MB = 600


def child(words: list[str]) -> None:
    """A run in this process; prints what it took and left as JSON."""
    from selfinstruct.api import run

    tasks: list[int] = []
    loop = asyncio.run

    def watched(work: Coroutine[Any, Any, None]) -> None:
        async def inner() -> None:
            await work
            await asyncio.sleep(0.1)
            tasks.append(len(asyncio.all_tasks()) - 1)

        loop(inner())

    asyncio.run = watched  # type: ignore[assignment]
    before, threads, began = descriptors(), threading.active_count(), time.monotonic()
    run("throughput", words, quiet=True)
    figures = {
        "seconds": time.monotonic() - began,
        "cpu": time.process_time(),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit() / 1e6,
        "descriptors": descriptors() - before,
        "threads": threading.active_count() - threads,
        "tasks": sum(tasks),
    }
    print(json.dumps(figures))


def descriptors() -> int:
    """How many files this process has open."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        if Path(folder).is_dir():
            return len(os.listdir(folder))  # noqa: PTH208  (a Path would open another)
    return 0


def unit() -> int:
    """Bytes in what the system counts memory in."""
    return 1 if sys.platform == "darwin" else 1024


def measure(server: FastServer, records: int, filters: str) -> dict[str, Any]:
    """One run."""
    with tempfile.TemporaryDirectory() as folder:
        words = Bench(server, Path(folder)).words(Row("ours", mode="completion", filters=filters), records)
        # The name of the recipe is given by itself here.
        words = [*words[1:], f"model.concurrency={IN_FLIGHT}"]
        server.reset(candidates=CANDIDATES)
        command = [sys.executable, __file__, "child", *words]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        run_dir = next(Path(folder, word.removeprefix("run_dir=")) for word in words if "run_dir" in word)
        with (run_dir / "instructions.jsonl").open(encoding="utf-8") as lines:
            assert sum(1 for _ in lines) == records
        return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--filters", choices=("none", "paper"), help="one alone; both unless given")
    given = parser.parse_args()
    with FastServer() as server:
        for filters in [given.filters] if given.filters else ["none", "paper"]:
            found = measure(server, given.records, filters)
            print(
                f"{given.records:,} records, {filters} filters: {found['peak_mb']:.0f} MB at most "
                f"(mark {MARK_MB}); left open: {found['descriptors']} descriptors, {found['tasks']} tasks, "
                f"{found['threads']} threads; {found['seconds']:.0f} s, {found['cpu']:.0f} s of CPU",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2:])
    else:
        main()
