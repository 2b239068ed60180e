"""The figures of how figures are spread: similarity, lengths, and scores of judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.report.page.marks import Figure, histogram, histogram_rows, rule

INTERVAL = ("from", "to", "texts")
Stats = Mapping[str, Any]


def similarity(stats: Stats) -> Iterator[Figure]:
    """How similar the texts are: to the seeds, to each other, and those rejected for it."""
    kinds = {
        "to_seed": (
            "to the nearest seed task",
            "kept",
            "Bars at the left: the instructions left the seeds behind.",
        ),
        "to_machine": (
            "to the nearest machine-made text",
            "kept",
            "Bars at the left: the instructions differ from each other.",
        ),
        "rejected": ("of those rejected for it", "lost", "Bars at 1 are copies, word for word."),
    }
    for name, found in stats.get("similarity", {}).items():
        for key, (title, style, read) in kinds.items():
            one = found.get(key)
            if not one or not one["count"]:
                continue
            spec = histogram(one, "ROUGE-L", style, (0, 1))
            if found.get("threshold") is not None:
                at = found["threshold"]
                spec["layer"] += rule(at, f"threshold {at:g}", right=at > 0.6)
            whole = f"{read} The mean is {one['mean']:.2f}, over {_compared(one)}."
            yield Figure(
                "similarity",
                f"similarity-{key}-{name}",
                f"{name}: ROUGE-L {title}",
                whole,
                spec,
                INTERVAL,
                histogram_rows(one),
            )


def lengths(stats: Stats) -> Iterator[Figure]:
    """The lengths of each field, in words and in tokens."""
    for field, found in stats.get("lengths", {}).items():
        for unit in ("words", "tokens"):
            one = found.get(unit)
            if not one or not one["count"]:
                continue
            empty = f" {found['empty']:,} are empty and not counted here." if found.get("empty") else ""
            read = (
                f"Half of the {one['count']:,} texts have at most {one['median']:,.0f} {unit}, "
                f"the longest has {one['max']:,.0f}; the mean is {one['mean']:,.1f}.{empty}"
            )
            spec = histogram(one, unit)
            spec["layer"] += rule(one["median"], f"median {one['median']:,.0f}", _is_right(one))
            title = f"{field}: length in {unit}"
            yield Figure("lengths", f"{unit}-{field}", title, read, spec, INTERVAL, histogram_rows(one))


def scores(stats: Stats) -> Iterator[Figure]:
    """The scores that a judge gave."""
    for found in stats.get("scores", []):
        one = found["histogram"]
        if not one["count"]:
            continue
        yield Figure(
            "classes",
            f"scores-{found['stage']}-{found['field']}",
            f"{found['field']}, given by {found['stage']}",
            f"The mean is {one['mean']:.2f}, the median {one['median']:g}, over {one['count']:,} records. "
            "A judge that gives all of them the same score does not help to choose.",
            histogram(one, found["field"]),
            INTERVAL,
            histogram_rows(one),
        )


def _compared(one: Stats) -> str:
    whole = one.get("texts", one["count"])
    part = one["count"] < whole - 1  # the first text has no earlier one
    drawn = f" that were drawn from {whole:,}" if part else ""
    return f"{one['count']:,} texts{drawn}"


def _is_right(one: Stats) -> bool:
    low, high = one["edges"][0], one["edges"][-1]
    return bool(one["median"] > low + 0.6 * (high - low))
