"""The summary of a review in the report, in the paper's form (arXiv 2212.10560, table 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

from selfinstruct.report.numbers.agreement import by_reviewer, summed_up
from selfinstruct.run_folder.opened import OpenedRun

FACTS = "review/"


def review_summary(run: OpenedRun, questions: Mapping[str, Any]) -> dict[str, Any] | None:
    """The summary; None if nobody has reviewed a record.

    Args:
        run: the run.
        questions: the questions by name, each with its text and its choices, the good one first.
    """
    reviews = by_reviewer(_given(run))
    if not reviews:
        return None
    choices = {name: list(question["choices"]) for name, question in questions.items()}
    found = summed_up(choices, reviews)
    every = found["all"]
    return {
        "reviewers": [{"name": name, "reviewed": len(rows)} for name, rows in sorted(reviews.items())],
        "questions": [
            _question(name, questions[name], figures) for name, figures in found["questions"].items()
        ],
        "all_good": {
            "share": every["share"],
            "interval": [every["low"], every["high"]],
            "answered": every["answered"],
        },
        "records": found["records"],
        "edited": found["edited"],
        "other_questions": sum(
            _is_other(one, questions) for rows in reviews.values() for one in rows.values()
        ),
    }


def _given(run: OpenedRun) -> dict[str, Any]:
    """The reviews that were not taken back."""
    facts = run.journal.facts(FACTS)
    return {key: review for key, review in facts.items() if review and review.get("answers")}


def _is_other(review: Mapping[str, Any], questions: Mapping[str, Any]) -> bool:
    """Whether a review answers none of these questions, as if it was made with others (`review=NAME`)."""
    return not any(name in questions for name in review["answers"])


def _question(name: str, question: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    good = figures["choices"][next(iter(question["choices"]))]
    pairs: Sequence[Mapping[str, Any]] = figures["agreement"]
    kappas = [pair["kappa"] for pair in pairs if pair["kappa"] is not None]
    return {
        "name": name,
        "text": question["text"],
        "answered": figures["answered"],
        "choices": [
            {"value": value, "text": choice["text"], "count": figures["choices"][value]["count"]}
            for value, choice in question["choices"].items()
        ],
        "share_good": good["share"],
        "interval": [good["low"], good["high"]],
        "kappa": fsum(kappas) / len(kappas) if kappas else None,
        "both": sum(pair["records"] for pair in pairs),
        "agreement": list(pairs),
    }
