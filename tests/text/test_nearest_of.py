"""The nearest other text, and the nearest earlier one, of some texts; beside rouge-score itself."""

from __future__ import annotations

import pytest
from rouge_score import rouge_scorer

from selfinstruct.text.diversity import nearest_of, nearest_other

TEXTS = [
    "Write a poem about rain.",
    "List three bridges.",
    "Write a poem about snow.",
    "Write a short letter about snow.",
    "List three old bridges.",
]


def by_hand(place: int, others: list[int]) -> float | None:
    """The score to the nearest of these, by comparing with each."""
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    scores = [scorer.score(TEXTS[place], TEXTS[other])["rougeL"].fmeasure for other in others]
    return max(scores, default=None)


@pytest.mark.parametrize("copies", [1, 20, 50])  # 50: more texts than are compared at once
@pytest.mark.parametrize("earlier", [False, True])
def test_it_compares_with_every_other_text(copies: int, earlier: bool) -> None:
    """Also where the texts are more than one table has rows; the earliest has nothing before it."""
    filler = [f"{number} {number + 1} {number + 2}" for number in range(0, 3 * 32 * (copies - 1), 3)]
    places = [len(filler) + place for place in range(len(TEXTS))]
    found = nearest_of([*filler, *TEXTS], places, earlier=earlier)
    for place, score in enumerate(found):
        others = [other for other in range(len(TEXTS)) if (other < place if earlier else other != place)]
        wanted = by_hand(place, others)
        assert score == (0.0 if wanted is None and filler else wanted)


def test_some_of_the_texts() -> None:
    """Each as among all of them; a text alone has no other."""
    every = nearest_other(TEXTS)
    assert nearest_of(TEXTS, [1, 4]) == [every[1], every[4]]
    assert nearest_of(TEXTS[:1], [0]) == [None]
    assert nearest_of(TEXTS, []) == []
