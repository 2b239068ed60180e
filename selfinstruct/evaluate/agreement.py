"""How far the judge and people agree, and people among each other: Cohen's kappa."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfinstruct.report.numbers.agreement import Reviews, agreement, kappa, weighted_kappa

ENOUGH, POOR = 20, 0.4  # shared records; below this, agreement is at most fair (Landis and Koch 1977)


def agreed(
    question: str,
    judge: Mapping[int, str],
    people: Mapping[int, str],
    reviews: Reviews,
    order: Sequence[str] = (),
) -> dict[str, Any]:
    """The agreement on a question.

    Args:
        question: the question.
        judge: the judge's answers by the place of the record.
        people: the answers of the people together, in the same way: those that most of them gave.
        reviews: what each of them says, by reviewer and record.
        order: the answers from one end to the other, if they have an order; kappa is weighted then.

    Returns:
        {"records", "same", "kappa", "weighted_kappa", "disagrees", "between_people": [{"reviewers",
        "records", "same", "kappa"}]}. `same` is a share from 0 to 1. `disagrees` is true if 20 records or
        more have both answers, and the kappa (the weighted one, if the answers have an order) is under 0.4.
    """
    both = sorted(judge.keys() & people.keys())
    pairs = [(judge[id], people[id]) for id in both]
    plain = kappa(pairs)
    weighted = weighted_kappa(pairs, order) if order else None
    decisive = weighted if order else plain
    return {
        "records": len(pairs),
        "same": sum(one == other for one, other in pairs) / len(pairs) if pairs else None,
        "kappa": plain,
        "weighted_kappa": weighted,
        "disagrees": len(pairs) >= ENOUGH and decisive is not None and decisive < POOR,
        "between_people": agreement(question, reviews),
    }
