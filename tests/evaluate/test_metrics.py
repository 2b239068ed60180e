"""The scores: equal to those of the packages that define them, over real and random texts."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import lines

from selfinstruct.evaluate.metrics import (
    chrf,
    exact_match,
    fitting,
    rouge_l,
    rouge_l_characters,
    scorable,
    scored,
)

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["run", "running", "runs", "it's", "the", "cafés", "1,000.5", "naïve", "don't", "ties", "caresses"]
WORDS += ["Straße", "x_y", "日本", "\u2028", "I\u0307", "ﬁne", "agreed", "-", "C++", "hopping", "…"]


@cache
def texts() -> list[str]:
    """Outputs of our own seed tasks, and texts of random words with the cases that tokenizers differ in."""
    rows = lines(ROOT / "seeds/starter_en.jsonl")
    real = [one["output"] for row in rows for one in row["instances"]]
    drawn = random.Random(1)
    made = [drawn.choice([" ", "\n", ", "]).join(drawn.choices(WORDS, k=size)) for size in range(1, 60)]
    return [*real, *made, "…", "日本"]


def pairs(count: int) -> list[tuple[str, str]]:
    """So many pairs of these texts; some are a part of each other."""
    drawn, found = random.Random(2), texts()
    some = [(drawn.choice(found), drawn.choice(found)) for _ in range(count)]
    return some + [(text[: len(text) // 2], text) for text in found]


def scorer() -> Any:
    """rouge-score's own, as the paper's evaluation sets it up."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def test_rouge_l_equals_rouge_score() -> None:
    """To the last bit."""
    theirs = scorer()
    for answer, reference in pairs(300):
        assert rouge_l(answer, reference) == theirs.score(reference, answer)["rougeL"].fmeasure * 100


def test_rouge_l_of_the_paper_s_tasks_equals_rouge_score(shared: Path) -> None:
    """Over its 252 references, each with the one before it as the answer."""
    references = [row["instances"][0]["output"] for row in lines(shared / "user_oriented_instructions.jsonl")]
    theirs = scorer()
    found = [rouge_l(a, b) for a, b in zip(references[1:], references, strict=False)]
    assert found == [
        theirs.score(b, a)["rougeL"].fmeasure * 100 for a, b in zip(references[1:], references, strict=False)
    ]
    assert sum(found) > 0


def test_chrf_equals_sacrebleu() -> None:
    """Its sentence score with the default settings, also for texts shorter than six characters."""
    sacrebleu = pytest.importorskip("sacrebleu.metrics")
    theirs = sacrebleu.CHRF()
    short = [("ab", "abc"), ("a", "a"), ("a", "b"), ("日本語", "日本"), ("abcdefg", "x")]
    for answer, reference in [*pairs(200), *short]:
        assert chrf(answer, reference) == pytest.approx(theirs.sentence_score(answer, [reference]).score)


def test_chrf_and_characters_by_hand() -> None:
    """Of two letters of three: 2 / 2 and 2 / 3 for single ones, 1 / 1 and 1 / 2 for pairs."""
    precision, recall = (2 / 2 + 1 / 1) / 2, (2 / 3 + 1 / 2) / 2
    assert chrf("ab", "abc") == pytest.approx(100 * 5 * precision * recall / (4 * precision + recall))
    assert rouge_l_characters("東京タワー", "東京 都") == pytest.approx(
        200 * (2 / 5) * (2 / 3) / (2 / 5 + 2 / 3)
    )
    assert rouge_l_characters("ＡＢ", "ab") == 100


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("Positive.", "positive", 100),
        ('  "POS  itive" ', "pos itive", 100),
        ("はい。", "はい", 100),
        ("not positive", "positive", 0),
        ("C+", "c", 100),  # Super-NaturalInstructions removes all of ASCII's punctuation
    ],
)
def test_exact_match(answer: str, reference: str, score: float) -> None:
    """Without case, punctuation and white space."""
    assert exact_match(answer, reference) == score


@pytest.mark.parametrize("metric", ["rouge_l", "rouge_l_characters", "chrf", "exact_match"])
def test_the_best_reference_counts_and_no_answer_is_0(metric: str) -> None:
    """From 0 to 100."""
    assert scored(metric, "a blue boat", ["red", "a blue boat"]) == pytest.approx(100)
    assert scored(metric, " \n", ["red"]) == scored(metric, None, ["red"]) == 0
    assert scored(metric, "!?", ["red"]) == 0


def test_the_language_decides() -> None:
    """rouge-score reads only a to z, and finds nothing to compare in other scripts."""
    assert [fitting(tag) for tag in ("en", "en-GB", "de")] == [["rouge_l"], ["rouge_l"], ["chrf"]]
    assert fitting("zh-Hant") == fitting("ja") == ["rouge_l_characters", "chrf"]
    assert not scorable("rouge_l", "Добрый день") and scorable("chrf", "Добрый день")
