"""The parts that figures are made of: specifications of Vega-Lite as plain dicts, with their numbers inside.

A specification is data: the page draws it in the browser, and `vega.py` writes it as SVG or PNG. Each
figure also has its numbers as a table, for readers without scripts or eyes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # a name; nothing is loaded from there
MOST_TICKS = 12  # whole numbers below a histogram
LARGE = 10_000  # from here on, an axis has 10k instead of 10,000
BAR = 24  # pixels from one horizontal bar to the next
SMALL = 190  # height in pixels of a figure among others
Spec = dict[str, Any]
Histogram = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        section: the section of the page that it is in.
        name: its name, also of its file.
        title: its title.
        read: a sentence on how to read it.
        spec: its specification, without the width and the look.
        columns: the headings of its numbers.
        rows: its numbers.
        wide: whether it takes the whole width of the page.
    """

    section: str
    name: str
    title: str
    read: str
    spec: Spec
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    wide: bool = False


def chart(values: Sequence[Mapping[str, Any]], layers: Sequence[Spec], height: Any = SMALL) -> Spec:
    """A figure of layers that share their values."""
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "data": {"values": list(values)},
        "layer": list(layers),
    }


def tall(count: int, beside: int = 10) -> int:
    """The height of a figure with so many horizontal bars, and room for an axis and a legend."""
    return BAR * count + beside


def mark(type: str, style: str = "", **options: Any) -> Spec:
    """A mark, in a colour of the theme."""
    return {"type": type, **({"style": style} if style else {}), **options}


def amount(field: str, title: str | None = None, **options: Any) -> Spec:
    """An axis of numbers; `axis` and `scale` may be given."""
    return {"field": field, "type": "quantitative", "title": title, **options}


def names(field: str, limit: int = 170) -> Spec:
    """A vertical axis of names, in the order of the values."""
    axis = {"labelLimit": limit, "ticks": False, "domain": False, "labelPadding": 8}
    return {"field": field, "type": "nominal", "title": None, "sort": None, "axis": axis}


def hints(**titles: str) -> list[Spec]:
    """The tooltip's lines: titles by field; a title may end in `|` and a format."""
    found = []
    for field, words in titles.items():
        title, _, form = words.partition("|")
        found.append({"field": field, "title": title, **({"format": form} if form else {})})
    return found


def rule(at: float, words: str, right: bool = False) -> list[Spec]:
    """A vertical line with words at its head, on its left if the line is on the right."""
    x: Spec = {"datum": at, "type": "quantitative"}
    once: Spec = {"values": [{}]}
    side: Spec = {"align": "right", "dx": -5} if right else {"align": "left", "dx": 5}
    return [
        {"data": once, "mark": mark("rule", strokeDash=[4, 3]), "encoding": {"x": x}},
        {"data": once, "mark": mark("text", text=words, **side), "encoding": {"x": x, "y": {"value": -7}}},
    ]


def bars(values: Sequence[Mapping[str, Any]], name: str, number: str, form: str = ",") -> Spec:
    """Horizontal bars with their numbers beside them."""
    x = amount(number, axis=None)
    both = {"y": names(name), "x": x}
    text = {"field": number, "type": "quantitative", "format": form}
    return chart(
        values,
        [
            {"mark": mark("bar", tooltip=True, height={"band": 0.7}), "encoding": both},
            {"mark": mark("text", align="left", dx=5), "encoding": {**both, "text": text}},
        ],
        tall(len(values)),
    )


def histogram(found: Histogram, axis: str, style: str = "kept", domain: Sequence[float] = ()) -> Spec:
    """Bars of how many texts have a figure in each interval."""
    edges = found["edges"]
    values = [
        {"from": low, "to": high, "texts": count}
        for low, high, count in zip(edges, edges[1:], found["counts"], strict=False)
    ]
    limits = list(domain) or [edges[0], edges[-1]]
    x = amount("from", axis, bin="binned", scale={"domain": limits, "nice": False})
    y = amount("texts", axis=upright(counting(found["counts"])))
    tips = hints(texts="texts|,", **{"from": "from", "to": "to"})
    encoding = {"x": {**x, "axis": _below(edges)}, "x2": {"field": "to"}, "y": y, "tooltip": tips}
    return chart(values, [{"mark": mark("bar", style), "encoding": encoding}])


def _below(edges: Sequence[float]) -> Spec:
    """The axis below a histogram; where an interval holds one whole number, such as a score, that number."""
    if all(high - low == 1 and low % 1 == 0.5 for low, high in pairwise(edges)):
        whole = [int(edge + 0.5) for edge in edges[:-1]]
        return {**across(whole), "values": whole[:: len(whole) // MOST_TICKS + 1]}
    return across(edges)


def upright(form: str) -> Spec:
    """A vertical axis of numbers."""
    return {"tickCount": 4, "format": form, "domain": False, "ticks": False}


def across(numbers: Iterable[float]) -> Spec:
    """A horizontal axis of numbers such as these."""
    return {"grid": False, "tickCount": 6, "format": counting(numbers)}


def counting(numbers: Iterable[float]) -> str:
    """The format of an axis of such numbers: large ones in thousands."""
    return "~s" if max(numbers, default=0) >= LARGE else ",~r"


def histogram_rows(found: Histogram) -> list[list[Any]]:
    """The numbers of a histogram, without empty intervals at its ends."""
    edges, counts = found["edges"], found["counts"]
    filled = [place for place, count in enumerate(counts) if count]
    places = range(filled[0], filled[-1] + 1) if filled else []
    return [[edges[place], edges[place + 1], counts[place]] for place in places]


def line(points: Sequence[Mapping[str, Any]], x: str, y: str, title: str, form: str) -> Spec:
    """A line over requests; without a format, its numbers are counts."""
    along = amount(x, title, axis=across(one[x] for one in points), scale={"nice": False})
    up = amount(y, axis=upright(form or counting(one[y] for one in points)), scale={"zero": True})
    tips = hints(**{x: f"{title}|,", y: f"{y}|{form or ','}"})
    alone: Spec = {"point": True} if len(points) == 1 else {}
    marks = {"mark": mark("line", **alone), "encoding": {"x": along, "y": up, "tooltip": tips}}
    return chart(points, [marks])


def overlaid(
    values: Sequence[Mapping[str, Any]],
    x: str,
    y: str,
    runs: Sequence[str],
    title: str,
    form: str,
) -> Spec:
    """A line for each run, told apart by colour and by dashes."""
    counts = Counter(one["run"] for one in values)
    alone: Spec = {"point": True} if 1 in counts.values() else {}
    dashes = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 4]]
    encoding = {
        "x": amount(x, title, axis=across(one[x] for one in values), scale={"nice": False}),
        "y": amount(y, axis=upright(form or counting(one[y] for one in values))),
        "color": {
            "field": "run",
            "type": "nominal",
            "sort": None,
            "scale": {"domain": list(runs)},
            "legend": {"symbolType": "stroke", "symbolSize": 250},
        },
        "strokeDash": {
            "field": "run",
            "type": "nominal",
            "sort": None,
            "scale": {"domain": list(runs), "range": dashes},
        },
        "tooltip": hints(run="run", **{x: f"{title}|~r", y: f"{y}|{form or ','}"}),
    }
    return chart(values, [{"mark": mark("line", **alone), "encoding": encoding}])
