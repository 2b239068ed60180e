"""Marks with intervals: rows of dots with a line for each interval, curves with them, and stacked bars.

A value has `name`, `kind`, `mean`, `low` and `high`; one of a curve has `x` and `series` in place of the
first two. Kinds and series are told apart by colour and by shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfinstruct.report.page.marks import BAR, Spec, amount, chart, hints, mark, names, rule, upright

SHAPES = ("circle", "diamond", "square", "triangle-up", "cross", "triangle-down")
LOG = 20  # a curve has a logarithmic axis if its largest value is so many times the smallest
TICKS = 8  # values of a curve that are all written below its axis
LINE = 15  # pixels of a line of a label
HIGH = 260  # pixels of a curve
Values = Sequence[Mapping[str, Any]]


def dots(
    values: Values,
    axis: str,
    level: float | None = None,
    words: str = "",
    signs: bool = False,
    apart: bool = True,
) -> Spec:
    """A row for each name, with a dot and a line for each kind in it.

    Args:
        values: the values, in the order of the rows.
        axis: the title of the axis.
        level: where a line is, to compare the values with; None for none.
        words: what that line is.
        signs: whether the values are differences, which have a sign.
        apart: whether the kinds of a row are below each other, each with its number.
    """
    kinds = list(dict.fromkeys(one["kind"] for one in values))
    form = "+.1f" if signs else ".1f"
    along = amount("mean", axis, axis={"tickCount": 6, **_signed("~r", signs)})
    along["scale"] = {"zero": signs, "nice": False, "padding": 40}
    ends = {"x": {**along, "field": "low"}, "x2": {"field": "high"}}
    offset = {"field": "kind", "type": "nominal", "sort": None, "scale": {"domain": kinds}}
    row = {"y": names("name"), **({"yOffset": offset} if apart and len(kinds) > 1 else {})}
    told = {"tooltip": hints(name="", kind="", mean=f"mean|{form}", low=f"from|{form}", high=f"to|{form}")}
    text = {"field": "mean", "type": "quantitative", "format": form}
    right = {"x": {**along, "field": "high"}, "text": text}
    layers = [
        *(rule(level, words) if level is not None else []),
        {
            "mark": mark("rule", "kept", strokeWidth=2),
            "encoding": {**row, **ends, **_hue("kind", kinds), **told},
        },
        {
            "mark": mark("point", "kept", filled=True, size=90, opacity=1),
            "encoding": {**row, "x": along, **_hue("kind", kinds), **_shape("kind", kinds), **told},
        },
    ]
    if apart:
        layers.append({"mark": mark("text", align="left", dx=7), "encoding": {**row, **right}})
    lines = len(values) if apart else len({one["name"] for one in values})
    beside = 45 + 25 * (len(kinds) > 1) + 20 * bool(words)
    return chart(values, layers, BAR * lines + beside)


def curves(
    values: Values, axis: str, level: Mapping[str, Any] | None = None, words: str = "", signs: bool = False
) -> Spec:
    """A curve for each series, with an interval at each point, and a level to compare it with.

    Args:
        values: the points.
        axis: the title of the horizontal axis.
        level: `mean`, `low` and `high` of a line to compare the values with; None for none.
        words: what that line is.
        signs: whether the values are differences, which have a sign.
    """
    series = list(dict.fromkeys(one["series"] for one in values))
    x = amount("x", axis, axis=_below(values), scale=_scale(values))
    y = amount("mean", axis={**upright("~r"), **_signed("~r", signs)}, scale={"zero": False, "nice": True})
    ends = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
    titles = {"x": f"{axis}|~r", "series": "", "mean": "mean|.1f", "low": "from|.1f", "high": "to|.1f"}
    told = {"tooltip": hints(**{key: titles[key] for key in titles if key != "series" or len(series) > 1})}
    layers: list[Spec] = [
        *(_level(level, words, y) if level else []),
        {"mark": mark("line"), "encoding": {"x": x, "y": y, **_hue("series", series)}},
        {"mark": mark("rule", "kept", strokeWidth=2), "encoding": {"x": x, **ends, **_hue("series", series)}},
        {
            "mark": mark("point", "kept", filled=True, size=90, opacity=1),
            "encoding": {"x": x, "y": y, **_hue("series", series), **_shape("series", series), **told},
        },
    ]
    return chart(values, layers, HIGH)


def stacks(values: Values, order: Sequence[str], colours: Sequence[str], ink: str) -> Spec:
    """A bar for each name, in parts with their shares written into them.

    Args:
        values: each has `name`, a line for each of its label, `part`, `place`, `count`, `share` and `words`.
        order: the parts from left to right.
        colours: of the parts.
        ink: of the words.
    """
    x = amount("share", None, axis={"format": ".0%", "tickCount": 5, "grid": False}, stack="zero")
    x["scale"] = {"domain": [0, 1]}
    y = names("name")
    y["axis"]["labelExpr"] = "split(datum.label, '\\n')"
    both = {"y": y, "x": x, "order": {"field": "place"}}
    colour = {
        "field": "part",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": list(order), "range": list(colours)},
    }
    told = hints(name="", part="", count="answers|,", share="share|.1%")
    lines = max(one["name"].count("\n") for one in values) + 1
    wide = {"condition": {"test": "datum.share < 0.08", "value": ""}, "field": "words"}
    text = {**both, "x": {**x, "bandPosition": 0.5}, "text": wide}
    return chart(
        values,
        [
            {
                "mark": mark("bar", height={"band": 0.75}),
                "encoding": {**both, "color": colour, "tooltip": told},
            },
            {"mark": mark("text", color=ink), "encoding": text},
        ],
        (LINE * lines + 14) * len({one["name"] for one in values}) + 60,
    )


def _signed(form: str, signs: bool) -> Spec:
    """The format of an axis; one of differences has signs, but for zero."""
    if not signs:
        return {"format": form}
    return {"format": f"+{form}", "labelExpr": "datum.value == 0 ? '0' : datum.label"}


def _hue(field: str, kinds: Sequence[str]) -> Spec:
    """A colour for each kind; none where there is one kind."""
    return {"color": _told_apart(field, kinds)} if len(kinds) > 1 else {}


def _shape(field: str, kinds: Sequence[str]) -> Spec:
    """A shape for each kind, beside its colour."""
    if len(kinds) < 2:
        return {}
    scale = {"domain": list(kinds), "range": [SHAPES[place % len(SHAPES)] for place in range(len(kinds))]}
    return {"shape": {**_told_apart(field, kinds), "scale": scale}}


def _told_apart(field: str, kinds: Sequence[str]) -> Spec:
    return {"field": field, "type": "nominal", "sort": None, "scale": {"domain": list(kinds)}}


def _scale(values: Values) -> Spec:
    """A logarithmic scale where the values span a lot."""
    along = [one["x"] for one in values]
    if min(along) > 0 and max(along) >= LOG * min(along):
        return {"type": "log", "nice": False, "padding": 24}
    return {"zero": False, "nice": False, "padding": 24}


def _below(values: Values) -> Spec:
    """The horizontal axis, with the values themselves if they are few."""
    along = sorted({one["x"] for one in values})
    ticks: Spec = {"values": along} if len(along) <= TICKS else {"tickCount": 6}
    return {"grid": False, "format": ",~r", "labelOverlap": True, **ticks}


def _level(level: Mapping[str, Any], words: str, y: Spec) -> list[Spec]:
    """A horizontal line with its interval as a band, and words above it."""
    once: Spec = {"values": [dict(level)]}
    ends = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
    text = {"x": {"value": "width"}, "y": {**y, "field": "mean"}}
    return [
        {"data": once, "mark": mark("rect", "quiet", opacity=0.16), "encoding": ends},
        {"data": once, "mark": mark("rule", "ink", strokeDash=[4, 3]), "encoding": {"y": text["y"]}},
        {"data": once, "mark": mark("text", text=words, align="right", dy=-7), "encoding": text},
    ]
