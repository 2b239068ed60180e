"""Histograms as plain data: the edges of the bars, their counts, and the figures beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfinstruct.text import lengths

SHARES = [round(place * 0.05, 2) for place in range(21)]  # the edges for values from 0 to 1
_BARS = 40  # at most


def histogram(values: Sequence[float], edges: Sequence[float] = ()) -> dict[str, Any]:
    """A histogram.

    Args:
        values: the values.
        edges: the edges of the bars, ascending; by default round ones (`text.lengths.edges`).

    Returns:
        `edges`, and the `counts` between them (a bar has its lower edge; the last one has both); `above`:
        how many values are above the last edge, since a few very large ones would squeeze the others into one
        bar; `count`, `mean`, `median`, `min` and `max` of all values, None if there are none.
    """
    bars, of = lengths.histogram(values, list(edges) or _BARS), lengths.summary(values)
    return {
        "edges": list(bars.edges),
        "counts": list(bars.counts),
        "above": bars.above,
        "count": of.count,
        "mean": of.mean,
        "median": of.median,
        "min": min(values, default=None),
        "max": of.largest,
    }


def scale(values: Sequence[float]) -> list[float]:
    """The edges for scores: a bar for each whole number if all are whole; otherwise round ones.

    Shares, from 0 to 1, have twenty bars.
    """
    low, high = min(values), max(values)
    if all(value == int(value) for value in values) and high - low <= _BARS:
        return [place - 0.5 for place in range(int(low), int(high) + 2)]
    return SHARES if low >= 0 and high <= 1 else list(lengths.edges(values, _BARS))
