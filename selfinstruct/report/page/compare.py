"""The page that compares runs: which value of each figure is the best, and charts with a line for each run.

The figures come from `numbers/comparison.py`. If more or less of a new one is better, add it to `BEST`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from selfinstruct.report.numbers import comparison
from selfinstruct.report.page import formats
from selfinstruct.report.page.evaluation import TOUCHES, ZERO, interval_of
from selfinstruct.report.page.intervals import dots
from selfinstruct.report.page.marks import Figure, overlaid
from selfinstruct.report.page.theme import SERIES

Stats = Mapping[str, Any]
Run = Mapping[str, Any]  # with `name` and `stats`
MOST, LEAST = 1, -1  # which value is the best
DRAWN = len(SERIES)  # runs in a chart; more of them cannot be told apart
BEST = {  # by the start of a figure's name; there is no best value of the others, such as lengths
    "accepted": MOST,
    "share accepted": MOST,
    "instructions": MOST,
    "instances": MOST,
    "mean ROUGE-L": LEAST,
    "review": MOST,
    "cost": LEAST,
    "seconds": LEAST,
    "tokens": LEAST,
    "distinct": MOST,
    "variety": MOST,
    "different texts": MOST,
    "texts with a near copy": LEAST,
    "self-BLEU": LEAST,
}
SHOWN: Mapping[str, Callable[[Any], str]] = {  # by unit
    comparison.SHARE: formats.percent,
    comparison.DOLLARS: formats.money,
    comparison.SECONDS: formats.duration,
}


def table(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The figures side by side: `title`, and `cells` with `text` and `best` for each run."""
    found = comparison.compare([(run["name"], run["stats"]) for run in runs])
    settings = [{"title": row["key"], "cells": _cells(row["values"])} for row in found["settings"]]
    figures = [
        {"title": _title(row), "cells": _cells(row["values"], row["unit"], _best(row["what"]))}
        for row in found["figures"]
    ]
    return [*settings, *figures]


def _title(row: Mapping[str, Any]) -> str:
    return "time" if row["unit"] == comparison.SECONDS else str(row["what"])


def _best(what: str) -> int:
    return next((best for start, best in BEST.items() if what.startswith(start)), 0)


def _cells(values: Sequence[Any], unit: str = "", best: int = 0) -> list[dict[str, Any]]:
    known = [value for value in values if isinstance(value, int | float)]
    top = max(known, key=lambda value: value * best) if best and len(set(known)) > 1 else None
    shown = SHOWN.get(unit, formats.number)
    return [{"text": shown(value), "best": top is not None and value == top} for value in values]


def figures(runs: Sequence[Run]) -> list[Figure]:
    """Charts with a line for each run; of many runs, the first ones."""
    shown = runs[:DRAWN]
    return [*_tuned(runs), *_over_time(shown), *_similarities(shown), *_lengths(shown)]


def _tuned(runs: Sequence[Run]) -> Iterator[Figure]:
    """What tuning on each run brought, with its interval."""
    found = {run["name"]: comparison.tuned(run["stats"]) for run in runs}
    values = [{"name": name, "kind": "", **interval_of(one)} for name, one in found.items() if one]
    if values:
        read = f"The difference between the model that was tuned on the run and its base. {TOUCHES}"
        columns = ("run", "mean", "from", "to")
        rows = [[one["name"], one["mean"], one["low"], one["high"]] for one in values]
        spec = dots(values, "points", 0, ZERO, signs=True)
        yield Figure("compared", "tuned", "Brought by tuning", read, spec, columns, rows, wide=True)


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
            for one in _first(run, "progress").get("points", [])
            if one[field] is not None
        ]
        if values:
            names = [run["name"] for run in runs]
            spec = overlaid(values, "request", field, names, "requests", form)
            rows = [[one["run"], one["request"], one[field]] for one in values]
            yield Figure("compared", field, title, read, spec, ("run", "request", field), rows)


def _first(run: Run, section: str) -> Mapping[str, Any]:
    """What a section has about the first stage in it."""
    return next(iter(run["stats"].get(section, {}).values()), {})


def _similarities(runs: Sequence[Run]) -> Iterator[Figure]:
    kinds = {"to_seed": "the nearest seed task", "to_machine": "the nearest machine-made text"}
    for key, what in kinds.items():
        found = {run["name"]: _first(run, "similarity").get(key) for run in runs}
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
        for edge, count in zip(one["edges"][1:], one["counts"], strict=True):
            so_far += count
            values.append({"run": run, "value": edge, "share": so_far / one["count"]})
    if values:
        spec = overlaid(values, "value", "share", list(found), axis, ".0%")
        rows = [[one["run"], one["value"], round(one["share"], 4)] for one in values]
        read = f"The share of texts up to each value. {read}"
        yield Figure("compared", name, title, read, spec, ("run", axis, "share"), rows)
