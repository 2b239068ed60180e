"""The statistics of judging, held against values that were worked out by hand."""

from __future__ import annotations

import pytest

from selfinstruct.evaluate.agreement import agreed
from selfinstruct.evaluate.at_equal_length import corrected
from selfinstruct.evaluate.pairs import of_judge
from selfinstruct.report.numbers.agreement import weighted_kappa


def test_weighted_kappa() -> None:
    """1 - 8/26: the squares of the distances are 0, 1, 0, 1, and of all combinations 26."""
    pairs = [("A", "A"), ("B", "C"), ("C", "C"), ("A", "B")]
    assert weighted_kappa(pairs, "ABC") == pytest.approx(1 - 8 / 26)
    assert weighted_kappa(pairs[:1], "ABC") is None
    assert weighted_kappa([], "ABC") is None


def test_weighted_kappa_and_how_far_apart() -> None:
    """A for D is worse than A for B, which plain kappa does not see."""
    near, far = [("A", "B"), ("D", "D")] * 5, [("A", "D"), ("D", "D")] * 5
    assert weighted_kappa(near, "ABCD") == pytest.approx(1 - 0.5 / 3.5)  # 3.5 by chance
    assert weighted_kappa(far, "ABCD") == pytest.approx(0.0)


def test_the_win_rate_at_equal_length() -> None:
    """Where the answer is longer it wins 3 of 4, where it is shorter 2 of 4: log odds of 1.0986 and 0.

    At equal length the log odds are half of 1.0986, which is a win rate of 0.634.
    """
    wins = [1.0, 1.0, 1.0, 0.0] * 500 + [1.0, 0.0] * 1000
    longer_by = [30.0] * 2000 + [-30.0] * 2000
    found = corrected(wins, longer_by, list(map(str, range(4000))), resamples=50, confidence=0.95)
    assert found.mean == pytest.approx(0.634, abs=0.001)
    assert found.low < 0.634 < found.high
    assert found.high - found.low < 0.06


def test_a_judge_that_only_sees_length() -> None:
    """The longer answer wins whoever wrote it; three in four are longer. At equal length none is better."""
    longer_by = [float(n) + 0.5 for n in range(-50, 150)]
    wins = [float(one > 0) for one in longer_by]
    found = corrected(wins, longer_by, list(map(str, range(200))), resamples=200, confidence=0.95)
    assert sum(wins) / len(wins) == 0.75
    assert found.low < 0.5 < found.high


@pytest.mark.parametrize(("wins", "rate"), [([1, 0, 0.5, 0.5], 0.5), ([1, 1, 1, 0], 0.75)])
def test_answers_of_one_length(wins: list[float], rate: float) -> None:
    """Nothing is corrected."""
    found = corrected(wins, [0.0] * 4, list("abcd"), resamples=100, confidence=0.95)
    assert found.mean == pytest.approx(rate, abs=0.001)


def test_one_that_always_wins() -> None:
    """The rate is nearly 1, and finite."""
    found = corrected([1.0] * 8, [float(n) for n in range(8)], list("abcdefgh"), 100, 0.95)
    assert 0.95 < found.low <= found.mean < 1


def test_tasks_of_one_group_are_drawn_together() -> None:
    """Two instructions with a hundred instances each are two draws, so the interval is wide."""
    wins = [1.0] * 100 + [0.0] * 100
    apart = corrected(wins, [0.0] * 200, list(map(str, range(200))), 200, 0.95)
    together = corrected(wins, [0.0] * 200, ["a"] * 100 + ["b"] * 100, 200, 0.95)
    assert apart.high - apart.low < 0.2
    assert together.high - together.low > 0.9


@pytest.mark.parametrize(
    ("straight", "swapped", "better", "named", "changed"),
    [
        ("first", "second", "first", (True, False), False),
        ("second", "first", "second", (False, True), False),
        ("first", "first", "tie", (True, True), True),  # whichever is shown first
        ("second", "second", "tie", (False, False), True),
        ("tie", "first", "tie", (True,), True),
        ("tie", "tie", "tie", (), False),
    ],
)
def test_both_positions(
    straight: str, swapped: str, better: str, named: tuple[bool, ...], changed: bool
) -> None:
    """Only a verdict that holds in both positions is a win."""
    found = of_judge(straight, swapped)
    assert (found.better, found.named, found.changed) == (better, named, changed)


@pytest.mark.parametrize(("records", "disagrees"), [(20, True), (18, False)])
def test_a_judge_that_disagrees(records: int, disagrees: bool) -> None:
    """It is said only where enough records have both."""
    judge = {place: "AD"[place % 2] for place in range(records)}
    people = {place: "AABD"[place % 4] for place in range(records)}
    found = agreed("rating", judge, people, {}, ())
    assert found["records"] == records
    assert agreed("rating", judge, {**people, 99: "A"}, {}, ())["records"] == records
    flat = dict.fromkeys(range(records), "A") | {0: "D"}
    assert agreed("rating", judge, flat, {}, ())["disagrees"] is disagrees
