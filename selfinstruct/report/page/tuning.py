"""The figures of training: the losses, what an evaluation says before and after, and ablations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.report.page.evaluation import TOUCHES, ZERO, evaluation, interval_of
from selfinstruct.report.page.intervals import curves, dots
from selfinstruct.report.page.marks import Figure, Spec, across, amount, chart, hints, mark, rule, upright

Stats = Mapping[str, Any]
NOTHING = {"mean": 0.0, "low": 0.0, "high": 0.0}
MOST_EPOCHS = 6  # that are marked in the loss curve


def tuning(stats: Stats) -> Iterator[Figure]:
    """Every figure of the section on tuning."""
    found = stats.get("tuning") or {}
    if found.get("training"):
        yield from _losses(found["training"])
    if found.get("evaluation"):
        yield from evaluation(found["evaluation"])
    if found.get("ablation"):
        yield from _ablation(found["ablation"])


def _losses(found: Stats) -> Iterator[Figure]:
    """The loss curve: each loss as a dot, the mean around it as a line, and where an epoch is over."""
    points = found["losses"]
    if not points:
        return
    read = (
        "How surprised the model was by the answers in its examples. A line that still falls at the end "
        "would learn more from another epoch; one that is flat early has too low a learning rate, or nothing "
        "left to learn. A low loss is not yet a better model: the scores below show that."
    )
    columns = ("step", "epoch", "loss", "mean around it")
    rows = [[one["step"], one["epoch"], one["loss"], one["smooth"]] for one in points]
    ends = found["epochs_end"] if len(found["epochs_end"]) <= MOST_EPOCHS else []
    yield Figure("training", "loss", "The loss by step", read, _loss_curve(points, ends), columns, rows, True)


def _loss_curve(points: list[Stats], ends: list[int]) -> Spec:
    steps = [one["step"] for one in points]
    x = amount("step", "steps", axis={**across(steps), "tickMinStep": 1}, scale={"nice": False})
    y: dict[str, Any] = {"title": None, "axis": upright(",~r"), "scale": {"zero": False, "nice": True}}
    tips = {"tooltip": hints(step="step|,", epoch="epoch|.2f", loss="loss|.3f", smooth="mean|.3f")}
    smooth = "smooth" if points[0]["smooth"] is not None else "loss"
    dotted = mark("point", "quiet", filled=True, size=22, opacity=0.75)
    layers: list[Spec] = [
        {"mark": dotted, "encoding": {"x": x, "y": amount("loss", **y), **tips}},
        {"mark": mark("line"), "encoding": {"x": x, "y": amount(smooth, **y)}},
    ]
    for number, step in enumerate(ends, 1):
        layers += rule(step, f"epoch {number}", right=True)
    return chart(points, layers, 240)


def _ablation(found: Stats) -> Iterator[Figure]:
    """The scores of the jobs beside their base, and the differences from it."""
    base, title = found["base"], found["title"]
    read = f"{title} of the tuned model in each job, with its interval"
    read += "; the dashed line is the base." if base else "."
    change = f"The difference from the base, task by task. {TOUCHES}"
    if found["points"]:
        words = f"base {base['mean']:.1f}" if base else ""
        yield _of_jobs(found, "score", f"{title} after tuning", read, base, words)
        yield _of_jobs(found, "difference", "Difference from the base", change, NOTHING, ZERO)


def _of_jobs(
    found: Stats, key: str, title: str, read: str, level: Mapping[str, float] | None, words: str
) -> Figure:
    """A curve, or a row for each job where there is no axis for one."""
    values = [
        {"name": one["label"], "series": one["series"], "kind": "", "x": one["x"], **interval_of(one[key])}
        for one in found["points"]
    ]
    signs = key == "difference"
    if found["axis"]:
        spec = curves(values, found["axis"], level, words, signs)
    else:
        axis = "points" if signs else found["title"]
        spec = dots(values, axis, level["mean"] if level else None, words, signs)
    rows = [[one["name"], one["mean"], one["low"], one["high"]] for one in values]
    columns = ("settings", "mean", "from", "to")
    return Figure("ablation", f"ablation-{key}", title, read, spec, columns, rows, not found["axis"])
