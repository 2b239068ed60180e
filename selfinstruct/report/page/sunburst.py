"""The sunburst of the paper's figure 3: root verbs in the inner ring, their direct objects in the outer one.

The angles and radii are computed here, so that the marks are plain arcs, and the share of a verb is that of
its instructions. A label is shown where its arc has room for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import pi
from typing import Any

from selfinstruct.report.page.marks import Spec, amount, chart, hints, mark
from selfinstruct.report.page.theme import CELL_INK, CELLS, FONT

INNER, MIDDLE, OUTER = 0.2, 0.58, 1.0  # of the radius
HALF = "min(width,height)/2"
LETTER = 11  # pixels


def sunburst(verbs: Sequence[Mapping[str, Any]]) -> Spec:
    """The sunburst of verbs with `verb`, `count` and `objects`, which have `object` and `count`."""
    scale = {"domain": [0, 1], "range": [0, {"expr": HALF}], "zero": True, "nice": False}
    radius = amount("out", scale=scale)
    arcs = {
        "theta": amount("start", scale=None, stack=None),
        "theta2": {"field": "end"},
        "radius": {**radius, "stack": None},
        "radius2": {"field": "in"},
        "fill": {"field": "fill", "type": "nominal", "scale": None},
        "tooltip": hints(verb="verb", object="object", count="instructions|,"),
    }
    size = f"min({LETTER}, {HALF}/17)"
    room = {"test": f"datum.arc*{HALF} > {size}*0.95", "value": 1}
    words = {
        "theta": amount("middle", scale=None, stack=None),
        "radius": {**amount("between", scale=scale), "stack": None},
        "angle": {"field": "turn", "type": "quantitative", "scale": None},
        "text": {"field": "label", "type": "nominal"},
        "opacity": {"condition": room, "value": 0},
    }
    text = mark("text", font=FONT, color=CELL_INK, fontSize={"expr": size}, limit={"expr": f"{HALF}*0.38"})
    layers = [{"mark": mark("arc"), "encoding": arcs}, {"mark": text, "encoding": words}]
    return chart(list(_cells(verbs)), layers, "container")


def _cells(verbs: Sequence[Mapping[str, Any]]) -> Iterator[Spec]:
    """The arcs of both rings; what has none of the named objects leaves its part of the outer ring empty."""
    whole = sum(verb["count"] for verb in verbs) or 1
    start = 0.0
    for place, verb in enumerate(verbs):
        fill = CELLS[_colour(place, len(verbs))]
        own = {"verb": verb["verb"], "fill": fill}
        end = start + 2 * pi * verb["count"] / whole
        yield (
            _cell(start, end, INNER, MIDDLE)
            | own
            | {
                "label": verb["verb"],
                "object": "any",
                "count": verb["count"],
            }
        )
        inside = start
        for object in verb["objects"]:
            outside = inside + 2 * pi * object["count"] / whole
            yield (
                _cell(inside, outside, MIDDLE, OUTER)
                | own
                | {
                    "label": object["object"],
                    "object": object["object"],
                    "count": object["count"],
                    "fill": _lighter(fill),
                }
            )
            inside = outside
        start = end


def _colour(place: int, count: int) -> int:
    """Which colour a verb has; neighbours differ, also the last one and the first."""
    closing = place == count - 1 and place > 0 and place % len(CELLS) == 0
    return 2 if closing else place % len(CELLS)


def _cell(start: float, end: float, inner: float, outer: float) -> Spec:
    """An arc, and the place and turn of its label, which is never upside down."""
    middle, between = (start + end) / 2, (inner + outer) / 2
    turn = middle * 180 / pi - 90
    return {
        "start": start,
        "end": end,
        "in": inner,
        "out": outer,
        "middle": middle,
        "between": between,
        "turn": turn if middle <= pi else turn - 180,
        "arc": (end - start) * between,
    }


def _lighter(colour: str) -> str:
    """A colour half way to white; a dark label is legible on it, whichever ground the page has."""
    parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return "#" + "".join(f"{(part + 255) // 2:02x}" for part in parts)
