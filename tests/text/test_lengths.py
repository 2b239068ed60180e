"""Lengths of texts and histograms of them: round edges, few values, outliers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfinstruct.text.lengths import Histogram, Number, Summary, edges, histogram, summary, tokens, words


def test_words() -> None:
    """Between spaces in English; each character in Chinese, without punctuation."""
    assert words(["Say it, please.", "", " \n", "🎉"], "en") == [3, 0, 0, 1]
    assert words(["你好，世界", "OK"], "zh") == [4, 1]


def test_tokens() -> None:
    """By whatever counts them."""
    assert tokens(["abc", ""], len) == [3, 0]


def test_summary() -> None:
    """Count, mean, median and largest."""
    assert summary([1, 2, 6]) == Summary(3, 3.0, 2.0, 6)
    assert summary([]) == Summary(0, None, None, None)


@pytest.mark.parametrize(
    ("values", "bins", "expected"),
    [
        ([], 30, Histogram((), ())),
        ([7], 30, Histogram((7, 8), (1,))),
        ([0, 0, 0], 30, Histogram((0, 1), (3,))),
        ([1, 2, 2, 4], 30, Histogram((1, 2, 3, 4, 5), (1, 2, 0, 1))),
        (list(range(100)), 10, Histogram((0, 20, 40, 60, 80, 100), (20,) * 5)),
        ([3] * 99 + [200_000], 30, Histogram((3, 4), (99,), 1)),
        ([1, 2, 3, 1_000_000], 30, Histogram((1, 2, 3, 4), (1, 1, 1), 1)),
        (
            [0.1, 0.35, 0.9],
            10,
            Histogram((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (1, 0, 1, *[0] * 5, 1)),
        ),
        ([0.5], 10, Histogram((0.5, 0.6), (1,))),
        ([0.0, 0.2, 0.5, 1.0], [0, 0.5, 1], Histogram((0, 0.5, 1), (2, 2))),
        ([5, 6, 7], [0, 6], Histogram((0, 6), (2,), 1)),
    ],
)
def test_histogram(values: list[Number], bins: int | list[Number], expected: Histogram) -> None:
    """Whole numbers have whole edges, a bin has its lower edge, and one outlier does not squeeze the rest."""
    assert histogram(values, bins) == expected


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    values=st.lists(st.integers(0, 10**7)) | st.lists(st.floats(0, 1) | st.integers(0, 1)),
    bins=st.integers(2, 50),
)
def test_no_value_is_lost(values: list[Number], bins: int) -> None:
    """Every value is in a bin or above the last; there are never more bins than asked for."""
    found = histogram(values, bins)
    assert sum(found.counts) + found.above == len(values)
    assert len(found.counts) <= bins
    assert found.above <= max(len(values) / 100 + 1, 1)
    assert list(found.edges) == sorted(set(found.edges))


def test_the_same_edges_for_several() -> None:
    """The edges of all values together serve each of them."""
    short, long = [1, 2, 3], [10, 20, 41]
    common = edges(short + long, bins=10)
    assert common == (0, 5, 10, 15, 20, 25, 30, 35, 40, 45)
    assert histogram(short, common).counts == (3, 0, 0, 0, 0, 0, 0, 0, 0)
    assert histogram(long, common).counts == (0, 0, 1, 0, 1, 0, 0, 0, 1)
