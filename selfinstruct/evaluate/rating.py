"""Ratings of answers by a rubric, A to D: what raters get to see, and the figures of each model.

A rater is the judge or the people together. Both get the same rows, which say nothing about the models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.records import stream

Figures = dict[str, Any]
# The mean of values with the ends of its interval; the second argument has the group of each value. Answers
# to tasks with the same instruction are not independent, so they are drawn together (see `bootstrap`).
Spread = Callable[[Sequence[float], Sequence[str]], Figures]


@dataclass(frozen=True)
class Sheet:
    """The rows for raters, and the key to them.

    Attributes:
        rows: what a rater sees, in the order of the file.
        key: for each row, what it is about: its task, and the models of the answers.
        identical: the pairs that nobody has to compare; see `pairs`.
    """

    rows: list[dict[str, str]]
    key: list[dict[str, Any]]
    identical: list[dict[str, Any]]


def sheet(tasks: Sequence[Task], models: Sequence[Answers], seed: int) -> Sheet:
    """A row for each answer, in an order drawn with the seed.

    Args:
        tasks: the tasks.
        models: the answers of each model, in the order of the tasks.
        seed: the seed of the order.
    """
    found = [
        (
            {"instruction": task.instruction, "input": task.input, "answer": text or ""},
            {"task": task.id, "model": answers.model},
        )
        for answers in models
        for task, text in zip(tasks, answers.texts, strict=True)
    ]
    stream(seed, "rating").shuffle(found)
    return Sheet([row for row, _ in found], [key for _, key in found], [])


def figures(
    models: Sequence[str],
    levels: Sequence[str],
    found: Sheet,
    given: Mapping[int, str],
    spread: Spread,
) -> Figures:
    """What a rater's ratings say of each model, in percent of the answers that have a rating.

    Args:
        models: the models, in order.
        levels: the levels, from best to worst.
        found: the rows and the key.
        given: the level by the place of the row; rows without a rating are left out.
        spread: the interval of a mean.

    Returns:
        {"models": {name: {"rated", "left_out", "levels": {level: {"count", mean, low, high}}, "at_least":
        {level: {mean, low, high}}}}, "differences": [{"before", "after", "at_least", mean, low, high,
        "shown"}]}. Differences are paired: of the tasks where both answers have a rating.
    """
    by_model: dict[str, dict[str, str]] = {name: {} for name in models}
    for place, level in sorted(given.items()):
        by_model[found.key[place]["model"]][found.key[place]["task"]] = level
    asked = {name: sum(one["model"] == name for one in found.key) for name in models}
    rows = zip(found.key, found.rows, strict=True)
    groups = {key["task"]: row["instruction"] for key, row in rows}
    return {
        "models": {name: _of_model(levels, by_model[name], asked[name], groups, spread) for name in models},
        "differences": [
            one
            for before, after in combinations(models, 2)
            for level in levels[:-1]
            if (one := _difference(levels, level, before, after, by_model, groups, spread))
        ],
    }


def _of_model(
    levels: Sequence[str],
    given: Mapping[str, str],
    asked: int,
    groups: Mapping[str, str],
    spread: Spread,
) -> Figures:
    found: Figures = {"rated": len(given), "left_out": asked - len(given), "levels": {}, "at_least": {}}
    own = [groups[task] for task in given]
    for place, level in enumerate(levels):
        hits = [100.0 * (one == level) for one in given.values()]
        found["levels"][level] = {"count": sum(map(bool, hits)), **spread(hits, own)}
        reached = [100.0 * (levels.index(one) <= place) for one in given.values()]
        found["at_least"][level] = spread(reached, own)
    return found


def _difference(
    levels: Sequence[str],
    level: str,
    before: str,
    after: str,
    by_model: Mapping[str, Mapping[str, str]],
    groups: Mapping[str, str],
    spread: Spread,
) -> Figures | None:
    """How much larger the share of answers of at least this level is; None without a task in common."""

    def good(name: str, task: str) -> float:
        return 100.0 * (levels.index(by_model[name][task]) <= levels.index(level))

    both = sorted(by_model[before].keys() & by_model[after].keys())
    if not both:
        return None
    more = [good(after, task) - good(before, task) for task in both]
    found = spread(more, [groups[task] for task in both])
    shown = found["low"] > 0 or found["high"] < 0
    return {
        "before": before,
        "after": after,
        "at_least": level,
        "tasks": len(both),
        **found,
        "shown": shown,
    }
