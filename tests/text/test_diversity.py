"""The figures of diversity: known cases, and rouge-score itself on real instructions."""

from __future__ import annotations

import random
from functools import cache, lru_cache
from math import fsum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import lines
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from selfinstruct.text.diversity import (
    HOW_TO_READ,
    diversity,
    mean_lengths,
    measures,
    nearest_other,
    nearest_seed,
)
from selfinstruct.text.tokenizers import comparing, tokenizer

TEXTS = ["Write a poem about rain.", "Write a poem, about snow!", "List the oldest bridges", "Translate"]
SEEDS = ["Write a letter", "list the oldest bridges"]


@cache
def scorer(language: str) -> Any:
    """rouge-score's own, with the language's tokenizer."""
    once = SimpleNamespace(tokenize=lru_cache(maxsize=None)(tokenizer(comparing(language))))
    return rouge_scorer.RougeScorer(["rougeL"], tokenizer=once)


def rouge_l(first: str, second: str, language: str) -> float:
    """The F-measure as rouge-score has it, with the language's tokenizer."""
    return float(scorer(language).score(first, second)["rougeL"].fmeasure)


def by_hand(texts: list[str], seeds: list[str], language: str) -> tuple[list[float], list[float]]:
    """The scores to the nearest seed and to the nearest other, by comparing each with each."""
    to_seed = [max(rouge_l(text, seed, language) for seed in seeds) for text in texts]
    to_other = [
        max(rouge_l(text, other, language) for at, other in enumerate(texts) if at != place)
        for place, text in enumerate(texts)
    ]
    return to_seed, to_other


def test_english() -> None:
    """Case and punctuation make no difference to openings and likeness; words stand between spaces."""
    found = diversity(TEXTS, SEEDS)
    assert found["distinct_first_words"] == 3, "write, list, translate"
    assert found["distinct_openings"] == 3, "write a, list the, translate"
    assert found["mean_rouge_l_seed"] == pytest.approx((0.5 + 0.5 + 1 + 0) / 4)
    assert found["mean_rouge_l_other"] == pytest.approx((0.8 + 0.8 + 0 + 0) / 4)
    assert found["mean_novelty"] == pytest.approx(1 - (0.8 + 0.8 + 1 + 0) / 4)
    assert found["mean_words"] == (5 + 5 + 4 + 1) / 4


def test_openings_are_two_words() -> None:
    """Texts with one first word may open differently, and their third word makes no difference."""
    found = diversity(["Write a poem", "Write a letter", "Write two poems", "write"], [])
    assert (found["distinct_first_words"], found["distinct_openings"]) == (1, 3)


@pytest.mark.parametrize(
    ("language", "texts", "seeds", "words"),
    [
        ("ja", ["雨の詩を書いて", "雪の詩を書いて。", "橋を数えて"], ["橋を数える"], (7 + 7 + 5) / 3),
        ("zh-CN", ["写一首诗关于雨", "写一首诗关于雪。", "数一数桥"], ["数一数路"], (7 + 7 + 4) / 3),
    ],
)
def test_languages_without_spaces(language: str, texts: list[str], seeds: list[str], words: float) -> None:
    """In Japanese and Chinese each character is a word, and punctuation is none."""
    found = diversity(texts, seeds, language)
    assert found["mean_words"] == words
    assert found["distinct_first_words"] == len({text[0] for text in texts})
    assert found["distinct_openings"] == len({text[:2] for text in texts})
    assert nearest_other(texts, language)[:2] == [rouge_l(texts[0], texts[1], language)] * 2
    assert found["mean_rouge_l_other"] == pytest.approx(fsum(by_hand(texts, seeds, language)[1]) / 3)
    assert nearest_seed(texts, seeds, language)[2] == pytest.approx(0.8 if language == "ja" else 0.75)


def test_english_words_of_a_chinese_text() -> None:
    """The language decides: taken for English, a Chinese text has no word to compare, and is one long one."""
    found = diversity(["写一首诗", "写一首诗"], [], "en")
    assert found["distinct_first_words"] == 0
    assert found["mean_rouge_l_other"] == 0
    assert found["mean_words"] == 1


def test_no_texts() -> None:
    """Without texts there is nothing to count and no mean."""
    assert diversity([], SEEDS) == {
        "distinct_first_words": 0,
        "distinct_openings": 0,
        "mean_rouge_l_seed": None,
        "mean_rouge_l_other": None,
        "mean_novelty": None,
        "mean_words": None,
    }


def test_one_text() -> None:
    """One text has no other; what is new about it is told by the seeds alone, and by nothing without them."""
    alone = diversity(["Write a poem"], ["Write a letter"])
    assert alone["mean_rouge_l_other"] is None
    assert alone["mean_rouge_l_seed"] == pytest.approx(2 / 3)
    assert alone["mean_novelty"] == pytest.approx(1 / 3)
    none = diversity(["Write a poem"], [])
    assert (none["mean_rouge_l_seed"], none["mean_novelty"], none["mean_words"]) == (None, None, 3)


def test_two_texts() -> None:
    """Two equal texts are nothing new, two without a common word all new; that needs no seeds."""
    assert diversity(["Write a poem", "write a POEM."], [])["mean_novelty"] == 0
    assert diversity(["Write a poem", "List three rivers"], [])["mean_novelty"] == 1


