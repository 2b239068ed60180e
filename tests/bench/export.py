"""How long an export of all formats takes, for 52,000 instructions and 80,000 instances; run by hand.

    python tests/bench/big_run.py runs/big        # makes such a run
    python tests/bench/export.py runs/big
    python tests/bench/export.py runs/big --parquet

It exports to a new folder each time, in a process of its own, and prints seconds, CPU seconds and the most
memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMATS = ("alpaca", "chat", "sharegpt", "trl", "prompt_completion", "csv")
MARK_SECONDS = 20


def measure(run: Path, parquet: bool, extra: list[str]) -> None:
    """Export the run once, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        keys = [f"export=[{','.join(FORMATS)}]", f"to={folder}/out", *extra]
        if parquet:
            keys += [f"export.{name}.format=parquet" for name in FORMATS if name != "csv"]
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "selfinstruct", "export", str(run), *keys]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(path.stat().st_size for path in Path(folder, "out").iterdir())
    seconds, cpu = (
        time.monotonic() - began,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )
    print(
        f"{len(FORMATS)} formats, {size / 1e6:,.0f} MB{' in Parquet' if parquet else ''}: {seconds:.1f} s "
        f"(mark {MARK_SECONDS}), {cpu:.1f} s of CPU, {after.ru_maxrss / 1024:,.0f} MB at most",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("keys", nargs="*", help="more keys, such as export.chat.provenance=true")
    given = parser.parse_args()
    measure(given.run.resolve(), given.parquet, given.keys)


if __name__ == "__main__":
    main()
