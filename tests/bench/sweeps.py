"""What replays and sweeps cost beyond the models; run by hand.

    taskset -c 0 python tests/bench/sweeps.py            # a replay, and a sweep of five by replay
    python tests/bench/sweeps.py --jobs                  # what a job costs beyond its own work

Needs shared/data beside the repository, and the extra `parallel`. The run that is replayed has 10,000
accepted instructions of tests/bench/corpus.py. Of each figure there are the seconds on the wall and, since
other programs may be running, those of the CPU; both are of the whole process, from its start to its end.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from corpus import write_corpus

THRESHOLD = "filters.instructions.rouge_l.threshold"
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7)
TIMES = 5
JOBS = 8
TINY = ["recipe=quickstart", "model=scripted", "target=1"]
SEEDS = f"seed=range({JOBS})"


@dataclass
class Took:
    """What a command took: seconds on the wall, and of CPU with its child processes."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:6.2f} s, CPU {self.cpu:6.2f} s"


def took(folder: Path, *arguments: str) -> Took:
    """Type a command in a folder, in a process of its own; it has to end well."""
    before, start = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "selfinstruct", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, os.times()
    assert done.returncode == 0, done.stderr[-2000:]
    cpu = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return Took(wall, cpu)


def middle(each: list[Took]) -> Took:
    """The median of the one and of the other."""
    return Took(median(one.wall for one in each), median(one.cpu for one in each))


def counts(folder: Path) -> dict[str, Any]:
    """What the funnel of a run says, without what it took."""
    stages = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["stages"]
    names = ("requests", "replies", "candidates", "accepted", "rejected")
    return {stage: {name: stats[name] for name in names} for stage, stats in stages.items()}


def replays(folder: Path, size: int) -> None:
    """Print what a replay takes, and whether a sweep of replays counts as single ones do."""
    print(f"a run of {size:,} accepted instructions: {took(folder, *write_corpus(folder, size))}")
    again = [took(folder, "replay", "run", f"run_dir=again-{turn}") for turn in range(TIMES)]
    for one in again:
        print(f"  replay                        {one}")
    print(f"  replay, median of {TIMES}           {middle(again)}")
    same = [
        (folder / "run" / name).read_bytes() == (folder / "again-0" / name).read_bytes()
        for name in ("instructions.jsonl", "instances.jsonl", "rejected.jsonl")
    ]
    print(f"  the same bytes as the run     {all(same)}")
    values = ",".join(map(str, THRESHOLDS))
    sweep = took(folder, "replay", "-m", "run", f"{THRESHOLD}={values}", "sweep_dir=sweep")
    print(f"  a sweep of {len(THRESHOLDS)} thresholds        {sweep}")
    agree(folder)


def agree(folder: Path) -> None:
    """Hold each job of the sweep against a replay of its threshold alone."""
    rows = list(csv.DictReader((folder / "sweep/sweep.csv").open(encoding="utf-8")))
    for job, threshold in enumerate(THRESHOLDS):
        single = folder / f"single-{threshold}"
        spent = took(folder, "replay", "run", f"{THRESHOLD}={threshold}", f"run_dir={single.name}")
        row = next(row for row in rows if row["job"] == str(job))
        found = counts(single)
        told = [found["instructions"][name] for name in ("accepted", "candidates")]
        equal = counts(folder / f"sweep/{job}") == found
        equal = equal and [int(row["accepted"]), int(row["candidates"])] == told
        print(f"  {threshold:<4} {row['accepted']} of {row['candidates']}, as alone: {equal}   {spent}")


def overhead(folder: Path) -> None:
    """Print what a job that does nearly nothing costs, by launcher."""
    alone = [took(folder, *TINY, f"run_dir=alone-{turn}") for turn in range(TIMES)]
    print(f"one such run, a process           {middle(alone)}")
    version = middle([took(folder, *TINY, "--cfg", "job") for _ in range(TIMES)])
    print(f"the start of a process            {version}   (composes the recipe, runs nothing)")
    for launcher, mark in (("basic", 1.0), ("parallel", 1.5)):
        each = [
            took(folder, "-m", *TINY, SEEDS, f"hydra/launcher={launcher}", f"sweep_dir={launcher}-{turn}")
            for turn in range(TIMES)
        ]
        whole = middle(each)
        job = Took(*((one - other) / JOBS for one, other in zip(values(whole), values(version), strict=True)))
        print(f"{launcher:<9} {JOBS} jobs, median of {TIMES}    {whole}")
        print(f"{launcher:<9} a job beyond the start   {job}   (mark: {mark} s)")


def values(one: Took) -> tuple[float, float]:
    """Wall and CPU."""
    return one.wall, one.cpu


def main() -> None:
    """Print one part or the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", action="store_true", help="what a job costs beyond its own work")
    parser.add_argument("--size", type=int, default=10_000, help="instructions of the run to replay")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        project = Path(name) / "project"
        project.mkdir()
        if given.jobs:
            overhead(project)
        else:
            replays(project, given.size)


if __name__ == "__main__":
    main()
