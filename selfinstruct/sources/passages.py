"""Cut texts into passages, each with its place in the text.

A format is a function from a file's text to its passages, listed in `FORMATS`; to add one, write it and list
it. Text and Markdown are cut by text-splitter (the package semantic-text-splitter) at the largest units that
fit: headings, paragraphs, sentences, words. HTML is converted to Markdown first.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfinstruct.errors import Fault
from selfinstruct.records import storable

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_UNREAD = ("script", "style", "noscript", "template", "nav", "head")

Format = Literal["text", "markdown", "html", "jsonl"]


@dataclass(frozen=True)
class Passage:
    """A part of a document. Lines and characters count from 1; a range includes both ends.

    Attributes:
        text: the text of the passage.
        section: the headings above it, the outermost first; empty if there are none.
        place: its place in the document: the lines of a text or Markdown file, the line of a JSONL file, the
            characters of the text of an HTML page.
    """

    text: str
    section: str
    place: str


@dataclass(frozen=True)
class Cutting:
    """How documents are read and cut.

    Attributes:
        size: the most characters of a passage.
        overlap: the most characters that a passage shares with the one before.
        formats: the format of each file suffix (without its dot); None passes such files over.
        field: the key of a JSONL line that holds its text.
        largest_mb: the largest size of one file.
    """

    size: int
    overlap: int
    formats: dict[str, Format | None]
    field: str
    largest_mb: float

    def pieces(self, text: str, markdown: bool) -> Iterator[tuple[int, str]]:
        """The pieces of a text, each with the number of characters before it."""
        from semantic_text_splitter import MarkdownSplitter, TextSplitter

        splitter = (MarkdownSplitter if markdown else TextSplitter)(self.size, overlap=self.overlap)
        return ((start, piece) for start, piece in splitter.chunk_indices(text) if piece.strip())


def _plain(text: str, path: Path, cutting: Cutting, faults: list[Fault]) -> Iterator[Passage]:
    line = _lines(text)
    for start, piece in cutting.pieces(text, markdown=False):
        yield Passage(piece, "", line(start, piece))


def _markdown(text: str, path: Path, cutting: Cutting, faults: list[Fault]) -> Iterator[Passage]:
    line, section = _lines(text), _sections(text)
    for start, piece in cutting.pieces(text, markdown=True):
        yield Passage(piece, section(start + _led(piece)), line(start, piece))


def _html(text: str, path: Path, cutting: Cutting, faults: list[Fault]) -> Iterator[Passage]:
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    try:
        page = BeautifulSoup(text, "html.parser")
        for unread in page.find_all(_UNREAD):
            unread.decompose()
        converter = MarkdownConverter(
            heading_style="ATX", strip=["a", "img"], escape_asterisks=False, escape_underscores=False
        )
        made = str(converter.convert_soup(page))
    except RecursionError:
        faults.append(
            Fault(str(path), "its elements are nested too deeply", "leave it out, or save it as text")
        )
        return
    section = _sections(made)
    for start, piece in cutting.pieces(made, markdown=True):
        place = f"characters {start + 1}-{start + len(piece)} of its text"
        yield Passage(piece, section(start + _led(piece)), place)


def _jsonl(text: str, path: Path, cutting: Cutting, faults: list[Fault]) -> Iterator[Passage]:
    for number, line in enumerate(text.split("\n"), 1):
        found = _field_of(line, f"{path} line {number}", cutting.field, faults) if line.strip() else None
        if found is None:
            continue
        pieces = list(cutting.pieces(found, markdown=False))
        for start, piece in pieces:
            within = f", characters {start + 1}-{start + len(piece)}" if len(pieces) > 1 else ""
            yield Passage(piece, "", f"line {number}{within}")


def _field_of(line: str, where: str, key: str, faults: list[Fault]) -> str | None:
    """The text that a JSONL line holds under a key; None if a fault was added."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:  # a number of too many digits, brackets nested too deep
        faults.append(Fault(where, f"is not valid JSON: {error}"))
        return None
    text = data.get(key) if isinstance(data, dict) else None
    if not isinstance(text, str):
        what = f"has no text under {key!r}" if isinstance(data, dict) else "is not a JSON object"
        faults.append(Fault(where, what, "set the stage's field=… to the key that holds it"))
        return None
    if storable(text) != text:
        faults.append(Fault(where, "holds half of a character (an unpaired surrogate)", "type it again"))
        return None
    return text


def _lines(text: str) -> Callable[[int, str], str]:
    """A function that returns the lines of a piece, in words."""
    breaks = [match.start() for match in re.finditer("\n", text)]

    def place(start: int, piece: str) -> str:
        first, last = (bisect_right(breaks, at - 1) + 1 for at in (start, start + len(piece.rstrip("\n"))))
        return f"line {first}" if first == last else f"lines {first}-{last}"

    return place


def _led(piece: str) -> int:
    """The number of characters, in headings and blank lines, before the last of a piece's first headings."""
    last = at = 0
    for line in piece.split("\n"):
        if line.strip() and not _HEADING.fullmatch(line):
            break
        last, at = at if line.strip() else last, at + len(line) + 1
    return last


def _sections(text: str) -> Callable[[int], str]:
    """A function that returns the headings above a position in a Markdown text; only `#` headings count."""
    starts, names = [0], [""]
    above: list[tuple[int, str]] = []
    fence, at = "", 0
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        heading = None if fence else _HEADING.fullmatch(line)
        if heading and heading[2]:
            above = [one for one in above if one[0] < len(heading[1])] + [(len(heading[1]), heading[2])]
            starts.append(at)
            names.append(" > ".join(name for _, name in above))
        at += len(line) + 1
    return lambda start: names[bisect_right(starts, start) - 1]


Reader = Callable[[str, Path, Cutting, list[Fault]], Iterator[Passage]]
FORMATS: dict[Format, Reader] = {"text": _plain, "markdown": _markdown, "html": _html, "jsonl": _jsonl}
