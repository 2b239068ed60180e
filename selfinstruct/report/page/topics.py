"""The figures of what texts are about: root verbs and objects, frequent words, and classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.report.page.marks import Figure, bars
from selfinstruct.report.page.sunburst import sunburst

MOST_VALUES = 15  # bars of a figure; the rest are one bar
MOST_WORDS = 30
Stats = Mapping[str, Any]


def openings(stats: Stats) -> Iterator[Figure]:
    """The sunburst of root verbs, or the most frequent words where there are none."""
    verbs, words = stats.get("verbs"), stats.get("words")
    if verbs and verbs["verbs"]:
        rows = [
            [
                verb["verb"],
                verb["count"],
                ", ".join(f"{one['object']} {one['count']:,}" for one in verb["objects"]),
            ]
            for verb in verbs["verbs"]
        ]
        yield Figure(
            "verbs",
            "verbs",
            "What the instructions ask for",
            "Inside, the most common root verbs; outside, the most common direct objects of each. Many thin "
            "arcs mean many kinds of task; one wide arc means that the model asks for the same thing.",
            sunburst(verbs["verbs"]),
            ("root verb", "instructions", "most common direct objects"),
            rows,
            wide=True,
        )
    if words and words["words"]:
        shown = words["words"][:MOST_WORDS]
        yield Figure(
            "verbs",
            "words",
            "The most frequent words",
            "One word far above the others means that the instructions resemble each other.",
            bars(shown, "word", "count"),
            ("word", "times"),
            [[one["word"], one["count"]] for one in shown],
            wide=True,
        )


def classes(stats: Stats) -> Iterator[Figure]:
    """How often each value of a label was given."""
    for found in stats.get("classes", []):
        values = [{"value": str(one["value"]), "count": one["count"]} for one in found["values"]]
        shown, rest = values[:MOST_VALUES], values[MOST_VALUES:]
        others = found.get("others", {"values": 0, "count": 0})
        kinds = len(rest) + others["values"]
        if kinds:
            count = sum(one["count"] for one in rest) + others["count"]
            shown.append({"value": f"{kinds:,} others", "count": count})
        balance = f"The balance is {found['balance']:.2f}. "
        yield Figure(
            "classes",
            f"classes-{found['stage']}-{found['field']}",
            f"{found.get('title') or found['field']}, from {found['stage']}",
            balance + found["how_to_read"],
            bars(shown, "value", "count"),
            ("value", "records"),
            [[one["value"], one["count"]] for one in values],
        )
