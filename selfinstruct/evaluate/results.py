"""The result of an evaluation, as it is written to evaluation.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import median
from typing import Any

from selfinstruct.config import EvalConfig
from selfinstruct.evaluate import lengths
from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.bootstrap import FEW, Interval, intervals
from selfinstruct.evaluate.classification import labelled
from selfinstruct.evaluate.metrics import EXACT_MATCH, fitting, scored
from selfinstruct.evaluate.notes import notes

MODEL, DIFFERENCES = "models", "differences"
Column = list[float]


def results(config: EvalConfig, tasks: Sequence[Task], models: Sequence[Answers]) -> dict[str, Any]:
    """The scores of several models, and the differences of each pair.

    The differences are paired: those of the two scores of each task (arXiv 2411.00640, section 4.2). Scores
    are from 0 to 100. An answer that is missing or empty scores 0. Of a metric that only some tasks have
    (exact_match, where some tasks ask for a label), these alone count.

    Returns:
        {"eval": the path, "tasks", "metrics", "language", "unit": words or characters, "confidence",
        "classification": tasks that ask for a label, "groups": different instructions, "words_of_references":
        the median length in that unit,
        "models": {name: {"scores": {metric: {mean, low, high, tasks}},
          "at_reference_length": the same with each answer cut to its reference's length, "words": the median
          length of its answers, "empty", "cut": answers that ended at max_tokens (null: not known),
          "missing": tasks without an answer, "matched": how predictions were matched, "run": its folder's
          name or null, "categories": {category: {"tasks", metric: mean, "intervals": {metric: {low, high}},
          only with ten tasks or more}}}},
        "differences": [{"before", "after", "metric", mean, low, high, "shown": whether zero is outside,
          "tasks", "at_reference_length": {mean, low, high, shown, tasks}, "at_equal_length": the same}],
        "notes": what to bear in mind, in words}
    """
    table = _Table(config, tasks, models)
    made: dict[str, Any] = {
        "eval": config.path,
        "tasks": len(tasks),
        "metrics": table.metrics,
        "language": config.language,
        "unit": table.unit,
        "confidence": config.confidence,
        "classification": sum(table.labelled),
        "groups": len(set(table.groups)),
        "words_of_references": _middle([table.length(one) for task in tasks for one in task.references[:1]]),
        MODEL: {answers.model: table.model(answers) for answers in models},
        DIFFERENCES: [
            table.difference(metric, before, after)
            for before, after in combinations(models, 2)
            for metric in table.metrics
        ],
    }
    return {**made, "notes": notes(made)}


def metrics_of(config: EvalConfig, tasks: Sequence[Task]) -> list[str]:
    """The metrics that are scored: those of the config, or those that fit the language and the tasks."""
    if config.metrics is None:
        return []
    labels = [EXACT_MATCH] if any(labelled(tasks)) else []
    return [*config.metrics] or [*fitting(config.language), *labels]


def counted(metric: str, labels: Sequence[bool]) -> list[int]:
    """The places of the tasks that count for a metric; `labels` says which tasks ask for a label."""
    some = metric == EXACT_MATCH and any(labels)
    return [place for place, label in enumerate(labels) if label or not some]


@dataclass
class _Table:
    """The scores of all answers, from which means and differences are taken."""

    config: EvalConfig
    tasks: Sequence[Task]
    models: Sequence[Answers]

    def __post_init__(self) -> None:
        self.metrics = metrics_of(self.config, self.tasks)
        self.unit = lengths.unit_of(self.config.language)
        self.labelled = labelled(self.tasks)
        self.groups = [task.instruction for task in self.tasks]
        self.whole = {
            (answers.model, metric): self.scores(metric, answers.texts)
            for answers in self.models
            for metric in self.metrics
        }
        self.as_long = {
            (answers.model, metric): self.scores(metric, answers.texts, self.as_reference)
            for answers in self.models
            for metric in self.metrics
        }

    def length(self, text: str | None) -> int:
        return lengths.length(text, self.unit)

    def as_reference(self, text: str, reference: str) -> str:
        return lengths.cut(text, self.length(reference), self.unit)

    def scores(
        self,
        metric: str,
        texts: Sequence[str | None],
        cut: Callable[[str, str], str] = lambda text, reference: text,
    ) -> Column:
        """The score of each answer; each reference is compared with the answer as `cut` leaves it."""
        return [
            max((scored(metric, cut(text, one), [one]) for one in task.references), default=0.0)
            if text
            else 0.0
            for text, task in zip(texts, self.tasks, strict=True)
        ]

    def counted(self, metric: str) -> list[int]:
        return counted(metric, self.labelled)

    def found(self, columns: Sequence[Column], places: Sequence[int]) -> list[dict[str, Any]]:
        """Means with intervals of columns of scores, over the tasks at these places."""
        if not places:
            return [{"mean": 0.0, "low": 0.0, "high": 0.0, "tasks": 0} for _ in columns]
        picked = [[column[place] for place in places] for column in columns]
        groups = [self.groups[place] for place in places]
        many = intervals(picked, self.config.resamples, self.config.confidence, 0, groups)
        return [{**asdict(one), "tasks": len(places)} for one in many]

    def model(self, answers: Answers) -> dict[str, Any]:
        scores, as_long = {}, {}
        for metric in self.metrics:
            columns = [self.whole[answers.model, metric], self.as_long[answers.model, metric]]
            scores[metric], as_long[metric] = self.found(columns, self.counted(metric))
        return {
            "scores": scores,
            "at_reference_length": as_long,
            "words": _middle([self.length(text) for text in answers.texts]),
            "empty": sum(not (text or "").strip() for text in answers.texts),
            "missing": sum(text is None for text in answers.texts),
            "cut": answers.cut,
            "matched": answers.matched,
            "run": answers.run.name if answers.run else None,
            "categories": self.categories(answers),
        }

    def categories(self, answers: Answers) -> dict[str, Any]:
        made = {}
        for name, places in _by_category(self.tasks).items():
            entry: dict[str, Any] = {"tasks": len(places)}
            for metric in self.metrics:
                counted = set(self.counted(metric))
                column = self.whole[answers.model, metric]
                there = [place for place in places if place in counted]
                if there:
                    entry[metric] = sum(column[place] for place in there) / len(there)
                if len(there) >= FEW:
                    found = self.found([column], there)[0]
                    entry.setdefault("intervals", {})[metric] = {key: found[key] for key in ("low", "high")}
            made[name] = entry
        return made

    def difference(self, metric: str, before: Answers, after: Answers) -> dict[str, Any]:
        counted = self.counted(metric)
        pairs = [(a or "", b or "") for a, b in zip(before.texts, after.texts, strict=True)]
        answered = [place for place in counted if all(map(self.length, pairs[place]))]
        cut = [self.both_cut(*pair) for pair in pairs]
        equal = [self.scores(metric, [pair[side] for pair in cut]) for side in (0, 1)]
        whole = [self.whole[one.model, metric] for one in (before, after)]
        as_long = [self.as_long[one.model, metric] for one in (before, after)]
        return {
            "before": before.model,
            "after": after.model,
            "metric": metric,
            **self.paired(whole, counted),
            "at_reference_length": self.paired(as_long, counted),
            "at_equal_length": self.paired(equal, answered),
        }

    def paired(self, columns: Sequence[Column], places: Sequence[int]) -> dict[str, Any]:
        """The mean of the second column less the first, task by task."""
        one = self.found([[b - a for a, b in zip(*columns, strict=True)]], places)[0]
        return {**one, "shown": Interval(one["mean"], one["low"], one["high"]).differs}

    def both_cut(self, first: str, second: str) -> tuple[str, str]:
        """Two answers, cut to the length of the shorter one."""
        most = min(self.length(first), self.length(second))
        return lengths.cut(first, most, self.unit), lengths.cut(second, most, self.unit)


def _by_category(tasks: Sequence[Task]) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, task in enumerate(tasks):
        if task.category:
            found.setdefault(task.category, []).append(place)
    return dict(sorted(found.items(), key=lambda one: (-len(one[1]), one[0])))


def _middle(values: Sequence[float]) -> float:
    return median(values) if values else 0
