"""The memory of a run of 200,000 records, and what it leaves open; run by hand.

    python tests/bench/memory.py                            # about five minutes
    python tests/bench/memory.py --records 20000 --filters none
    python tests/bench/memory.py --only replies             # one minute; writes 3 GB to the temporary folder

`records`: a run of the paper's first stage, in a process of its own, from the fast server with 40
instructions a reply: the most memory the process held before it wrote its files, before it wrote its report,
and ever; and the files, asyncio tasks and threads that there are when it is done beyond those before it.

`replies`: 256 in flight and replies of 1 MB, with and without a first reply that comes last, so that all
others wait for their turn; beside the same run with short replies.
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
from importlib import import_module
from pathlib import Path
from typing import Any

from fast_server import FastServer
from throughput import Bench, Row

IN_FLIGHT = 64
CANDIDATES = 40
LARGE = 1_000_000  # characters; so long a reply is rejected, but kept
MARK_MB = 400


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
    so_far: dict[str, float] = {}
    _note_before("selfinstruct.runner", "write_files", "before_files_mb", so_far)
    _note_before("selfinstruct.report.writing", "at_the_end", "before_report_mb", so_far)
    before, threads, began = descriptors(), threading.active_count(), time.monotonic()
    run("throughput", words, quiet=True)
    figures = {
        "seconds": time.monotonic() - began,
        "cpu": time.process_time(),
        **so_far,
        "peak_mb": peak(),
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


def _note_before(module: str, name: str, key: str, into: dict[str, float]) -> None:
    """Note the most memory so far when a function is called."""
    holder = import_module(module)
    original = getattr(holder, name)

    def noted(*given: Any, **named: Any) -> Any:
        into[key] = peak()
        return original(*given, **named)

    setattr(holder, name, noted)


def peak() -> float:
    """The most memory that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit() / 1e6


def unit() -> int:
    """Bytes in what the system counts memory in."""
    return 1 if sys.platform == "darwin" else 1024


def measure(server: FastServer, row: Row, target: int, *more: str) -> dict[str, Any]:
    """One run; what the server does was set before."""
    with tempfile.TemporaryDirectory() as folder:
        words = Bench(server, Path(folder)).words(row, target)
        # The name of the recipe is given by itself here.
        command = [sys.executable, __file__, "child", *words[1:], *more]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        run_dir = next(Path(folder, word.removeprefix("run_dir=")) for word in words if "run_dir" in word)
        stage = json.loads((run_dir / "summary.json").read_text())["stages"]["instructions"]
        assert stage["candidates"] >= target * row.candidates
        return dict(json.loads(done.stdout.splitlines()[-1]))


def records(server: FastServer, given: argparse.Namespace) -> None:
    """Runs of many records."""
    for filters in [given.filters] if given.filters else ["none", "paper"]:
        server.reset(candidates=CANDIDATES)
        row = Row("ours", mode="completion", filters=filters, candidates=CANDIDATES)
        found = measure(server, row, given.records // CANDIDATES, f"model.concurrency={IN_FLIGHT}")
        print(
            f"{given.records:,} records, {filters} filters: {found['before_files_mb']:.0f} MB at most before "
            f"its files, {found['before_report_mb']:.0f} before its report, {found['peak_mb']:.0f} in all "
            f"(mark {MARK_MB}); left open: {found['descriptors']} descriptors, {found['tasks']} tasks, "
            f"{found['threads']} threads; {found['seconds']:.0f} s, {found['cpu']:.0f} s of CPU",
            flush=True,
        )


def replies(server: FastServer, given: argparse.Namespace) -> None:
    """Runs with large replies."""
    row, count = Row("ours", mode="completion"), given.replies
    more = (f"pipeline.instructions.patience={2 * count}", f"pipeline.instructions.window={count}")
    cases = {
        "short replies": (0, 0),
        "replies of 1 MB": (LARGE, 0),
        "replies of 1 MB, the first one last": (LARGE, count - 1),
    }
    for name, (letters, last) in cases.items():
        server.reset(letters=letters, last=last)
        found = measure(server, row, count, *more, "model.timeout=600", "report=null")
        print(
            f"{count} {name}: {found['before_files_mb']:.0f} MB at most before the files, "
            f"{found['peak_mb']:.0f} in all; {found['cpu']:.0f} s of CPU",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--filters", choices=("none", "paper"), help="one alone; both unless given")
    parser.add_argument("--replies", type=int, default=400, help="how many large ones")
    parser.add_argument("--only", choices=("records", "replies"), help="one part; both unless given")
    given = parser.parse_args()
    parts = {"records": records, "replies": replies}
    with FastServer() as server:
        for name in [given.only] if given.only else parts:
            parts[name](server, given)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2:])
    else:
        main()
