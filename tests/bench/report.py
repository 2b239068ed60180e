"""What the numbers of a report cost on a large run; run by hand.

    python tests/bench/report.py                  # makes a run of 52,000 instructions and 80,000 instances
    python tests/bench/report.py runs/big         # any run that is there
    python tests/bench/report.py --without-details
    python tests/bench/report.py --rules runs/big # verbs by the rules, also where spaCy is installed

Prints the seconds and the memory of the process after each step. `--without-details` leaves out the most
similar texts that the run has kept, as most recipes do, so the nearest machine text is computed.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

from big_run import make

from selfinstruct.report.numbers.stats import gather, stats_text
from selfinstruct.run_folder.opened import opened


def measured(folder: Path) -> None:
    """Print what each step takes."""
    began, cpu = time.monotonic(), time.process_time()

    def tell(step: str) -> None:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        took = f"{time.monotonic() - began:6.1f} s, {time.process_time() - cpu:6.1f} s of CPU"
        print(f"{took}, {most:4.0f} MB: {step}", flush=True)

    with opened(folder) as run:
        stats = gather(run, tell=tell)
    tell("done")
    sizes = ", ".join(f"{count:,} {name}" for name, count in stats["sizes"].items())
    print(f"{sizes}; stats.json has {len(stats_text(stats).encode()) / 1e3:,.0f} kB")


def main() -> None:
    """Make a run, if none is named, and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--without-details", action="store_true")
    parser.add_argument("--rules", action="store_true")
    given = parser.parse_args()
    kept = "selfinstruct.report.numbers.nearest._nearest_made"
    without = patch(kept, lambda similar, seeds: None) if given.without_details else nullcontext()
    rules = patch("selfinstruct.text.verbs._installed", lambda: None) if given.rules else nullcontext()
    with without, rules, tempfile.TemporaryDirectory() as place:
        measured(given.folder or make(Path(place) / "big"))


if __name__ == "__main__":
    main()
