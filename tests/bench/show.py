"""The time of `selfinstruct show` on a large run, each time as a whole process with its imports; run by hand.

    python tests/bench/big_run.py runs/big       # a run of 52,000 instructions and 80,000 instances
    python tests/bench/show.py runs/big

One record has to be there within a second. The figures are the best of several processes. On a
machine with other work, the time of the processor is the one to compare.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from selfinstruct.records import ACCEPTED, REJECTED
from selfinstruct.run_folder.opened import OpenedRun, opened

TIMES = 3
MARK_SECONDS = 1.0


def cases(run: OpenedRun) -> dict[str, list[str]]:
    """What is shown, by its name: records from the end of the run, where the most has to be compared."""
    first, last = run.outline.makers[0].name, run.outline.makers[-1].name
    number, final = (max(run.journal.taken(name)) for name in (first, last))
    ids = {}
    for name, stage, fate in (
        ("an accepted record of the first stage", first, ACCEPTED),
        ("a rejected record of the first stage", first, REJECTED),
        ("an accepted record of the last stage", last, ACCEPTED),
    ):
        requests = range(number if stage == first else final, 0, -1)
        ids[name] = next(
            [record.id] for request in requests for record in run.journal.records(stage, fate, request)
        )
    check = next(iter(run.journal.fates(first)[1]), "")
    return {
        **ids,
        "a seed task": [next(iter(run.seed_tasks))],
        "the run at a glance": [],
        "words that no record has": ["--find", "zyzzyva"],
        "words that many records have": ["--find", "the"],
        "rejected by a check": ["--rejected", check],
        "records by a label": ["--stage", last, "--where", "is_classification=true"],
    }


def measured(words: Sequence[str]) -> tuple[float, float, float]:
    """Seconds on the clock and of the processor, and the peak memory in MB, of one process."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "selfinstruct", "show", *words], stdout=subprocess.DEVNULL
    )
    _, _, usage = os.wait4(process.pid, 0)
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path)
    folder = parser.parse_args().run
    with opened(folder) as run:
        counts = {stage.name: run.journal.stats(stage.name).accepted for stage in run.outline.makers}
        all_cases = cases(run)
    print(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    print(f"{'':<40} seconds  processor   MB")
    for name, words in all_cases.items():
        rows = [measured([str(folder), *words]) for _ in range(TIMES)]
        wall, cpu, memory = (min(row[place] for row in rows) for place in range(3))
        one = words and not words[0].startswith("-")
        missed = "   over the mark" if one and wall > MARK_SECONDS else ""
        print(f"{name:<40} {wall:7.2f} {cpu:10.2f} {memory:4.0f}{missed}")


if __name__ == "__main__":
    main()
