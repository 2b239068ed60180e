"""How long `check` takes for its notes on the seed tasks: `python tests/bench/seed_lint.py`.

It prints milliseconds of processor time for the 175 seed tasks of recipe paper, the median of 9.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from selfinstruct.plan import seed_lint
from selfinstruct.recipe.compose import compose


def main() -> None:
    """Print the figure."""
    recipe = compose(["recipe=paper", "model=scripted"], Path.cwd()).recipe()
    seed_lint.notes(recipe)
    took = []
    for _ in range(9):
        begun = time.process_time()
        seed_lint.notes(recipe)
        took.append(1000 * (time.process_time() - begun))
    span = f"{min(took):.0f} - {max(took):.0f}"
    print(f"{len(recipe.seeds.tasks)} seed tasks: {statistics.median(took):.0f} ms ({span})")


if __name__ == "__main__":
    main()
