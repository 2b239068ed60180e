"""The figures of a review: the shares of the answers, how sure they are, and how far reviewers agree.

Plain functions over plain data. The page of a review and the report both use them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import sqrt
from typing import Any

from selfinstruct.dataset.reviews import decided, verdict
from selfinstruct.recipe.exports import VERDICTS

Z = 1.959964  # of an interval of 95 %
Reviews = Mapping[str, Mapping[str, Mapping[str, Any]]]  # reviewer -> record id -> review


def by_reviewer(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The reviews by reviewer and record.

    Args:
        facts: the facts of a journal below `review/`, by REVIEWER/RECORD.
    """
    found: dict[str, dict[str, Any]] = {}
    for key, review in facts.items():
        reviewer, _, record = key.partition("/")
        found.setdefault(reviewer, {})[record] = review
    return found


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The Wilson score interval of a share, at 95 %: low and high, from 0 to 1.

    Unlike the plain interval it stays within 0 and 1, and it holds for few samples (Wilson 1927; Brown, Cai
    and DasGupta 2001).

    Args:
        hits: how many had the answer.
        of: how many there were; with 0, nothing is known, and the interval is 0 to 1.
    """
    if not of:
        return 0.0, 1.0
    share, square = hits / of, Z * Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z / (1 + square / of) * sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two reviewers (Cohen 1960): 1 if they always agree, 0 if no more often than by chance.

    Args:
        pairs: the two answers to each item.

    Returns:
        None without a pair, or if both gave only one and the same answer: then chance explains everything.
    """
    if not pairs:
        return None
    same = sum(one == other for one, other in pairs) / len(pairs)
    first, second = (Counter(pair[place] for pair in pairs) for place in (0, 1))
    chance = sum(first[answer] * second[answer] for answer in first) / len(pairs) ** 2
    return None if chance == 1 else (same - chance) / (1 - chance)


def weighted_kappa(pairs: Sequence[tuple[str, str]], order: Sequence[str]) -> float | None:
    """Cohen's kappa for answers that have an order, with quadratic weights (Cohen 1968).

    A disagreement by two levels counts four times as much as one by one level.

    Args:
        pairs: the two answers to each item.
        order: all answers, from one end to the other.

    Returns:
        None without a pair, or if both gave only one and the same answer.
    """
    place = {answer: number for number, answer in enumerate(order)}
    first, second = ([place[pair[side]] for pair in pairs] for side in (0, 1))
    apart = sum((one - other) ** 2 for one, other in zip(first, second, strict=True)) * len(pairs)
    by_chance = sum((one - other) ** 2 for one in first for other in second)
    return 1 - apart / by_chance if by_chance else None


def agreement(question: str, reviews: Reviews) -> list[dict[str, Any]]:
    """How far each two reviewers agree on a question.

    Returns:
        For each two with a record in common: `reviewers`, `records` (how many), `same` (a share) and `kappa`.
    """
    answers = {name: _answers(question, of) for name, of in reviews.items()}
    rows = []
    for one, other in combinations(sorted(answers), 2):
        both = sorted(answers[one].keys() & answers[other].keys())
        pairs = [(answers[one][id], answers[other][id]) for id in both]
        if pairs:
            same = sum(first == second for first, second in pairs) / len(pairs)
            rows.append(
                {"reviewers": [one, other], "records": len(pairs), "same": same, "kappa": kappa(pairs)}
            )
    return rows


def summed_up(questions: Mapping[str, Sequence[str]], reviews: Reviews) -> dict[str, Any]:
    """The summary in the form of the paper's Table 2.

    A record with several reviews counts once, with the answer that most gave; see `decided`.

    Args:
        questions: the values of each question's choices, the good one first.
        reviews: the reviews by reviewer and record.

    Returns:
        `questions`: for each, `answered` (records) and `choices`: `count`, `share`, `low` and `high` by
        value; its `agreement`. `all`: the same figures for the records whose answers are all good, among
        those with all answers. `records`: how many have an answer; `edited`: how many have an edit.
    """
    of_record: dict[str, list[Mapping[str, Any]]] = {}
    for of in reviews.values():
        for id, review in of.items():
            of_record.setdefault(id, []).append(review)
    answers = {id: found for id, some in of_record.items() if (found := decided(questions, some))}
    rows = {}
    for name, choices in questions.items():
        counts = Counter(found[name] for found in answers.values() if name in found)
        answered = sum(counts.values())
        figures = {choice: share_of(counts[choice], answered) for choice in choices}
        rows[name] = {"answered": answered, "choices": figures, "agreement": agreement(name, reviews)}
    every = [found for found in answers.values() if len(found) == len(questions)]
    good = sum(verdict(questions, found) == VERDICTS[0] for found in every)
    edited = {id for of in reviews.values() for id, review in of.items() if review.get("edit")}
    return {
        "records": len(answers),
        "edited": len(edited),
        "questions": rows,
        "all": {"answered": len(every), **share_of(good, len(every))},
    }


def share_of(hits: int, of: int) -> dict[str, Any]:
    """A count with its share and the ends of the interval; the share is None if there is nothing yet."""
    low, high = wilson(hits, of)
    return {"count": hits, "share": hits / of if of else None, "low": low, "high": high}


def _answers(question: str, reviews: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {
        id: str(review["answers"][question])
        for id, review in reviews.items()
        if question in review.get("answers", {})
    }
