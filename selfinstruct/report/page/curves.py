"""The figures over time: how the acceptance and the similarity change with more requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.report.page.marks import Figure, Spec, line, rule

Stats = Mapping[str, Any]


def progress(stats: Stats) -> Iterator[Figure]:
    """What more requests bring, for each stage: accepted, acceptance, and similarity."""
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
