"""Intervals by the bootstrap: how far a mean over these tasks may be from that over all such tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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


def interval(values: Sequence[float], resamples: int, confidence: float, seed: int = 0) -> Interval:
    """The mean of values, with its percentile interval from resampled values (Efron 1979).

    Args:
        values: one for each task; for a paired difference, the differences.
        resamples: how many resamples to draw.
        confidence: the share of the interval, such as 0.95.
        seed: the seed of the draws.
    """
    import numpy as np

    found = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    step = max(1, 2_000_000 // max(1, len(found)))  # so many draws in memory at once
    means = np.concatenate(
        [
            found[rng.integers(len(found), size=(min(step, resamples - begun), len(found)))].mean(axis=1)
            for begun in range(0, resamples, step)
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(found.mean()), float(low), float(high))
