"""The result of an evaluation, as it is written to evaluation.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import combinations
from statistics import median
from typing import Any

from selfinstruct.config import EvalConfig
from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.bootstrap import Interval, interval
from selfinstruct.evaluate.metrics import METRICS

MODEL, DIFFERENCES = "models", "differences"


def results(config: EvalConfig, tasks: Sequence[Task], models: Sequence[Answers]) -> dict[str, Any]:
    """The scores of several models, and the differences of each pair.

    The differences are paired: those of the two scores of each task (arXiv 2411.00640, section 4.2).

    Returns:
        {"eval", "tasks", "metrics", "models": {name: {"scores": {metric: mean, low, high}, "words",
        "at_reference_length", "empty"}}, "differences": [{"before", "after", "metric", "mean", "low", "high",
        "shown", "at_equal_length": {mean, low, high, shown}}], "words_of_references"}
    """
    metrics = config.metrics or ["rouge_l"]
    made: dict[str, Any] = {"eval": config.path, "tasks": len(tasks), "metrics": metrics, MODEL: {}}
    made["words_of_references"] = median(len(task.references[0].split()) for task in tasks)
    for answers in models:
        made[MODEL][answers.model] = {
            "scores": {
                metric: asdict(_interval(config, _scores(metric, tasks, answers.texts))) for metric in metrics
            },
            "at_reference_length": {
                metric: asdict(
                    _interval(config, _scores(metric, tasks, _at_references(tasks, answers.texts)))
                )
                for metric in metrics
            },
            "words": median(len((text or "").split()) for text in answers.texts),
            "empty": sum(not (text or "").strip() for text in answers.texts),
        }
    made[DIFFERENCES] = [
        _difference(config, metric, tasks, before, after)
        for before, after in combinations(models, 2)
        for metric in metrics
    ]
    return made


def _difference(
    config: EvalConfig, metric: str, tasks: Sequence[Task], before: Answers, after: Answers
) -> dict[str, Any]:
    def paired(shape: Callable[[str, str], tuple[str, str]]) -> dict[str, Any]:
        pairs = [shape(a or "", b or "") for a, b in zip(before.texts, after.texts, strict=True)]
        first = _scores(metric, tasks, [a for a, _ in pairs])
        second = _scores(metric, tasks, [b for _, b in pairs])
        found = _interval(config, [b - a for a, b in zip(first, second, strict=True)])
        return {**asdict(found), "shown": found.differs}

    return {
        "before": before.model,
        "after": after.model,
        "metric": metric,
        **paired(lambda a, b: (a, b)),
        "at_equal_length": paired(_both_cut),
    }


def _interval(config: EvalConfig, values: Sequence[float]) -> Interval:
    return interval(values, config.resamples, config.confidence)


def _scores(metric: str, tasks: Sequence[Task], texts: Sequence[str | None]) -> list[float]:
    """The score of each answer; an answer that is missing or empty scores 0."""
    score = METRICS[metric]
    return [score(text, task.references) if text else 0.0 for text, task in zip(texts, tasks, strict=True)]


def _at_references(tasks: Sequence[Task], texts: Sequence[str | None]) -> list[str | None]:
    """The answers, cut to as many words as their longest reference has."""
    longest = [max(len(one.split()) for one in task.references) for task in tasks]
    return [text and _cut(text, most) for text, most in zip(texts, longest, strict=True)]


def _both_cut(first: str, second: str) -> tuple[str, str]:
    """Two answers, cut to the words of the shorter one."""
    most = min(len(first.split()), len(second.split()))
    return _cut(first, most), _cut(second, most)


def _cut(text: str, words: int) -> str:
    return " ".join(text.split()[:words])
