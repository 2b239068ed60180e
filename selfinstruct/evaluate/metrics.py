"""Scores of an answer against its references, from 0 to 100; the best of the references counts.

To add one, write a function of an answer and its references, and name it in `METRICS` and in
`config.tuning.Metric`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

Score = Callable[[str, Sequence[str]], float]


def rouge_l(answer: str, references: Sequence[str]) -> float:
    """ROUGE-L's F-measure with Porter stemming, as the paper's evaluation has it (section 4.3)."""
    return max(float(_scorer().score(one, answer)["rougeL"].fmeasure) for one in references) * 100


METRICS: dict[str, Score] = {"rouge_l": rouge_l}


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
