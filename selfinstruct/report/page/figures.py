"""The figures of a run's report, made from its statistics (`report/numbers/stats.py`).

To add one: write a function that yields `Figure` in the module of its theme, and name it in `MAKERS`; the
page shows it in the section that it names, and `report.figures=svg` writes it to a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from selfinstruct.report.page.curves import progress
from selfinstruct.report.page.distributions import lengths, scores, similarity
from selfinstruct.report.page.funnels import funnels, spending
from selfinstruct.report.page.marks import Figure
from selfinstruct.report.page.topics import classes, openings
from selfinstruct.report.page.tuning import tuning

Stats = Mapping[str, Any]
MAKERS: tuple[Callable[[Stats], Iterator[Figure]], ...] = (  # in the order of the page
    funnels,
    progress,
    openings,
    similarity,
    lengths,
    classes,
    scores,
    spending,
    tuning,
)


def figures(stats: Stats) -> list[Figure]:
    """Every figure that the statistics of a run have the numbers for, in the order of the page."""
    return [figure for maker in MAKERS for figure in maker(stats)]
