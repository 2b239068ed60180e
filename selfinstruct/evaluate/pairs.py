"""Comparisons of two models, answer by answer: what raters get to see, and the figures of each two models.

A judge compares each pair twice, the second time with the positions swapped. A verdict that changes with the
position says nothing about the answers, so it counts as a tie. People see each pair once, in an order that is
drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import median
from typing import Any

from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.at_equal_length import corrected
from selfinstruct.evaluate.rating import Figures, Sheet, Spread
from selfinstruct.records import stream

FIRST, SECOND, TIE = "first", "second", "tie"
SIDES = (FIRST, SECOND)
_OTHER = {FIRST: SECOND, SECOND: FIRST, TIE: TIE}


@dataclass(frozen=True)
class Verdict:
    """What a rater says of a pair.

    Attributes:
        better: first, second or tie.
        named: for each time that the pair was shown and one answer was called better, whether it was the one
            shown first.
        changed: whether the verdict changed with the position.
    """

    better: str
    named: tuple[bool, ...] = ()
    changed: bool = False


def of_judge(straight: str, swapped: str) -> Verdict:
    """The verdict of a judge that has seen both orders.

    Args:
        straight: its verdict on the pair.
        swapped: its verdict in the other order, where the second answer of the pair is shown first.
    """
    named = [one == FIRST for one in (straight, swapped) if one != TIE]
    same = straight == _OTHER[swapped]
    return Verdict(straight if same else TIE, tuple(named), not same)


def of_people(better: str) -> Verdict:
    """The verdict of people, who see one order."""
    return Verdict(better, (better == FIRST,) if better != TIE else ())


def sheet(tasks: Sequence[Task], models: Sequence[Answers], seed: int) -> Sheet:
    """A row for each pair of different answers to a task; the order and the positions are drawn.

    Equal answers are a tie that nobody has to be asked about.

    Args:
        tasks: the tasks.
        models: the answers of each model, in the order of the tasks.
        seed: the seed of the order and the positions.
    """
    draws = stream(seed, "comparison")
    found, identical = [], []
    for one, other in combinations(models, 2):
        for task, *texts in zip(tasks, one.texts, other.texts, strict=True):
            sides = [(one.model, texts[0] or ""), (other.model, texts[1] or "")]
            if sides[0][1].strip() == sides[1][1].strip():
                both = [one.model, other.model]
                identical.append({"task": task.id, "instruction": task.instruction, "models": both})
                continue
            draws.shuffle(sides)
            shown = {"instruction": task.instruction, "input": task.input}
            shown |= {side: text for side, (_, text) in zip(SIDES, sides, strict=True)}
            key = {side: name for side, (name, _) in zip(SIDES, sides, strict=True)}
            found.append((shown, {"task": task.id, **key}))
    draws.shuffle(found)
    return Sheet([row for row, _ in found], [key for _, key in found], identical)


def figures(
    models: Sequence[str],
    found: Sheet,
    given: Mapping[int, Verdict],
    spread: Spread,
    resamples: int,
    confidence: float,
) -> list[Figures]:
    """What a rater's verdicts say of each two models, from the side of the second one.

    Args:
        models: the models, in order.
        found: the rows and the key.
        given: the verdict by the place of the row; pairs without one are left out.
        spread: the interval of a mean.
        resamples: of the bootstrap, for the rate at equal length.
        confidence: the share of its interval.

    Returns:
        [{"before", "after", "pairs", "wins", "ties", "losses", "identical", "left_out", "win_rate": {mean,
        low, high}, "at_equal_length": {mean, low, high}, "shown", "characters": {"before", "after"},
        "longer_won", "position": {"changed", "changed_share", "named", "first_share"}}]. Rates and shares
        are in percent; a tie is half a win. `pairs` counts what the rates are of, the identical pairs too.
        `longer_won` is the share of the wins that the longer answer got. `first_share` is how often the
        answer shown first was called better, of the `named` times that one was: 50 without a bias.
    """
    return [
        _of_two(before, after, found, given, spread, resamples, confidence)
        for before, after in combinations(models, 2)
    ]


def _of_two(
    before: str,
    after: str,
    found: Sheet,
    given: Mapping[int, Verdict],
    spread: Spread,
    resamples: int,
    confidence: float,
) -> Figures:
    places = [place for place, key in enumerate(found.key) if {key[FIRST], key[SECOND]} == {before, after}]
    judged = [place for place in places if place in given]
    lengths = [_lengths(found, place, after) for place in judged]
    equal = sum(one["models"] == [before, after] for one in found.identical)
    wins = [_won(found.key[place], given[place], after) for place in judged]
    decided = [(won, own - other) for won, (other, own) in zip(wins, lengths, strict=True) if won != 0.5]
    named = [one for place in judged for one in given[place].named]
    changed = sum(given[place].changed for place in judged)
    every = wins + [0.5] * equal
    groups = [found.rows[place]["instruction"] for place in judged]
    groups += [one["instruction"] for one in found.identical if one["models"] == [before, after]]
    longer_by = [float(own - other) for other, own in lengths] + [0.0] * equal
    rate = spread([100 * one for one in every], groups)
    return {
        "before": before,
        "after": after,
        "pairs": len(every),
        "wins": wins.count(1.0),
        "ties": every.count(0.5),
        "losses": wins.count(0.0),
        "identical": equal,
        "left_out": len(places) - len(judged),
        "win_rate": rate,
        "shown": bool(every) and (rate["low"] > 50 or rate["high"] < 50),  # a half is no difference
        "at_equal_length": _percent(every, longer_by, groups, resamples, confidence),
        "characters": {
            "before": median(other for other, _ in lengths) if lengths else None,
            "after": median(own for _, own in lengths) if lengths else None,
        },
        "longer_won": _share([(won == 1) == (more > 0) for won, more in decided if more]),
        "position": {
            "changed": changed,
            "changed_share": 100 * changed / len(judged) if judged else None,
            "named": len(named),
            "first_share": _share(named),
        },
    }


def _won(key: Mapping[str, Any], verdict: Verdict, model: str) -> float:
    return 0.5 if verdict.better == TIE else float(key[verdict.better] == model)


def _lengths(found: Sheet, place: int, after: str) -> tuple[int, int]:
    """The characters of the two answers, that of `after` last."""
    sides = SIDES if found.key[place][SECOND] == after else SIDES[::-1]
    other, own = (len(found.rows[place][side]) for side in sides)
    return other, own


def _percent(
    wins: Sequence[float],
    longer_by: Sequence[float],
    groups: Sequence[str],
    resamples: int,
    confidence: float,
) -> Figures:
    if not wins:
        return {"mean": None, "low": None, "high": None}
    found = asdict(corrected(wins, longer_by, groups, resamples, confidence))
    return {name: 100 * value for name, value in found.items()}


def _share(hits: Sequence[bool]) -> float | None:
    return 100 * sum(hits) / len(hits) if hits else None
