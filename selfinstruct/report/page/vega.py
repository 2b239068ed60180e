"""Vega, which draws the figures: its JavaScript for the page, and SVG or PNG files without a browser.

`vl-convert-python` brings Vega with it, so nothing is loaded from the network. Making the JavaScript of one
page takes some seconds; it is kept in the user's cache folder, by its version.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from selfinstruct.report.page.marks import Figure
from selfinstruct.report.page.theme import config

PACKAGE = "vl-convert-python"
SNIPPET = "window.vegaEmbed = vegaEmbed;"  # what the page needs of it
WIDE, HIGH = 720, 560  # pixels of a file; a page has room of its own
LONGEST = 60  # characters of a file's name: 240 bytes at most
SCALE = 2.0  # pixels of a PNG for each pixel of the figure


def bundle() -> str:
    """The JavaScript of Vega, Vega-Lite and vega-embed; the text sets `window.vegaEmbed`."""
    kept = _kept()
    try:
        text = kept.read_text(encoding="utf-8")
        if text.endswith(_END):
            return text
    except (OSError, ValueError):  # not made yet, or damaged: made now
        pass
    import vl_convert

    text = vl_convert.javascript_bundle(SNIPPET) + _END
    _keep(text, kept)
    return text


def write(figures: Sequence[Figure], folder: Path, form: str) -> list[Path]:
    """Write figures as files, `NAME.svg` or `NAME.png`; return their paths.

    Args:
        figures: the figures.
        folder: the folder for them; it is made if it does not exist.
        form: `svg` or `png`.

    Raises:
        OSError: if a file cannot be written.
    """
    import vl_convert

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in zip(file_names([figure.name for figure in figures]), figures, strict=True):
        spec = for_file(figure)
        path = folder / f"{name}.{form}"
        if form == "svg":
            content = vl_convert.vegalite_to_svg(spec).encode()
        else:
            content = vl_convert.vegalite_to_png(spec, scale=SCALE)
        path.write_bytes(content)
        paths.append(path)
    return paths


def file_names(names: Sequence[str]) -> Iterator[str]:
    """Safe, short and unique names of files for figures, whose own names hold names of a user's fields."""
    taken: set[str] = set()
    for name in names:
        safe = re.sub(r"[^\w.-]+", "-", name).lstrip(".-")[:LONGEST].rstrip(".") or "figure"
        found, number = safe, 1
        while found.casefold() in taken:  # as a disk that takes A and a for the same
            number += 1
            found = f"{safe}-{number}"
        taken.add(found.casefold())
        yield found


def for_file(figure: Figure) -> dict[str, Any]:
    """The specification of a figure with a width, a title and colours of its own."""
    height = figure.spec["height"]
    return {
        **figure.spec,
        "width": WIDE if figure.wide else WIDE // 2,
        "height": HIGH if height == "container" else height,
        "title": {"text": figure.title, "anchor": "start", "offset": 12},
        "padding": 12,
        "config": config(on_page=False),
    }


_END = "\n/* end */\n"  # a text without it was not kept whole


def _kept() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("selfinstruct", appauthor=False) / f"vega-{version(PACKAGE)}.js"


def _keep(text: str, path: Path) -> None:
    """Keep the text for the next page; where that is not possible, the next page makes it again."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        return
