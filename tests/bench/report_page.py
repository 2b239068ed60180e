"""How quickly the page of a report opens in a real browser, and how it feels to search it; run by hand.

    python tests/bench/report_page.py runs/big              # of a run; its report is made if there is none
    python tests/bench/report_page.py runs/big --folds 5

Prints the size of the page, and the median over the folds of: the time from opening the page to its tables
and to its first figure, the time to draw each further figure, and the time from a typed letter to the rows
that match.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from chromium import chromium

from selfinstruct.report.command import main as report

TYPED = "write a letter"
FILTERED = """async ([table, text]) => {
  const root = document.querySelector(`[data-table=${table}]`), input = root.querySelector("input");
  const times = [];
  for (let end = 1; end <= text.length; end++) {
    const began = performance.now();
    const changed = new Promise((done) => {
      const watcher = new MutationObserver(() => { watcher.disconnect(); requestAnimationFrame(done); });
      watcher.observe(root.querySelector("[role=status]"), { childList: true });  // written last
    });
    input.value = text.slice(0, end);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await changed;
    times.push(performance.now() - began);
  }
  input.value = "";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  return times;
}"""


def fold(browser: Any, file: Path) -> dict[str, float]:
    """The times of one opening, in seconds."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    page.goto(file.as_uri())
    page.wait_for_selector("[data-table][data-ready]", state="attached")
    found = {"tables": time.perf_counter() - began}
    page.wait_for_selector("[data-drawn=yes]", state="attached")
    found["first figure"] = time.perf_counter() - began
    figures = page.query_selector_all("[data-figure]:not([data-drawn])")
    began = time.perf_counter()
    for figure in figures:
        figure.scroll_into_view_if_needed()
        page.wait_for_function("one => one.dataset.drawn", arg=figure)
    found["each further figure"] = (time.perf_counter() - began) / max(len(figures), 1)
    for table in ("records", "rejected"):
        times = page.evaluate(FILTERED, [table, TYPED])
        found[f"a letter in the search of the {table}"] = statistics.median(times) / 1000
    page.close()
    return found


def main() -> None:
    """Print the figures."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("run", type=Path)
    words.add_argument("--folds", type=int, default=3)
    given = words.parse_args()
    file = (given.run / "report.html").resolve()
    if not file.exists():
        report([str(given.run)], Path.cwd())
    print(f"size {file.stat().st_size / 1e6:.2f} MB")
    with chromium() as browser:
        folds = [fold(browser, file) for _ in range(given.folds)]
    for name in folds[0]:
        print(f"{name}: {statistics.median(one[name] for one in folds):.3f} s")


if __name__ == "__main__":
    main()
