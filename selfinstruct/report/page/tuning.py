"""The figures of training and evaluation: losses, scores and differences with intervals, ablations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfinstruct.report.page.intervals import curves, dots, stacks
from selfinstruct.report.page.marks import Figure, Spec, across, amount, chart, hints, mark, rule, upright
from selfinstruct.report.page.theme import CELL_INK, RATINGS

Stats = Mapping[str, Any]
MOST_CATEGORIES = 12  # rows of the figure; the table has all
AS_GIVEN, CUT, EQUAL = "as answered", "cut to the references' length", "both cut to the same length"
ZERO = "no difference"


def tuning(stats: Stats) -> Iterator[Figure]:
    """Every figure of the section on tuning."""
    found = stats.get("tuning") or {}
    if found.get("training"):
        yield from _losses(found["training"])
    if found.get("evaluation"):
        yield from _evaluation(found["evaluation"])
    if found.get("ablation"):
        yield from _ablation(found["ablation"])


def _losses(found: Stats) -> Iterator[Figure]:
    """The loss curve: each loss as a dot, the mean around it as a line, and where an epoch is over."""
    points = found["losses"]
    if not points:
        return
    x = amount("step", "steps", axis=across(one["step"] for one in points), scale={"nice": False})
    y: dict[str, Any] = {"title": None, "axis": upright(",~r"), "scale": {"zero": False, "nice": True}}
    tips = {"tooltip": hints(step="step|,", epoch="epoch|.2f", loss="loss|.3f", smooth="mean|.3f")}
    smooth = points[len(points) // 2]["smooth"] is not None
    dotted = mark("point", "quiet", filled=True, size=22, opacity=0.75)
    layers: list[Spec] = [
        {"mark": dotted, "encoding": {"x": x, "y": amount("loss", **y), **tips}},
        {"mark": mark("line"), "encoding": {"x": x, "y": amount("smooth" if smooth else "loss", **y)}},
    ]
    for number, step in enumerate(found["epochs_begin"], 1):
        layers += rule(step, f"epoch {number}", True) if len(found["epochs_begin"]) <= 6 else []
    read = "How surprised the model was by the answers in its examples. A line that still falls at the end "
    read += "would learn more from another epoch; one that is flat early has too low a learning rate, or "
    read += "nothing left to learn. A low loss is not yet a better model: the scores below show that."
    columns = ("step", "epoch", "loss", "mean around it")
    rows = [[one["step"], one["epoch"], one["loss"], one["smooth"]] for one in points]
    yield Figure(
        "training", "loss", "The loss by step", read, chart(points, layers, 240), columns, rows, True
    )


def _evaluation(found: Stats) -> Iterator[Figure]:
    for metric in found["metrics"]:
        yield from _scores(found, metric)
        yield from _differences(found, metric)
    yield from _categories(found)
    yield from _judged(found)


def _scores(found: Stats, metric: Stats) -> Iterator[Figure]:
    values = [
        {"name": shown(model), "kind": kind, **model[key][metric["name"]]}
        for model in found["models"]
        for key, kind in (("scores", AS_GIVEN), ("at_reference_length", CUT))
        if metric["name"] in model[key]
    ]
    if values:
        title = f"{metric['title']} of each model"
        read = f"The mean over {found['tasks']:,} tasks, from 0 to 100, with its {_share(found)} interval. "
        read += "The second mark is the score of answers that are cut to the length of the references."
        spec, columns = dots(values, metric["title"]), ("model", "answers", "mean", "from", "to")
        yield Figure("scores", f"scores-{metric['name']}", title, read, spec, columns, _rows(values), True)


def _differences(found: Stats, metric: Stats) -> Iterator[Figure]:
    values = []
    for one in found["differences"]:
        if one["metric"] == metric["name"]:
            name = f"{one['after']} − {one['before']}"
            values.append({"name": name, "kind": AS_GIVEN, **_mean(one)})
            if one["at_equal_length"]:
                values.append({"name": name, "kind": EQUAL, **_mean(one["at_equal_length"])})
    if values:
        title = f"Difference in {metric['title']}"
        read = (
            "The mean of the differences, task by task. Where the line touches zero, no difference is shown."
        )
        spec, columns = dots(values, "points", ZERO), ("difference", "answers", "mean", "from", "to")
        yield Figure(
            "scores", f"differences-{metric['name']}", title, read, spec, columns, _rows(values), True
        )


def _categories(found: Stats) -> Iterator[Figure]:
    """The first metric by category, without intervals: a category has few tasks."""
    first = found["metrics"][0]["name"] if found["metrics"] else ""
    rows = [row for row in found["categories"] if row["metric"] == first]
    names = [shown(model) for model in found["models"]]
    values = [
        {
            "name": f"{row['category']} ({row['tasks'] or 0:g})",
            "kind": name,
            "mean": mean,
            "low": mean,
            "high": mean,
        }
        for row in rows[:MOST_CATEGORIES]
        for name, mean in zip(names, row["means"], strict=True)
        if mean is not None
    ]
    if values and len(rows) > 1:
        title = f"{found['metrics'][0]['title']} by category"
        read = (
            "The mean of each category, with the number of its tasks. With few tasks, chance moves it a lot."
        )
        if len(rows) > MOST_CATEGORIES:
            read += f" These are the {MOST_CATEGORIES} largest of {len(rows):,}; the table below has all."
        spec, columns = dots(values, found["metrics"][0]["title"]), ("category", "tasks", *names)
        table = [[row["category"], row["tasks"], *row["means"]] for row in rows]
        yield Figure("scores", "categories", title, read, spec, columns, table, True)


def _judged(found: Stats) -> Iterator[Figure]:
    yield from ()


def _ablation(found: Stats) -> Iterator[Figure]:
    points = found["points"]
    if not points:
        return
    base, title = found["base"], found["title"]
    read = f"{title} of the tuned model in each job, with its interval"
    read += "; the dashed line is the base, the band its interval." if base else "."
    change = (
        "The difference from the base, task by task. Where the line touches zero, no difference is shown."
    )
    makers = (("score", f"{title} after tuning", read), ("difference", "Difference from the base", change))
    for key, words, told in makers:
        values = [
            {"name": one["label"], "series": one["series"], "kind": "", "x": one["x"], **_mean(one[key])}
            for one in points
        ]
        if found["axis"]:
            none = {"mean": 0, "low": 0, "high": 0}
            level, named = (
                (base, f"base {base['mean']:.1f}" if base else "") if key == "score" else (none, ZERO)
            )
            form = ".1f" if key == "score" else "+.1f"
            spec = curves(values, found["axis"], form, level, named)
        else:
            spec = dots(values, title if key == "score" else "points", ZERO if key == "difference" else "")
        columns = ("settings", "mean", "from", "to")
        rows = [[one["name"], one["mean"], one["low"], one["high"]] for one in values]
        yield Figure("ablation", f"ablation-{key}", words, told, spec, columns, rows, not found["axis"])


def shown(model: Stats) -> str:
    """The name of a model, with what it is in a tuning."""
    return f"{model['name']} ({model['role']})" if model["role"] else str(model["name"])


def _mean(found: Stats) -> dict[str, Any]:
    return {key: found[key] for key in ("mean", "low", "high")}


def _rows(values: Sequence[Stats]) -> list[list[Any]]:
    return [[one[key] for key in ("name", "kind", "mean", "low", "high")] for one in values]


def _share(found: Stats) -> str:
    return f"{found['confidence'] * 100:.4g}%"
