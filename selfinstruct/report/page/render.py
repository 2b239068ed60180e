"""The page that explains a run: one HTML file, with its data, its figures and all that draws them inside.

The page loads nothing and sends nothing: its Content-Security-Policy allows only the two scripts and the one
style sheet in it, by their digests. Texts of records are data: they are put in as JSON and shown by
`textContent`, so a text never becomes a part of the page, whatever is in it. The templates are in templates/.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from selfinstruct.report.page import formats
from selfinstruct.report.page.cells import fitted, visible
from selfinstruct.report.page.marks import Figure
from selfinstruct.report.page.theme import config, variables
from selfinstruct.report.page.vega import bundle

TEMPLATES = "templates"


def page(template: str, figures: Sequence[Figure], tables: Mapping[str, Any], **facts: Any) -> str:
    """The page as one text.

    Args:
        template: the name of its template.
        figures: its figures.
        tables: its searchable tables by name, each with `columns`, `rows` and `total`.
        facts: what else the template shows.
    """
    style = (
        _text("report.css").replace("/* light */", variables(False)).replace("/* dark */", variables(True))
    )
    drawing, own = bundle(), _text("report.js")
    data = {
        "config": config(on_page=True),
        "figures": {figure.name: _told(figure) for figure in figures},
        "tables": fitted(tables),
    }
    return str(
        _templates()
        .get_template(template)
        .render(
            policy=policy([drawing, own], style),
            style=style,
            scripts=[drawing, own],
            data=inert(data),
            figures=figures,
            tables=tables,
            **visible(facts),
        )
    )


def _told(figure: Figure) -> dict[str, Any]:
    """The specification with a description, which the browser tells to a screen reader."""
    return {
        **figure.spec,
        "description": f"{figure.title}. {figure.read} The numbers are in the table below.",
    }


def policy(scripts: Sequence[str], style: str) -> str:
    """The Content-Security-Policy: these scripts and this style sheet, and nothing else from anywhere."""
    allowed = " ".join(map(_digest, scripts))
    parts = ("default-src 'none'", f"script-src {allowed}", f"style-src {_digest(style)}")
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


def inert(data: Any) -> str:
    """JSON that no HTML can be made of: it has no `<`, `>` or `&`."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    text = text.encode("utf-8", "replace").decode()  # half of a character
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def _text(name: str) -> str:
    return (files("selfinstruct.report.page") / TEMPLATES / name).read_text(encoding="utf-8")


@lru_cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("selfinstruct.report.page", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= formats.FILTERS
    return found
