"""How fast the pages of a review are, over HTTP: `python tests/bench/review.py runs/big [--sample 2000]`.

`python tests/bench/big_run.py runs/big` makes the run: 52,000 instructions and 80,000 instances. It prints
seconds until the page opens, and milliseconds for each kind of page: the median and the slowest.
An answer is a form that is stored on the disk, and the page after it. The reviewer `bench` stays in the run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reviewing import Reviewer, ReviewServer

RECORDS = 100
Took = dict[str, list[float]]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--sample", type=int, default=200)
    asked = parser.parse_args()
    took: Took = defaultdict(list)
    begun = time.perf_counter()
    arguments = [str(asked.run.resolve()), "--name", "bench", "--sample", str(asked.sample)]
    with ReviewServer(Path.cwd(), *arguments, patience=600) as server:
        print(f"until the page opens: {time.perf_counter() - begun:.1f} s")
        visit(server.reviewer(), took)
    for what, seconds in took.items():
        median, slowest = 1000 * statistics.median(seconds), 1000 * max(seconds)
        print(f"{what:<34} {median:7.1f} ms   slowest {slowest:7.1f} ms   of {len(seconds)}")


def visit(one: Reviewer, took: Took) -> None:
    """Review some records, and look at the other pages."""
    story = one.record
    for _ in range(RECORDS):
        if not (id := one.record):
            break
        timed(took, "a record", partial(one.open, f"/review?id={id}"))
        for question in ("instruction", "input", "output"):
            fields = {"id": id, "question": question, "value": "ok", "seen": ""}
            timed(took, "an answer, and the page after it", partial(one.send, "/answer", **fields))
    for _ in range(5):
        timed(took, "the summary", partial(one.open, "/summary"))
        timed(took, "a page of records", partial(one.open, "/browse"))
        timed(took, "a page of rejected records", partial(one.open, "/browse?rejected=any+check"))
        timed(took, "records by words", partial(one.open, "/browse?words=violin+neighbour"))
        timed(took, "the story of a record", partial(one.open, f"/story?id={story}"))


def timed(took: Took, what: str, do: Callable[[], object]) -> None:
    """Note how long something takes."""
    begun = time.perf_counter()
    do()
    took[what].append(time.perf_counter() - begun)


if __name__ == "__main__":
    main()
