"""The figures of amounts: the funnel of each stage, and what the stages spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.report.page.marks import Figure, Spec, amount, chart, hints, mark, names, tall

Stats = Mapping[str, Any]


def funnels(stats: Stats) -> Iterator[Figure]:
    """From requests to accepted records, for each stage in which a check rejected some."""
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


def spending(stats: Stats) -> Iterator[Figure]:
    """The tokens of each stage."""
    rows = [row for row in stats.get("spending", []) if row["prompt_tokens"] or row["completion_tokens"]]
    if not rows:
        return
    cached = any(row.get("cached_tokens") for row in rows)  # reports of earlier versions have no such number
    parts = [_tokens(row, cached) for row in rows]
    values = [
        {"stage": row["stage"], "part": words, "tokens": tokens}
        for row, part in zip(rows, parts, strict=True)
        for words, tokens in part.items()
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
        "Long prompts beside short replies mean that examples cost more than answers. Tokens that the "
        "provider has in its cache of prompts cost a tenth to a half.",
        chart(
            values, [{"mark": mark("bar", height={"band": 0.7}), "encoding": encoding}], tall(len(rows), 90)
        ),
        ("stage", *parts[0]),
        [[row["stage"], *part.values()] for row, part in zip(rows, parts, strict=True)],
        wide=True,
    )


def _tokens(row: Stats, cached: bool) -> dict[str, int]:
    """The tokens of a stage by where they were."""
    sent, said = row["prompt_tokens"], row["completion_tokens"]
    if not cached:
        return {"in prompts": sent, "in replies": said}
    known = row.get("cached_tokens", 0)
    return {"in prompts": sent - known, "in prompts, from the provider's cache": known, "in replies": said}


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
