"""What a merge costs at 2 x 10,000 and 2 x 100,000 instructions, and what does not stay linear.

    python tests/bench/merge.py                             # makes the runs first: ten minutes
    python tests/bench/merge.py --only 10000 --into runs-to-merge    # keeps them for the next time

The runs are those of `scale.py`, with the paper's three stages: instructions, a label for each, an instance
for each. All of it is in processes of their own, and the columns are those of `scale.py`; a record is an
instruction that a run gives. The report is left out, since it is a run's own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scale import LONGEST, Parts, Row, _before, place, register, table, write_project

SIZES = (10_000, 100_000)
NOTES = "merge-parts.jsonl"


def child(notes: Path, words: list[str]) -> None:
    """A command in this process, which notes what each of its parts takes."""
    from selfinstruct.cli.main import command

    register()
    part = Parts(notes)
    part.begin("start")
    _before("selfinstruct.merge.command", "read_parts", lambda *_: part.begin("reading the runs"))
    _before("selfinstruct.runner", "_run_stage", lambda _, stage, *__: part.begin(f"stage {stage.name}"))
    _before("selfinstruct.runner", "write_files", lambda *_: part.begin("files"))
    status = command(words)
    part.end()
    sys.exit(status)


def made(size: int, folder: Path) -> list[str]:
    """The folders of two finished runs of so many instructions; they are made if they are missing."""
    found = []
    for seed in (1, 2):
        run = folder / f"c{size}-{seed}"
        words = ["recipe=completion", "model=scale", "model.mode=completion", f"target={size}"]
        words += [f"seed={seed}", f"run_dir={run}", "cache=off", "report=null"]
        if not (run / "summary.json").exists():
            _run(folder, words)
        found.append(str(run))
    return found


def measured(size: int, folder: Path) -> Iterator[Row]:
    """A merge of two runs of so many instructions, part by part."""
    words = [
        "merge",
        *made(size, folder),
        "--to",
        str(folder / f"merged-{size}"),
        "fresh=true",
        "report=null",
    ]
    for row in _run(folder, words):
        yield {**row, "records": 2 * size}


def _run(folder: Path, words: list[str]) -> list[Row]:
    notes = folder / NOTES
    notes.unlink(missing_ok=True)
    with (folder / "log.txt").open("ab") as log:
        command = [sys.executable, __file__, "child", str(notes), *words]
        done = subprocess.run(command, cwd=folder, stdout=log, stderr=log, timeout=LONGEST)
    if done.returncode:
        sys.exit(f"status {done.returncode}: {(folder / 'log.txt').read_text()[-3000:]}")
    return [json.loads(line) for line in notes.read_text().splitlines()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", type=int, help="one size alone, any number")
    parser.add_argument("--into", type=Path, help="keep the runs in this folder")
    given = parser.parse_args()
    found: dict[int, list[Row]] = {}
    with place(given.into) as folder:
        write_project(folder, "instant")
        for size in [given.only] if given.only else SIZES:
            found[size] = list(measured(size, folder))
    table(found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(Path(sys.argv[2]), sys.argv[3:])
    else:
        main()
