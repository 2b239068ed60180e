"""The table of a sweep on a terminal: what there is room for, and why jobs failed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from selfinstruct.sweeps import FAILED, FINISHED, Outcome
from selfinstruct.sweeps.table import show

OBJECTIVE = "acceptance_rate*mean_novelty"
FIGURES = {
    "accepted": 20,
    "acceptance_rate": 0.5,
    "distinct_openings": 12,
    "mean_novelty": 0.5,
    "records": 20,
    "cost_usd": 1.0,
    "requests": 60,
    "cached": 9,
    "seconds": 12.0,
}


def shown(jobs: list[Outcome], width: int) -> list[str]:
    """The lines of the table on a terminal of so many columns."""
    file = io.StringIO()
    show(Path("sweeps/s"), jobs, Console(file=file, width=width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize(("width", "last"), [(82, "cost"), (200, "seconds")])
def test_a_narrow_terminal_shows_fewer_figures_and_folds_no_word(width: int, last: str) -> None:
    """Job, settings and objective stay; the figures end where the room does."""
    jobs = [
        Outcome(place, [f"mix.generated={place}"], FINISHED, None, OBJECTIVE, place / 4, "", FIGURES)
        for place in range(3)
    ]
    title, head, *rows = shown(jobs, width)
    assert title.endswith(OBJECTIVE)
    assert head.split()[:3] == ["job", "generated", "objective"]
    assert head.split()[-1] == last
    assert [row.split()[0] for row in rows[:3]] == ["2", "1", "0"]


def test_an_error_that_jobs_share_is_told_once_and_whole() -> None:
    """With the numbers of the jobs; the remedy stands on its second line."""
    jobs = [Outcome(place, [f"a={place}"], FAILED, "1 fault\n  a: is too large") for place in range(3)]
    jobs[1].error = "something else"
    lines = shown(jobs, 80)
    assert lines.count("  a: is too large") == 1
    assert lines[lines.index("  a: is too large") - 1] == "jobs 0, 2: failed: 1 fault"
    assert "job 1: failed: something else" in lines
