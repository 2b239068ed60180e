"""The figures of a run's report, made from its statistics (`report/numbers/stats.py`).

To add one: write a function that yields `Figure`, and name it in `figures`; the page shows it in the section
that it names, and `report.figures=svg` writes it to a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.report.page.marks import (
    Figure,
    Spec,
    amount,
    bars,
    chart,
    hints,
    histogram,
    histogram_rows,
    line,
    mark,
    names,
    rule,
    tall,
)
from selfinstruct.report.page.sunburst import sunburst

MOST_VALUES = 15  # bars of a figure; the rest are one bar
MOST_WORDS = 30
Stats = Mapping[str, Any]
INTERVAL = ("from", "to", "texts")


def figures(stats: Stats) -> list[Figure]:
    """Every figure that the statistics of a run have the numbers for, in the order of the page."""
    makers = (_funnels, _progress, _openings, _similarity, _lengths, _classes, _scores, _spending)
    return [figure for maker in makers for figure in maker(stats)]


def _funnels(stats: Stats) -> Iterator[Figure]:
    for stage in stats.get("funnel", []):
        name = stage["stage"]
        rows = _funnel_rows(stage)
        rejecting = [step for step in stage["steps"] if step["rejected"]]
        if not stage["candidates"] or not rejecting:
            continue
        start = [
            {"step": "requests", "quiet": stage["requests"]},
            {"step": "candidates", "kept": stage["candidates"]},
        ]
        checks = [
            {"step": step["check"], "kept": step["left_over"], "lost": step["rejected"]} for step in rejecting
        ]
        end = [{"step": "accepted", "kept": stage["accepted"]}]
        left = stage.get("left")
        if left is not None and left != stage["accepted"]:
            end.append({"step": "left after labels", "kept": left, "lost": stage["accepted"] - left})
        yield Figure(
            "funnel",
            f"funnel-{name}",
            f"{name}: from requests to accepted records",
            "Each bar is what was left after a check (blue), and what the check rejected (orange, with the "
            "minus sign); checks that rejected nothing are only in the table of numbers.",
            _funnel([*start, *checks, *end]),
            ("step", "left", "rejected", "share of candidates rejected"),
            rows,
            wide=True,
        )


def _funnel(rows: list[Spec]) -> Spec:
    for row in rows:
        kept, lost, quiet = row.setdefault("kept", 0), row.setdefault("lost", 0), row.setdefault("quiet", 0)
        row["end"], row["edge"] = kept + lost, kept + lost + quiet
        row["words"] = f"{kept:,}  −{lost:,}" if lost else f"{kept + quiet:,}"
    y, tips = names("step"), hints(step="step", kept="left|,", lost="rejected|,")
    bar = {"height": {"band": 0.7}}
    kept, edge, quiet = (amount(field, axis=None) for field in ("kept", "edge", "quiet"))
    return chart(
        rows,
        [
            {"mark": mark("bar", "quiet", **bar), "encoding": {"y": y, "x": quiet}},
            {
                "mark": mark("bar", "kept", tooltip=True, **bar),
                "encoding": {"y": y, "x": kept, "tooltip": tips},
            },
            {
                "mark": mark("bar", "lost", tooltip=True, **bar),
                "encoding": {"y": y, "x": kept, "x2": {"field": "end"}, "tooltip": tips},
            },
            {
                "mark": mark("text", align="left", dx=6),
                "encoding": {"y": y, "x": edge, "text": {"field": "words", "type": "nominal"}},
            },
        ],
        tall(len(rows)),
    )


def _funnel_rows(stage: Stats) -> list[list[Any]]:
    whole = stage["candidates"] or 1
    rows: list[list[Any]] = [["requests", stage["requests"], "", ""], ["replies", stage["replies"], "", ""]]
    rows.append(["candidates", stage["candidates"], "", ""])
    rows += [
        [step["check"], step["left_over"], step["rejected"], f"{step['rejected'] / whole:.1%}"]
        for step in stage["steps"]
    ]
    rows.append(["accepted", stage["accepted"], "", ""])
    if stage.get("left") is not None:
        rows.append(["left after labels", stage["left"], "", ""])
    return rows


def _progress(stats: Stats) -> Iterator[Figure]:
    for name, found in stats.get("progress", {}).items():
        points = found["points"]
        if not points:
            continue
        columns = ("request", "candidates", "accepted", "acceptance", "ROUGE-L to the nearest")
        rows = [
            [one["request"], one["candidates"], one["accepted"], one["rate"], one["score"]] for one in points
        ]
        window = found.get("window") or 1
        knee = (
            f"The dashed line is the knee: {found['knee_why']}"
            if found.get("knee")
            else found.get("knee_why", "")
        )
        kinds = (
            ("accepted", "accepted so far", "", f"A steep line means that requests pay. {knee}"),
            (
                "rate",
                "acceptance",
                ".0%",
                f"The share of candidates that were accepted, over {window:,} requests.",
            ),
            (
                "score",
                "ROUGE-L to the nearest",
                ".2f",
                "The mean similarity of the accepted ones to the text nearest to each; when it climbs to the "
                "threshold, the model repeats itself.",
            ),
        )
        for field, title, form, read in kinds:
            drawn = [one for one in points if one.get(field) is not None]
            if drawn:
                spec = _with_knee(line(drawn, "request", field, "requests", form), found.get("knee"), drawn)
                yield Figure("progress", f"{field}-{name}", f"{name}: {title}", read, spec, columns, rows)


def _with_knee(spec: Spec, knee: float | None, points: list[Stats]) -> Spec:
    if not knee:
        return spec
    right = knee > 0.6 * points[-1]["request"]
    return {**spec, "layer": [*spec["layer"], *rule(knee, f"knee at {knee:,}", right)]}


def _openings(stats: Stats) -> Iterator[Figure]:
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


def _similarity(stats: Stats) -> Iterator[Figure]:
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


def _compared(one: Stats) -> str:
    whole = one.get("texts", one["count"])
    part = one["count"] < whole - 1  # the first text has no earlier one
    drawn = f" that were drawn from {whole:,}" if part else ""
    return f"{one['count']:,} texts{drawn}"


def _lengths(stats: Stats) -> Iterator[Figure]:
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


def _is_right(one: Stats) -> bool:
    low, high = one["edges"][0], one["edges"][-1]
    return bool(one["median"] > low + 0.6 * (high - low))


def _classes(stats: Stats) -> Iterator[Figure]:
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


def _scores(stats: Stats) -> Iterator[Figure]:
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


def _spending(stats: Stats) -> Iterator[Figure]:
    rows = [row for row in stats.get("spending", []) if row["prompt_tokens"] or row["completion_tokens"]]
    if not rows:
        return
    kinds = {"prompt_tokens": "in prompts", "completion_tokens": "in replies"}
    values = [
        {"stage": row["stage"], "part": words, "tokens": row[key]}
        for row in rows
        for key, words in kinds.items()
    ]
    color = {"field": "part", "type": "nominal", "sort": None}
    encoding = {
        "y": names("stage"),
        "x": amount("tokens", axis={"format": "~s", "tickCount": 6, "domain": False, "ticks": False}),
        "color": color,
        "tooltip": hints(stage="stage", part="tokens", tokens="number|,"),
    }
    yield Figure(
        "spending",
        "tokens",
        "Tokens by stage",
        "Long prompts beside short replies mean that examples cost more than answers; a cache of prompts at "
        "the provider helps then.",
        chart(
            values, [{"mark": mark("bar", height={"band": 0.7}), "encoding": encoding}], tall(len(rows), 90)
        ),
        ("stage", "in prompts", "in replies"),
        [[row["stage"], row["prompt_tokens"], row["completion_tokens"]] for row in rows],
        wide=True,
    )
