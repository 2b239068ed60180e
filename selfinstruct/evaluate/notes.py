"""What a reader of an evaluation must bear in mind, in words: lengths that differ, and few tasks.

To add a note, write a function of the result (`results`) that yields sentences, and list it in `NOTES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from selfinstruct.evaluate.bootstrap import FEW
from selfinstruct.report.numbers.verdict import NAMES, signed

FAR = 1.5  # times as long is far apart
REPEATED = 0.9  # the share of different instructions below which it is said that tasks are drawn together
FEW_MODELS = 3  # up to so many, each pair has its own note
MANY = 10  # pairs, from which one or the other shows a difference by chance
OFTEN = 0.05  # the share of answers that are empty, or cut, from which it is said
SHARES = {2 / 3: "two thirds", 1 / 2: "half", 1 / 3: "a third", 1 / 4: "a quarter", 1 / 10: "a tenth"}
Result = Mapping[str, Any]


def notes(result: Result) -> list[str]:
    """The notes on a result."""
    return [note for one in NOTES for note in one(result)]


def verdict(difference: Mapping[str, Any]) -> str:
    """Whether a difference is shown, in words: it is not if its interval has zero in it."""
    return "shown" if difference["shown"] else "no difference shown"


def with_interval(found: Mapping[str, Any]) -> str:
    """A difference with its interval: +2.1 (-0.3 to +4.4)."""
    return f"{signed(found['mean'])} ({signed(found['low'])} to {signed(found['high'])})"


def _few(result: Result) -> Iterator[str]:
    tasks, groups = result["tasks"], result["groups"]
    if tasks < FEW:
        yield f"with fewer than {FEW} tasks, the intervals mean little"
    elif groups == 1:
        yield "all tasks share one instruction: the intervals are for other inputs to it, not for other tasks"
    elif groups < FEW:
        yield (
            f"the {tasks} tasks have only {groups} different instructions, and tasks with the same one are "
            "drawn together: the intervals mean little"
        )
    elif groups < REPEATED * tasks:
        yield f"tasks with the same instruction are drawn together: {groups} instructions, {tasks} tasks"


def _lengths(result: Result) -> Iterator[str]:
    """A note for each pair of models whose answers differ much in length, and for one of them alone."""
    models, unit = result["models"], result["unit"]
    found = {(one["before"], one["after"]): one for one in reversed(result["differences"])}
    each = [one["words"] for one in models.values()]
    if len(models) > FEW_MODELS and max(each) > FAR * max(min(each), 0.5):
        yield (
            f"the lengths of the answers differ ({min(each):g} to {max(each):g} {unit}), and length moves a "
            "score: read the differences at equal length too"
        )
    for before, after in combinations(models, 2) if len(models) <= FEW_MODELS else ():
        short, long = sorted((before, after), key=lambda name: float(models[name]["words"]))
        less, more = models[short]["words"], models[long]["words"]
        one = found.get((before, after))
        if one and more > FAR * max(less, 0.5):
            metric, equal = NAMES[one["metric"]], one["at_equal_length"]
            yield (
                f"the answers of {short} are {_times(less, more)} as long as those of {long} ({less:g} and "
                f"{more:g} {unit}). At equal length, the difference of {after} to {before} in {metric} is "
                f"{with_interval(equal)}, {verdict(equal)}, instead of {with_interval(one)}"
            )
    wanted = result["words_of_references"]
    longer = [name for name, one in models.items() if wanted and one["words"] > FAR * wanted]
    if longer and result["metrics"]:
        words = ", ".join(f"{name} {models[name]['words']:g}" for name in longer)
        yield (
            f"some answers are much longer than the references ({unit}: references {wanted:g}, {words}): "
            "length alone lowers their scores; see the scores at reference length"
        )


def _times(less: float, more: float) -> str:
    """How long the shorter is, in words: half, a third, or 0.42 times."""
    share = less / more if more else 1.0
    near = min(SHARES, key=lambda one: abs(one - share))
    return SHARES[near] if abs(near - share) < near / 8 else f"{share:.2f} times"


def _unanswered(result: Result) -> Iterator[str]:
    for name, model in result["models"].items():
        missing, empty, cut = model["missing"], model["empty"], model["cut"] or 0
        if model["matched"] and missing:
            yield f"{name} has no prediction for {missing} of {result['tasks']} tasks; these count 0"
            empty -= missing
        if empty > OFTEN * result["tasks"]:
            yield f"{empty} of {result['tasks']} answers of {name} are empty; these count 0"
        if cut > OFTEN * result["tasks"]:
            yield (
                f"{cut} of {result['tasks']} answers of {name} were cut off at eval.max_tokens; a larger "
                "number may change its score"
            )


def _many(result: Result) -> Iterator[str]:
    pairs = len(result["differences"])
    if pairs >= MANY:
        by_chance = pairs * (1 - result["confidence"])
        yield (
            f"of {pairs} differences, about {max(1, round(by_chance))} would be shown by chance alone if no "
            f"model were better than another (intervals of {result['confidence']:.0%})"
        )


NOTES: list[Callable[[Result], Iterable[str]]] = [_few, _lengths, _unanswered, _many]
