"""Intervals by the bootstrap: how far a mean over these tasks may be from that over all such tasks.

Tasks that share an instruction are not independent of each other: a model that misunderstands it is wrong in
all of them. So they are drawn together (a cluster bootstrap; the clustered errors of arXiv 2411.00640,
section 2.2). A hundred instances of one task of Super-NaturalInstructions thus count as one draw.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

AT_ONCE = 2_000_000  # draws made at once
MOST_KEPT = 50_000_000  # draws that are kept for the next list of values
FEW = 10  # with fewer tasks, or groups of tasks, intervals mean little


@dataclass(frozen=True)
class Interval:
    """A mean with its interval.

    Attributes:
        mean: the mean.
        low: the lower end.
        high: the upper end.
    """

    mean: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether zero is outside of it."""
        return self.low > 0 or self.high < 0


def interval(
    values: Sequence[float],
    resamples: int,
    confidence: float,
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
) -> Interval:
    """The mean of values, with its percentile interval from resampled values (Efron 1979).

    Args:
        values: one for each task; for a paired difference, the differences.
        resamples: how many resamples to draw.
        confidence: the share of the interval, such as 0.95.
        seed: the seed of the draws.
        groups: the group of each task; tasks of one group are drawn together. With a single group, or without
            any, each task is drawn by itself.
    """
    return intervals([values], resamples, confidence, seed, groups)[0]


def intervals(
    columns: Sequence[Sequence[float]],
    resamples: int,
    confidence: float,
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
) -> list[Interval]:
    """As `interval`, for several lists of values of the same tasks, all from the same draws."""
    import numpy as np

    values = np.asarray(columns, dtype=float).T  # a row for each task
    if not values.size:
        return []
    places = _numbered(groups, len(values))
    sizes = np.bincount(places).astype(float)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, places, values)
    kept = len(sizes) * resamples <= MOST_KEPT
    draws = _kept(len(sizes), resamples, seed) if kept else _draws(len(sizes), resamples, seed)
    counts = (times.astype(float) for times in draws)
    means = np.concatenate([times @ sums / (times @ sizes)[:, None] for times in counts])
    lows, highs = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return [
        Interval(float(mean), float(low), float(high))
        for mean, low, high in zip(values.mean(axis=0), lows, highs, strict=True)
    ]


def grouped(groups: Sequence[Hashable]) -> int:
    """How many draws a resample has: the number of groups, or of tasks if there is only one group."""
    found = len(set(groups))
    return found if found > 1 else len(groups)


def _numbered(groups: Sequence[Hashable] | None, count: int) -> list[int]:
    if groups is None or len(set(groups)) < 2:
        return list(range(count))
    numbers = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    return [numbers[group] for group in groups]


@lru_cache(maxsize=4)
def _kept(count: int, resamples: int, seed: int) -> list[Any]:
    """The same draws serve all scores of an evaluation."""
    return list(_draws(count, resamples, seed))


def _draws(count: int, resamples: int, seed: int) -> Iterator[Any]:
    """How often each resample has each of so many groups: arrays with a row for each resample."""
    import numpy as np

    rng = np.random.default_rng(seed)
    step = max(1, AT_ONCE // count)
    for begun in range(0, resamples, step):
        rows = min(step, resamples - begun)
        drawn = rng.integers(count, size=(rows, count)) + np.arange(rows)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        yield times.astype(np.uint16)
