"""Runs beside each other: which figures are compared, which value of each is the best, and overlaid charts.

To compare one more figure, add a line to `FIGURES`; one that a run does not have is left out there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfinstruct.report import formats
from selfinstruct.report.marks import Figure, overlaid
from selfinstruct.report.theme import SERIES

Stats = Mapping[str, Any]
Run = Mapping[str, Any]  # with `name` and `stats`
MOST, LEAST = 1, -1  # which value is the best; 0: none is
DRAWN = len(SERIES)  # runs in a chart; more of them cannot be told apart


@dataclass(frozen=True)
class Compared:
    """A figure that runs are compared by.

    Attributes:
        title: its name.
        of: its value in a run's statistics; None if the run has none.
        best: `MOST`, `LEAST` or 0.
        shown: how a value is written.
    """

    title: str
    of: Callable[[Stats], float | None]
    best: int = 0
    shown: Callable[[float | None], str] = formats.number


def _total(key: str) -> Callable[[Stats], float | None]:
    return lambda stats: stats.get("total", {}).get(key)


def _tokens(stats: Stats) -> float | None:
    total = stats.get("total")
    return total["prompt_tokens"] + total["completion_tokens"] if total else None


def _records(stats: Stats) -> float | None:
    return stats["records"]["total"] if stats.get("records") else None


def _acceptance(stats: Stats) -> float | None:
    first = next((stage for stage in stats.get("funnel", []) if stage["candidates"]), None)
    return first["accepted"] / first["candidates"] if first else None


def _cost_each(stats: Stats) -> float | None:
    cost, records = _total("cost_usd")(stats), _records(stats)
    return 1000 * cost / records if cost and records else None


def _similar(key: str) -> Callable[[Stats], float | None]:
    def of(stats: Stats) -> float | None:
        found = next(iter(stats.get("similarity", {}).values()), {}).get(key)
        return found["mean"] if found and found["count"] else None

    return of


def _reviewed(stats: Stats) -> float | None:
    found = (stats.get("review") or {}).get("all_good")
    return found["share"] if found else None


FIGURES = (
    Compared("records", _records, MOST),
    Compared("acceptance in the first stage with candidates", _acceptance, MOST, formats.percent),
    Compared("ROUGE-L to the nearest seed task, mean", _similar("to_seed"), LEAST),
    Compared("ROUGE-L to the nearest machine-made text, mean", _similar("to_machine"), LEAST),
    Compared("all review questions answered well", _reviewed, MOST, formats.percent),
    Compared("requests", _total("requests")),
    Compared("tokens", _tokens, LEAST),
    Compared("cost", _total("cost_usd"), LEAST, formats.money),
    Compared("cost of 1,000 records", _cost_each, LEAST, formats.money),
    Compared("time", _total("seconds"), LEAST, formats.duration),
)
VARIED = {"distinct": MOST, "vendi": MOST, "near": LEAST, "self_bleu": LEAST}  # by the start of their names


def table(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The figures side by side: `title`, and `cells` with `text` and `best` for each run."""
    rows = [*FIGURES, *_diversity(runs), *_medians(runs)]
    return [row for row in (_row(one, runs) for one in rows) if row]


def _row(one: Compared, runs: Sequence[Run]) -> dict[str, Any] | None:
    values = [one.of(run["stats"]) for run in runs]
    known = [value for value in values if value is not None]
    if not known:
        return None
    top = max(known, key=lambda value: value * one.best) if one.best and len(set(known)) > 1 else None
    cells = [
        {"text": one.shown(value), "best": top is not None and value == top, "value": value} for value in values
    ]
    return {"title": one.title, "cells": cells}


