"""The choice of two among the answers to a record: the best pair by a score, or two drawn to be compared.

What is not chosen has a reason: the check that rejects the record, and why.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from selfinstruct.records import Record, Rejection
from selfinstruct.stages.lengths import LENGTH_BIAS, Tally
from selfinstruct.stages.numbers import number

# The checks that reject a record without a pair, besides `length_bias`.
ONE_ANSWER, UNSCORED, IDENTICAL, MARGIN = "one_answer", "unscored", "identical_answers", "margin"
NoPair = tuple[str, Rejection]  # a check, and the reason


@dataclass(frozen=True)
class Answer:
    """An answer to a record.

    Attributes:
        record: the record with the answer.
        text: the answer, stripped.
        score: its score; None if it has none.
    """

    record: Record
    text: str
    score: float | None = None


@dataclass(frozen=True)
class Two:
    """Two answers to the same record, the better one first if that is known."""

    first: Answer
    second: Answer

    @property
    def gap(self) -> float:
        """How much better the first one is, by their scores."""
        return (self.first.score or 0) - (self.second.score or 0)

    @property
    def place(self) -> tuple[float, int]:
        """Pairs further apart come first, then those with similar lengths; sorting is stable."""
        return -self.gap, abs(len(self.first.text) - len(self.second.text))


def answer(record: Record, field: str, by: str | None) -> Answer:
    """An answer from a record with the answer's field and the score's."""
    text = str(record.data.get(field, "")).strip()
    return Answer(record, text, number(record.data.get(by)) if by else None)


def drawn(answers: Sequence[Answer], rng: random.Random) -> Two | NoPair:
    """Two answers with different texts, in a drawn order."""
    different = list({one.text: one for one in reversed(answers)}.values())[::-1]
    if len(different) < 2:
        return _too_few(answers)
    first, second = rng.sample(different, 2)
    return Two(first, second)


def best(answers: Sequence[Answer], by: str, margin: float, tally: Tally) -> Two | NoPair:
    """The better and the worse answer, with the largest difference of scores that is allowed.

    Args:
        answers: the answers, in order.
        by: the name of the score, for the reasons.
        margin: the least difference.
        tally: the pairs so far, which decides whether the chosen one may be longer.
    """
    if len({one.text for one in answers}) < 2:
        return _too_few(answers)
    scored = [one for one in answers if one.score is not None]
    if len(scored) < 2:
        what = f"{len(answers) - len(scored)} of its {len(answers)} answers have no number in {by}"
        return UNSCORED, Rejection(f"{what}, so there are no two to compare")
    pairs = [Two(one, other) for one, other in permutations(scored, 2) if one.text != other.text]
    if not pairs:
        return _too_few(scored)
    apart = sorted((two for two in pairs if two.gap >= margin), key=lambda two: two.place)
    if not apart:
        most = max(two.gap for two in pairs)
        what = f"the scores of its different answers are {most:g} apart at most, less than {margin:g}"
        return MARGIN, Rejection(what, {"score": most})
    allowed = [two for two in apart if tally.allows(two.first.text, two.second.text)]
    return allowed[0] if allowed else (LENGTH_BIAS, tally.rejection)


def _too_few(answers: Sequence[Answer]) -> NoPair:
    if len(answers) < 2:
        there = "only one accepted answer" if answers else "no accepted answer"
        return ONE_ANSWER, Rejection(f"it has {there}, and a pair needs two")
    return IDENTICAL, Rejection(f"its {len(answers)} answers are all the same")
