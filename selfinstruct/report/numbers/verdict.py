"""What a difference between two models says, in sentences: for the terminal, the page and stats.json.

A difference is shown if its interval does not have zero in it. What is not shown is said to be not shown,
however large the mean is. A difference that goes away at equal length is explained by length.
"""

from __future__ import annotations

from collections.abc import Iterator

from selfinstruct.report.numbers.tuning_files import Difference, Evaluated, Score

NAMES = {  # the names of metrics, as a reader knows them
    "rouge_l": "ROUGE-L",
    "rouge_l_characters": "ROUGE-L of characters",
    "exact_match": "exact match",
    "chrf": "chrF",
}
SHORT = 0.5  # answers with less than this share of the references' words are called short


def named(metric: str) -> str:
    """The name of a metric, as a reader knows it."""
    return NAMES.get(metric, metric.replace("_", " "))


def signed(value: float) -> str:
    """A difference in points with its sign; with more digits where one would hide that it is not zero."""
    text = f"{value:+.1f}"
    return f"{value:+.1g}" if value and float(text) == 0 else text


def interval(score: Score) -> str:
    """An interval of a difference, in words."""
    return f"{signed(score.low)} to {signed(score.high)}"


def says(found: Difference, confidence: float, before: str = "", after: str = "") -> str:
    """Whether a difference is shown, and which.

    Args:
        found: the difference.
        confidence: the share of its interval.
        before: what to call the first model; by default its name.
        after: what to call the second one.
    """
    share = f"{confidence * 100:.4g}%"
    than = _than(found, before or found.before, after or found.after)
    if found.shown:
        than = than[0].upper() + than[1:] if after else than  # a model's name is left as it is
        return f"{than} ({share} interval {interval(found)})."
    return f"No difference is shown: {than}, and the {share} interval ({interval(found)}) has zero in it."


def warnings(
    found: Difference, after: Evaluated, words: float | None, unit: str = "words", name: str = ""
) -> Iterator[str]:
    """What a reader has to know about lengths before believing a difference.

    Args:
        found: the difference.
        after: the second model.
        words: the median length of the references.
        unit: the unit of lengths: words or characters.
        name: what to call the second model; by default its name.
    """
    equal = found.at_equal_length
    equal = None if equal and equal.tasks == 0 else equal
    if equal and found.shown and not (equal.shown and equal.mean * found.mean > 0):
        left = "the opposite is shown" if equal.shown else "no difference is shown"
        yield f"Length explains it: with both answers cut to the same number of {unit}, {left}, {_at(equal)}."
    if equal and equal.shown and not found.shown:
        yield (
            f"Length hides it: with both answers cut to the same number of {unit}, a difference is shown, "
            f"{_at(equal)}."
        )
    if words and after.words is not None and after.words < SHORT * words:
        name = name or found.after
        yield (
            f"The answers of {name} are short: their median is {after.words:g} {unit}, where the references "
            f"have {words:g}. Examples with short outputs teach that."
        )


def _than(found: Difference, before: str, after: str) -> str:
    if not found.mean:
        return f"{after} scores the same in {named(found.metric)} as {before}"
    size, way = signed(abs(found.mean))[1:], "more" if found.mean > 0 else "less"
    return f"{after} scores {size} points of {named(found.metric)} {way} than {before}"


def _at(score: Score) -> str:
    return f"{signed(score.mean)} ({interval(score)})"
