"""Colours and type of the report: one table for the page, its figures, and the figures written as files.

On the page, a figure's colours are CSS variables, so that light, dark and print need no new drawing. A file
has the light colours themselves. Each text colour has a contrast of at least 4.5 to its ground, each mark of
at least 3, and the pairs that stand side by side are told apart with each form of colour blindness.
To add a colour, add a line to `COLOURS`; both forms have its name.
"""

from __future__ import annotations

from typing import Any

COLOURS = {  # name: on a light ground, on a dark one
    "paper": ("#ffffff", "#14171c"),
    "card": ("#f5f6f4", "#1d2127"),
    "ink": ("#1b1e23", "#e9e8e4"),
    "soft": ("#565c66", "#a9afb9"),
    "line": ("#d9dcd8", "#363c46"),
    "kept": ("#0b66a8", "#5fb0f0"),
    "lost": ("#bf4d08", "#f59e55"),
    "quiet": ("#828a94", "#808895"),
    "found": ("#ffeeb8", "#574712"),
    "series-3": ("#15806a", "#4bcba8"),
    "series-4": ("#8a4aa3", "#d3a0ea"),
    "series-5": ("#857000", "#dcc049"),
    "series-6": ("#3f444c", "#c3c8cf"),
}
SERIES = ("kept", "lost", "series-3", "series-4", "series-5", "series-6")  # runs or parts side by side
# Paul Tol's scheme `light`, made for dark labels on coloured cells; legible on both grounds.
CELLS = ("#77aadd", "#eedd88", "#ffaabb", "#44bb99", "#ee8866", "#99ddff", "#bbcc33", "#dddddd")
# Ratings from the best to the worst, of the same scheme; each is also written on its part.
RATINGS = ("#77aadd", "#99ddff", "#eedd88", "#ee8866", "#dddddd")
CELL_INK = "#1b1e23"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif"


def variables(dark: bool) -> str:
    """The colours as CSS variables."""
    return "".join(f"--{name}:{pair[dark]};" for name, pair in COLOURS.items())


def config(on_page: bool) -> dict[str, Any]:
    """The look of the figures as a configuration of Vega-Lite.

    Args:
        on_page: whether the colours are CSS variables, or those of a light ground.
    """
    colour = {name: f"var(--{name})" if on_page else pair[0] for name, pair in COLOURS.items()}
    text = {"font": FONT, "fontSize": 12}
    labels = {"labelFont": FONT, "labelFontSize": 12, "labelColor": colour["soft"]}
    titles = {"titleFont": FONT, "titleFontSize": 12, "titleColor": colour["soft"], "titleFontWeight": 400}
    axis = {"domainColor": colour["line"], "gridColor": colour["line"], "tickColor": colour["line"]}
    styles = {name: {"color": colour[name]} for name in ("kept", "lost", "quiet", "soft", "ink")}
    return {
        "background": None if on_page else colour["paper"],
        "view": {"stroke": None},
        "axis": {**labels, **titles, **axis, "titlePadding": 8, "labelPadding": 5, "tickSize": 4},
        "legend": {
            **labels,
            **titles,
            "orient": "top",
            "title": None,
            "labelLimit": 220,
            "symbolType": "square",
        },
        "text": {**text, "color": colour["ink"]},
        "bar": {"color": colour["kept"]},
        "line": {"color": colour["kept"], "strokeWidth": 2},
        "rule": {"color": colour["ink"]},
        "arc": {"stroke": colour["paper"], "strokeWidth": 1},
        "style": styles,
        "range": {"category": [colour[name] for name in SERIES]},
    }