def test_texts_without_words() -> None:
    """A text without a word is near to nothing, not even to its like, and opens with nothing."""
    found = diversity(["", "?!", "", "Go on"], ["", "..."])
    assert (found["distinct_first_words"], found["mean_words"]) == (1, 3 / 4)
    assert (found["mean_rouge_l_seed"], found["mean_rouge_l_other"], found["mean_novelty"]) == (0, 0, 1)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), count=st.integers(2, 70))
def test_any_number_of_texts(seed: int, count: int) -> None:
    """However many texts there are, wherever the nearest stands: rouge-score's own scores."""
    rng = random.Random(seed)
    vocabulary = [f"w{place}" for place in range(rng.choice([2, 10, 60]))]
    texts = [" ".join(rng.choices(vocabulary, k=rng.choice([0, 1, 2, 5, 9]))) for _ in range(count)]
    seeds, asked = texts[:3], texts[3:] or ["w0 w1", "w1"]
    to_seed, to_other = by_hand(asked, seeds, "en") if len(asked) > 1 else (None, [])
    assert nearest_other(asked) == to_other
    assert to_seed is None or nearest_seed(asked, seeds) == to_seed


@settings(max_examples=30, deadline=None, derandomize=True)
@given(order=st.permutations(list(range(40))))
def test_order(order: list[int]) -> None:
    """In whatever order texts and seeds come, the figures are the same to the last bit."""
    rng = random.Random(5)
    words = ["write", "list", "name", "a", "the", "two", "rivers", "poems", "letters", "of", "about", "new"]
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 9))) for _ in range(40)]
    shuffled = [texts[place] for place in order]
    assert diversity(shuffled, SEEDS[::-1]) == diversity(texts, SEEDS)


@pytest.mark.parametrize(
    ("name", "language"), [("alpaca_instructions_10k", "en"), ("alpaca_zh_instructions_3k", "zh")]
)
def test_as_rouge_score_on_real_instructions(shared: Path, name: str, language: str) -> None:
    """Each score is rouge-score's to the last bit, and the figures are the means of them."""
    rows = [row["instruction"] for row in lines(shared / f"{name}.jsonl")]
    texts, seeds = rows[:200], rows[1000:1030]
    to_seed, to_other = by_hand(texts, seeds, language)
    assert nearest_seed(texts, seeds, language) == to_seed
    assert nearest_other(texts, language) == to_other
    found = diversity(texts, seeds, language)
    assert found["mean_rouge_l_seed"] == fsum(to_seed) / 200
    assert found["mean_rouge_l_other"] == fsum(to_other) / 200
    assert found["mean_novelty"] == 1 - fsum(map(max, to_seed, to_other)) / 200


def test_mean_lengths() -> None:
    """Empty inputs do not count, empty outputs do; what is no text has no length."""
    records: list[dict[str, Any]] = [
        {"instruction": "Say hello to them", "input": "", "output": "Hello", "is_classification": False},
        {"instruction": "Say it again", "input": "to the two of us", "output": ""},
        {"instruction": "Stop", "input": "\n"},
    ]
    assert mean_lengths(records) == {
        "mean_words_instruction": 8 / 3,
        "mean_words_output": 1 / 2,
        "mean_words_input": 5,
    }
    assert mean_lengths([{"input": "你好，世界"}], "zh") == {"mean_words_input": 4}
    assert mean_lengths([{"input": " "}]) == {}
    assert mean_lengths([]) == {}


def test_measures() -> None:
    """Each by hand: 15 words, 11 of them different, and three openings, one of them twice."""
    found = {measure.name: measure for measure in measures(TEXTS, "en", [0.8, 0.7, 0.69, None], np.eye(4))}
    assert list(found) == list(HOW_TO_READ)
    assert found["distinct_1"].value == 11 / 15
    assert found["distinct_2"].value == 8 / 11
    assert found["distinct_3"].value == 6 / 8
    assert found["opening_entropy"].value == 1.5
    assert found["near_pairs"].value == 0.5
    assert 0.2 < (found["self_bleu"].value or 0) < 0.6
    assert found["vendi"].value == pytest.approx(4)
    assert "the mean BLEU of 4 texts drawn at random" in found["self_bleu"].how_to_read
    assert "as diverse as these 4, by their embeddings" in found["vendi"].how_to_read


def test_measures_without_scores_and_embeddings() -> None:
    """What needs them is left out; few texts have no value, and any text is taken as it is."""
    assert [measure.name for measure in measures(TEXTS)] == [
        *("distinct_1", "distinct_2", "distinct_3", "opening_entropy", "self_bleu")
    ]
    assert measures(["Write a poem", "Write a song", "Write one", "write"])[3].value == 1.5
    assert [measure.value for measure in measures([], nearest=[])] == [None] * 6
    values = [
        measure.value for measure in measures(["", "\0\x1b[31m", "\u202e🎉", "a " * 50_000, "x" * 1_000_000])
    ]
    assert values[:2] == [3 / 50_002, 1 / 49_999]


def test_self_bleu_of_a_sample() -> None:
    """Of more than 1,000 texts, the same 1,000 are drawn each time."""
    texts = [f"Write {place} poems about number {place % 7}" for place in range(3000)]
    first, second = (
        next(measure for measure in measures(texts) if measure.name == "self_bleu") for _ in range(2)
    )
    assert first == second
    assert "of 1,000 texts" in first.how_to_read