def _diversity(runs: Sequence[Run]) -> list[Compared]:
    titles = {one["name"]: one["title"] for run in runs for one in run["stats"].get("diversity", [])}

    def of(name: str) -> Callable[[Stats], float | None]:
        return lambda stats: next(
            (one["value"] for one in stats.get("diversity", []) if one["name"] == name), None
        )

    best = {name: next((VARIED[key] for key in VARIED if name.startswith(key)), 0) for name in titles}
    return [Compared(title, of(name), best[name]) for name, title in titles.items()]


def _medians(runs: Sequence[Run]) -> list[Compared]:
    fields = dict.fromkeys(field for run in runs for field in run["stats"].get("lengths", {}))

    def of(field: str) -> Callable[[Stats], float | None]:
        def median(stats: Stats) -> float | None:
            found = stats.get("lengths", {}).get(field, {}).get("words")
            return found["median"] if found and found["count"] else None

        return median

    return [Compared(f"{field}: median length in words", of(field)) for field in fields]


def figures(runs: Sequence[Run]) -> list[Figure]:
    """Charts with a line for each run; of many runs, the first ones."""
    shown = runs[:DRAWN]
    return [*_over_time(shown), *_similarities(shown), *_lengths(shown)]


def _over_time(runs: Sequence[Run]) -> Iterator[Figure]:
    kinds = (
        ("accepted", "Accepted so far", "", "The steeper line gets its records with fewer requests."),
        ("rate", "Acceptance over time", ".0%", "A line that falls later leaves room for more records."),
        ("score", "ROUGE-L to the nearest, over time", ".2f", "A lower line has more varied texts."),
    )
    for field, title, form, read in kinds:
        values = [
            {"run": run["name"], "request": one["request"], field: one[field]}
            for run in runs
            for one in _points(run["stats"])
            if one.get(field) is not None
        ]
        if values:
            spec = overlaid(values, "request", field, _names(runs), "requests", form)
            rows = [[one["run"], one["request"], one[field]] for one in values]
            yield Figure("compared", field, title, read, spec, ("run", "request", field), rows)


def _points(stats: Stats) -> list[Any]:
    return list(next(iter(stats.get("progress", {}).values()), {}).get("points", []))


def _similarities(runs: Sequence[Run]) -> Iterator[Figure]:
    kinds = {"to_seed": "the nearest seed task", "to_machine": "the nearest machine-made text"}
    for key, what in kinds.items():
        found = {
            run["name"]: next(iter(run["stats"].get("similarity", {}).values()), {}).get(key) for run in runs
        }
        read = "A line that rises further to the left has newer texts."
        yield from _cumulated(f"similarity-{key}", f"ROUGE-L to {what}", read, "ROUGE-L", found)


def _lengths(runs: Sequence[Run]) -> Iterator[Figure]:
    for field in dict.fromkeys(field for run in runs for field in run["stats"].get("lengths", {})):
        found = {run["name"]: run["stats"].get("lengths", {}).get(field, {}).get("words") for run in runs}
        read = "A line that rises further to the left has shorter texts."
        yield from _cumulated(f"words-{field}", f"{field}: length in words", read, "words", found)


def _cumulated(
    name: str, title: str, read: str, axis: str, found: Mapping[str, Mapping[str, Any] | None]
) -> Iterator[Figure]:
    """The share of texts up to each value, which does not depend on how the intervals were chosen."""
    values: list[dict[str, Any]] = []
    for run, one in found.items():
        if not one or not one["count"]:
            continue
        so_far = 0
        values.append({"run": run, "value": one["edges"][0], "share": 0.0})
        for edge, count in zip(one["edges"][1:], one["counts"], strict=False):
            so_far += count
            values.append({"run": run, "value": edge, "share": so_far / one["count"]})
    if values:
        spec = overlaid(values, "value", "share", list(found), axis, ".0%")
        rows = [[one["run"], one["value"], round(one["share"], 4)] for one in values]
        yield Figure("compared", name, title, f"The share of texts up to each value. {read}", spec, ("run", axis, "share"), rows)


def _names(runs: Sequence[Run]) -> list[str]:
    return [run["name"] for run in runs]
