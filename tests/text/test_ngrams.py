"""Distinct-n and self-BLEU: by their definitions, and as NLTK computes BLEU."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfinstruct.text.ngrams import distinct, self_bleu

Texts = list[list[str]]
texts = st.lists(st.lists(st.sampled_from("abcde"), max_size=9), max_size=9)


def defined(texts: Texts, n: int) -> float | None:
    """Distinct-n with tuples in a set."""
    grams = [tuple(words[place : place + n]) for words in texts for place in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def by_nltk(texts: Sequence[Sequence[str]]) -> float:
    """Self-BLEU, each text compared with each other."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smooth = SmoothingFunction().method1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [
            sentence_bleu([*texts[:place], *texts[place + 1 :]], words, smoothing_function=smooth)
            for place, words in enumerate(texts)
        ]
    return fsum(scores) / len(texts)


@pytest.mark.parametrize(("n", "share"), [(1, 4 / 6), (2, 3 / 4), (3, 1), (4, None)])
def test_distinct(n: int, share: float | None) -> None:
    """No n-gram reaches from one text into the next."""
    assert distinct([["write", "a", "poem"], ["write", "a", "letter"], []], n) == share


def test_distinct_of_nothing() -> None:
    """Without texts there is no share."""
    assert distinct([], 2) is None


@settings(max_examples=100, deadline=None, derandomize=True)
@given(texts=texts, n=st.integers(1, 4))
def test_distinct_as_defined(texts: Texts, n: int) -> None:
    """For any texts."""
    assert distinct(texts, n) == defined(texts, n)


def test_distinct_of_many_texts() -> None:
    """More than are in memory at a time; n-grams come again in later texts."""
    rng = random.Random(3)
    words = [f"w{number}" for number in range(200)]
    texts = [rng.choices(words, k=rng.randrange(6)) for _ in range(45_000)]
    for n in (1, 2, 3):
        assert distinct(texts, n) == defined(texts, n)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(texts=texts.filter(lambda texts: len(texts) > 1))
def test_self_bleu_as_nltk(texts: Texts) -> None:
    """For any texts, also empty ones and copies."""
    assert self_bleu(texts) == pytest.approx(by_nltk(texts), abs=1e-12)


def test_self_bleu_of_many_texts_as_nltk() -> None:
    """For texts as long as instructions."""
    rng = random.Random(3)
    made = [rng.choices([f"w{place}" for place in range(60)], k=rng.randint(1, 30)) for _ in range(40)]
    assert self_bleu(made) == pytest.approx(by_nltk(made), abs=1e-12)


def test_self_bleu_from_none_to_one() -> None:
    """Nothing in common, only copies, and too few texts."""
    assert self_bleu([list("abcd"), list("efgh")]) == 0
    assert self_bleu([list("abcd")] * 3) == 1
    assert self_bleu([list("abcd")]) is None
