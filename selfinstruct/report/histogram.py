"""Histograms as plain data: the edges of the bars, their counts, and the figures beside them."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

SHARES = [round(place * 0.05, 2) for place in range(21)]  # the edges for values from 0 to 1
_BARS = 40  # at most, for counts such as lengths
_SHOWN = 0.99  # the share of the values that the bars have to hold; a few very long texts get none
_STEPS = (1, 2, 5)


def histogram(values: Sequence[float], edges: Sequence[float] | None = None) -> dict[str, Any]:
    """A histogram.

    Args:
        values: the values.
        edges: the edges of the bars, ascending; by default at most 40 bars from 0, equally wide, that hold
            99 in 100 of the values.

    Returns:
        `edges`, and the `counts` between them (a bar has its lower edge; the last one has both); `beyond`:
        how many values are above the last edge; `count`, `mean`, `median`, `min` and `max` of all values,
        None if there are none.
    """
    import numpy as np

    bounds = list(edges or _edges(values))
    found = np.array(values, dtype=np.float64)
    counts, _ = np.histogram(found, bounds)
    figures = (np.mean(found), np.median(found), found.min(), found.max()) if len(found) else [None] * 4
    return {
        "edges": bounds,
        "counts": counts.tolist(),
        "beyond": int((found > bounds[-1]).sum()),
        "count": len(found),
        **{
            name: None if value is None else float(value)
            for name, value in zip(("mean", "median", "min", "max"), figures, strict=True)
        },
    }


def scale(values: Sequence[float]) -> list[float]:
    """The edges for scores: a bar for each whole number if all are whole, otherwise twenty equal bars."""
    low, high = min(values), max(values)
    if all(value == int(value) for value in values) and high - low <= _BARS:
        return [place - 0.5 for place in range(int(low), int(high) + 2)]
    if low >= 0 and high <= 1:
        return SHARES
    return [low + (high - low) * place / 20 for place in range(21)]


def _edges(values: Sequence[float]) -> list[float]:
    """Edges from 0 with a round step, so that nearly all values are below the last one."""
    ordered = sorted(values)
    last = ordered[ceil(_SHOWN * len(ordered)) - 1] if ordered else 0
    step = next(
        factor * 10**power for power in range(20) for factor in _STEPS if factor * 10**power * _BARS > last
    )
    return [place * step for place in range(int(last // step) + 2)]
