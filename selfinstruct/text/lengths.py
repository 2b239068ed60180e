"""Lengths of texts in words and in tokens, and histograms of lengths or of any numbers. Usable on their own.

>>> histogram([3, 4, 4, 11], bins=6)
Histogram(edges=(2, 4, 6, 8, 10, 12), counts=(1, 2, 0, 0, 1), above=0)

The edges are round numbers. To draw several histograms side by side, give all of them the same edges: those
that `edges` finds for all values together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10
from statistics import median

from selfinstruct.text.tokenizers import counting, tokenizer

Number = int | float

_STEPS = (1, 2, 5, 10)  # times a power of ten
_MOST = 0.99  # of the values are drawn, if the largest are far away from the others
_FAR = 3  # times as large as those 99% is far away


@dataclass(frozen=True)
class Histogram:
    """How many values lie between each two edges.

    Attributes:
        edges: one more than there are counts, rising. A bin has its lower edge, and the last bin has both.
        counts: the number of values in each bin.
        above: the number of values above the last edge: outliers that would squeeze all others into one bin.
    """

    edges: tuple[Number, ...]
    counts: tuple[int, ...]
    above: int = 0


@dataclass(frozen=True)
class Summary:
    """Count, mean, median and largest of some values; all but the count are None without values."""

    count: int
    mean: float | None = None
    median: float | None = None
    largest: Number | None = None


def words(texts: Iterable[str], language: str = "en") -> list[int]:
    """The length of each text in words, by the tokenizer for counting words of its language.

    Args:
        texts: the texts.
        language: their language, as a BCP 47 tag.
    """
    split = tokenizer(counting(language))
    return [len(split(text)) for text in texts]


def tokens(texts: Iterable[str], count: Callable[[str], int]) -> list[int]:
    """The length of each text in tokens.

    Args:
        texts: the texts.
        count: the number of tokens of a text, such as `selfinstruct.llm.tokens.count`.
    """
    return [count(text) for text in texts]


def summary(values: Sequence[Number]) -> Summary:
    """Count, mean, median and largest of some values."""
    if not values:
        return Summary(0)
    return Summary(len(values), sum(values) / len(values), float(median(values)), max(values))


def histogram(values: Sequence[Number], bins: int | Sequence[Number] = 30) -> Histogram:
    """How often which values occur.

    Args:
        values: finite numbers; without any, there are no bins.
        bins: the most bins that there may be, at least 2, or the edges of the bins. With edges, values below
            the first are not counted.
    """
    import numpy as np

    chosen = edges(values, bins) if isinstance(bins, int) else tuple(bins)
    if len(chosen) < 2:
        return Histogram((), ())
    counts, _ = np.histogram(np.asarray(values, float), np.asarray(chosen, float))
    above = sum(value > chosen[-1] for value in values)
    return Histogram(chosen, tuple(counts.tolist()), above)


def edges(values: Sequence[Number], bins: int = 30) -> tuple[Number, ...]:
    """Round edges for the bins of a histogram; none without values.

    Bins are 1, 2 or 5 wide, times a power of ten; of whole numbers, at least 1. If the largest value is more
    than three times as large as 99 of 100 values are, the last edge is just above those.

    Args:
        values: finite numbers.
        bins: the most bins that there may be, at least 2.
    """
    if not values:
        return ()
    whole = all(isinstance(value, int) for value in values)
    least, most = min(values), _drawn(sorted(values))
    width = _width((most - least) / max(bins - 1, 1), whole)
    first, last = floor(least / width), floor(most / width) + 1
    return tuple(_round(place * width, width, whole) for place in range(first, last + 1))


def _drawn(ordered: Sequence[Number]) -> Number:
    """The largest of the values; if it is far away, the largest of 99 of 100."""
    most = ordered[int(_MOST * (len(ordered) - 1))]
    return most if ordered[-1] > _FAR * most > 0 else ordered[-1]


def _width(least: float, whole: bool) -> Number:
    """The smallest round number that is not below `least`."""
    if whole and least <= 1:
        return 1
    if least <= 0:
        return 0.1
    power = 10.0 ** floor(log10(least))
    width = next((step * power for step in _STEPS if step * power >= least * (1 - 1e-9)), 10 * power)
    return round(width) if whole else width


def _round(value: float, width: Number, whole: bool) -> Number:
    """Without the rounding errors of a product, such as 0.30000000000000004."""
    return round(value) if whole else round(value, 1 - floor(log10(width)))
