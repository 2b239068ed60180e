"""The summary of a review in the report, in the paper's form (arXiv 2212.10560, table 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

from selfinstruct.report.agreement import by_reviewer, summed_up
from selfinstruct.run_folder.opened import OpenedRun

FACTS = "review/"


def review_summary(run: OpenedRun, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The summary; None if nobody has reviewed a record.

    Args:
        run: the run.
        config: its saved config, which has the questions.
    """
    reviews = {name: rows for name, rows in by_reviewer(_given(run)).items() if rows}
    if not reviews:
        return None
    questions = (config.get("review") or {}).get("questions") or {}
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
    }


def _given(run: OpenedRun) -> dict[str, Any]:
    """The reviews that were not taken back."""
    return {key: review for key, review in run.journal.facts(FACTS).items() if review and "answers" in review}


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
