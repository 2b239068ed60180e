"""The numbers of a sweep over trainings, such as the paper's ablations: what was set, and what it brought.

A sweep over one number, such as finetune.examples, is a curve; over that and another key, several curves; any
other is a list of settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfinstruct.report.numbers.comparison import settings
from selfinstruct.report.numbers.tuning_files import Comparison, Difference, Job
from selfinstruct.report.numbers.verdict import named, says

EXAMPLES = "finetune.examples"


def ablation(found: Comparison) -> dict[str, Any]:
    """The numbers of a sweep.

    Args:
        found: what comparison.json has.

    Returns:
        `keys`: what was swept; `axis`: the key of the curve, None if it is a list; `metric` and `title`;
        `base`: the score of the base, None if there are several; `points`: for each job that was evaluated
        its `job`, `label`, `series`, `x`, `examples`, `words`, `score`, `base`, `difference`, `says`;
        `missing`: jobs without an evaluation.
    """
    rows = settings([job.overrides for job in found.jobs])
    values = {row["key"]: row["values"] for row in rows}
    done = [place for place, job in enumerate(found.jobs) if job.evaluation and job.evaluation.differences]
    axis = _axis(values, done)
    points = [
        _point(found.jobs[place], {key: row[place] for key, row in values.items()}, axis) for place in done
    ]
    if axis:
        points.sort(key=lambda one: (one["series"], one["x"]))
    bases = {tuple(one["base"].values()) for one in points}
    return {
        "keys": list(values),
        "axis": axis,
        "metric": points[0]["difference"]["metric"] if points else None,
        "title": named(points[0]["difference"]["metric"]) if points else "",
        "base": points[0]["base"] if len(bases) == 1 else None,
        "points": points,
        "missing": [job.folder for place, job in enumerate(found.jobs) if place not in done],
    }


def _point(job: Job, own: dict[str, Any], axis: str | None) -> dict[str, Any]:
    evaluation = job.evaluation
    assert evaluation is not None
    first: Difference = evaluation.differences[0]
    base, tuned = evaluation.models[first.before], evaluation.models[first.after]
    others = {key: value for key, value in own.items() if key != axis}
    x = _number(own[axis]) if axis else None
    if axis == EXAMPLES and job.examples is not None:
        x = float(job.examples)  # those that there were
    return {
        "job": job.folder,
        "label": _label(own) or f"job {job.folder}",
        "series": _label(others),
        "x": x,
        "examples": job.examples,
        "words": tuned.words,
        "score": tuned.scores[first.metric].model_dump(),
        "base": base.scores[first.metric].model_dump(),
        "difference": first.model_dump(),
        "says": says(first, evaluation.confidence, "its base", "the tuned model"),
    }


def _axis(values: dict[str, Sequence[Any]], done: Sequence[int]) -> str | None:
    """The key whose values are the horizontal axis; None if there is none."""
    numeric = [key for key, row in values.items() if all(_number(row[place]) is not None for place in done)]
    if EXAMPLES in numeric:
        return EXAMPLES
    return numeric[0] if len(values) == 1 and numeric else None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _label(own: dict[str, Any]) -> str:
    """Settings as a reader knows them; a key that was not typed is left out."""
    return ", ".join(f"{key}={value}" for key, value in own.items() if value is not None)
