"""The numbers of an evaluation: the scores of its models, by category, and what their differences say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfinstruct.report.numbers.judged import judged
from selfinstruct.report.numbers.tuning_files import Difference, Evaluated, Evaluation
from selfinstruct.report.numbers.verdict import named, says, warnings

BASE, TUNED = "its base", "the tuned model"


def scores(found: Evaluation, notes: list[str], tuned: bool = False) -> dict[str, Any]:
    """The numbers of an evaluation.

    Args:
        found: what evaluation.json has.
        notes: gets a note on a part that cannot be used.
        tuned: whether its two models are a base and the model that was tuned from it.

    Returns:
        `metrics`, `models` (each with `scores` and `at_reference_length` by metric), `differences` (each with
        `says`, a sentence, and `warnings`), `categories`, `judged`, `notes`, and what was evaluated.
    """
    tuned = tuned and len(found.models) == 2
    metrics = found.metrics or list(dict.fromkeys(key for one in found.models.values() for key in one.scores))
    roles = ["base", "tuned"] if tuned else [""] * len(found.models)
    return {
        "eval": found.eval,
        "tasks": found.tasks,
        "confidence": found.confidence,
        "words_of_references": found.words_of_references,
        "unit": found.unit,
        "metrics": [{"name": metric, "title": named(metric)} for metric in metrics],
        "models": [
            {"name": name, "role": role, **model.model_dump(include={"words", "empty"}), **_scores(model)}
            for role, (name, model) in zip(roles, found.models.items(), strict=True)
        ],
        "differences": [_difference(found, one, tuned) for one in found.differences],
        "categories": _categories(found, metrics),
        "judged": judged(found.judged, found.confidence, notes),
        "notes": [f"{one[0].upper()}{one[1:]}." for one in found.notes if one],
    }


def _scores(model: Evaluated) -> dict[str, Any]:
    return model.model_dump(include={"scores", "at_reference_length"})


def _difference(found: Evaluation, one: Difference, tuned: bool) -> dict[str, Any]:
    before, after = (BASE, TUNED) if tuned else ("", "")
    model = found.models.get(one.after)
    told = list(warnings(one, model, found.words_of_references, found.unit, after)) if model else []
    return {
        **one.model_dump(),
        "title": named(one.metric),
        "says": says(one, found.confidence, before, after),
        "warnings": told,
    }


def _categories(found: Evaluation, metrics: list[str]) -> list[dict[str, Any]]:
    """For each category and metric the mean of each model, those with the most tasks first."""
    tasks: dict[str, Any] = {}
    for model in found.models.values():
        for name, category in model.categories.items():
            tasks.setdefault(name, category.get("tasks"))
    rows = []
    for name in sorted(tasks, key=lambda one: (-(tasks[one] or 0), one)):
        for metric in metrics:
            means = [_mean(model.categories.get(name), metric) for model in found.models.values()]
            if any(mean is not None for mean in means):
                rows.append({"category": name, "tasks": tasks[name], "metric": metric, "means": means})
    return rows


def _mean(category: Mapping[str, Any] | None, metric: str) -> float | None:
    mean = (category or {}).get(metric)
    return float(mean) if isinstance(mean, int | float) else None
