"""Pieces of text for a terminal: safe, with marks, on one line, or cut where they are very long.

Every text of a record goes through `piece`, so that nothing in it can act on the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from selfinstruct.monitor.terminal import safe
from selfinstruct.text.readable import readable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

LONGEST = 20_000  # characters of one text in a story
BRIEF = 160  # characters of a record that is only named
COLOURS = {"accepted": "green", "passed": "green", "rejected": "red", "seed": "cyan", "waiting": "yellow"}


def piece(text: str, style: str = "") -> Text:
    """A text in which nothing acts on the terminal."""
    from rich.text import Text

    return Text(safe(text), style=style)


def name_of(one: Mapping[str, Any]) -> Text:
    """The id of a record and its fate."""
    by = f" by {one['check']}" if one["check"] else ""
    fate = "a seed task" if one["fate"] == "seed" else one["fate"]
    return piece(one["id"], "bold") + piece(f"  {fate}{by}", COLOURS.get(one["fate"], ""))


def fields(data: Mapping[str, Any], most: int | None = None) -> Table:
    """The fields of a record, each on a row; if `most` is given, on one line of so many characters."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in data.items():
        text = readable(value)
        table.add_row(piece(name, "dim"), piece(short(text, most) if most else clipped(text)))
    return table


def marked(text: str, spans: Iterable[Sequence[int]], coloured: bool, style: str) -> Text:
    """A text with some parts marked: by a colour, or in brackets where there are no colours."""
    found, at = piece(""), 0
    for start, end in _beside(text, spans):
        if end > LONGEST:
            break
        found += piece(text[at:start])
        found += piece(text[start:end], style) if coloured else piece(f"[{text[start:end]}]")
        at = end
    return found + piece(clipped(text)[at:])


def short(text: str, most: int = BRIEF) -> str:
    """A text on one line, cut if it is long."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[:most]}…"


def clipped(text: str) -> str:
    """A text without what is beyond the longest that is shown."""
    more = len(text) - LONGEST
    return text if more <= 0 else f"{text[:LONGEST]}\n… and {more:,} more characters; --json shows all"


def figure(value: Any) -> str:
    """A value among others on a line."""
    return f"{value:.3f}" if isinstance(value, float) else short(readable(value))


def _beside(text: str, spans: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """The spans without those that overlap; those that only spaces separate are one."""
    found: list[tuple[int, int]] = []
    for start, end in spans:
        if found and start < found[-1][1]:
            continue
        if found and not text[found[-1][1] : start].strip():
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found
