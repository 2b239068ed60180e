"""Cut texts into passages, each with its place in the text.

A format of text is a function from a file's text to its passages, listed in `FORMATS`; to add one, write it
and list it. Text and Markdown are cut by text-splitter (the package semantic-text-splitter) at the largest
units that fit: headings, paragraphs, sentences, words. Everything else becomes Markdown first: HTML here, and
files that are not text in `pdf` and `archives`, in leaves such as pages.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from selfinstruct.errors import Fault
from selfinstruct.records import storable
from selfinstruct.sources.seed_table import Table
from selfinstruct.sources.seed_tabular import MARKS, header_of, read_csv

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_UNREAD = ("script", "style", "noscript", "template", "nav", "head")

Format = Literal["text", "markdown", "html", "jsonl", "csv", "pdf", "docx", "pptx", "epub"]
Units = tuple[str, str]  # the words for one leaf, and for several
PAGES: Units = ("page", "pages")


@dataclass(frozen=True)
class Passage:
    """A part of a document. Lines and characters count from 1; a range includes both ends.

    Attributes:
        text: the text of the passage.
        section: the headings above it, the outermost first; empty if there are none.
        place: its place in the document: the lines of a text or Markdown file, the line of a JSONL file, the
            row of a CSV file, the pages, slides or chapters, or else the characters of its text.
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
        field: the key of a JSONL line, or the column of a CSV file, that holds its text.
        largest_mb: the largest size of one file, and of the text in it.
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


@dataclass
class Reading:
    """A file that is read.

    Attributes:
        path: the file.
        cutting: how documents are read and cut.
        faults: gets its faults.
        textless: how many of its pages have no text, and how many pages it has.
    """

    path: Path
    cutting: Cutting
    faults: list[Fault] = field(default_factory=list)
    textless: tuple[int, int] = (0, 0)

    def fault(self, what: str, remedy: str = "") -> None:
        """Add a fault of the file."""
        self.faults.append(Fault(str(self.path), what, remedy))

    def too_large(self, size: float, what: str = "has") -> None:
        """Add the fault that it is too large; the size is in bytes or characters."""
        most = self.cutting.largest_mb
        self.fault(
            f"{what} {size / 1e6:,.0f} MB, more than {most:g}", "split it, or raise the stage's largest_mb"
        )


@dataclass(frozen=True)
class Leaf:
    """A part of a document with a number: a page, a slide, a chapter.

    Attributes:
        text: its text as Markdown.
        number: its number, from 1.
    """

    text: str
    number: int


def cut(leaves: Sequence[Leaf], units: Units | None, cutting: Cutting) -> Iterator[Passage]:
    """Cut the leaves of a document, one after the other, into passages, which may be from several leaves.

    Args:
        leaves: the leaves, in order.
        units: the words for one and for several; None for a document without such parts.
        cutting: how documents are cut.
    """
    text, starts, numbers = "", list[int](), list[int]()
    for leaf in leaves:
        if not leaf.text.strip():
            continue
        if text:  # a sentence may go on on the next page
            text += "\n" if units == PAGES and text[-1].isalnum() else "\n\n"
        starts.append(len(text))
        numbers.append(leaf.number)
        text += str(storable(leaf.text.replace("\0", "")))
    section = _sections(text)
    for start, piece in cutting.pieces(text, markdown=True):
        ends = (start, start + len(piece.rstrip()) - 1)
        first, last = (numbers[bisect_right(starts, at) - 1] for at in ends)
        if units is None:
            place = f"characters {start + 1}-{start + len(piece)} of its text"
        else:
            place = f"{units[0]} {first}" if first == last else f"{units[1]} {first}-{last}"
        yield Passage(piece, section(start + _led(piece)), place)


def table_of(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as a table in Markdown; the first row is its head."""
    width = max((len(row) for row in rows), default=0)
    lines = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in [*row, *[""] * (width - len(row))]) + " |"
        for row in rows
    ]
    return "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]]) if lines else ""


def markdown_of(page: str, reading: Reading) -> str | None:
    """A page of HTML as Markdown; None after adding a fault."""
    from bs4 import BeautifulSoup
    from bs4.element import PreformattedString
    from markdownify import MarkdownConverter

    try:
        tree = BeautifulSoup(page, "html.parser")
        for unread in tree.find_all(_UNREAD):
            unread.decompose()
        for said in tree.find_all(string=lambda text: isinstance(text, PreformattedString)):
            said.extract()  # a comment or a declaration, such as <?xml …?>
        converter = MarkdownConverter(
            heading_style="ATX",
            strip=["a", "img"],
            escape_asterisks=False,
            escape_underscores=False,
            table_infer_header=True,
        )
        return str(converter.convert_soup(tree))
    except RecursionError:
        reading.fault("its elements are nested too deeply", "leave it out, or save it as text")
        return None


def _plain(text: str, reading: Reading) -> Iterator[Passage]:
    line = _lines(text)
    for start, piece in reading.cutting.pieces(text, markdown=False):
        yield Passage(piece, "", line(start, piece))


def _markdown(text: str, reading: Reading) -> Iterator[Passage]:
    line, section = _lines(text), _sections(text)
    for start, piece in reading.cutting.pieces(text, markdown=True):
        yield Passage(piece, section(start + _led(piece)), line(start, piece))


def _html(text: str, reading: Reading) -> Iterator[Passage]:
    made = markdown_of(text, reading)
    if made is not None:
        yield from cut([Leaf(made, 1)], None, reading.cutting)


def _csv(text: str, reading: Reading) -> Iterator[Passage]:
    key, table = reading.cutting.field, Table(reading.path, noun="documents")
    names, mark, _ = header_of(text, {key}, "\t" if reading.path.suffix.lower() == ".tsv" else ",")
    if key not in names:
        first = text.lstrip().split("\n", 1)[0].strip()
        columns = ", ".join(max((first.split(mark) for mark in MARKS), key=len)[:20])
        reading.fault(
            f"has no column {key!r}", f"set the stage's field=… to the one with the text: {columns}"
        )
        return
    read_csv(text, mark, table)
    reading.faults += table.faults
    for row in table.rows if not table.faults else ():
        yield from _within(str(row.data.get(key) or ""), f"line {row.number}", reading.cutting)


def _jsonl(text: str, reading: Reading) -> Iterator[Passage]:
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{reading.path} line {number}"
        found = _field_of(line, where, reading.cutting.field, reading.faults) if line.strip() else None
        if found is not None:
            yield from _within(found, f"line {number}", reading.cutting)


def _within(text: str, place: str, cutting: Cutting) -> Iterator[Passage]:
    """The passages of a text that has a place in its file."""
    pieces = list(cutting.pieces(text, markdown=False))
    for start, piece in pieces:
        within = f", characters {start + 1}-{start + len(piece)}" if len(pieces) > 1 else ""
        yield Passage(piece, "", place + within)


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


Reader = Callable[[str, Reading], Iterator[Passage]]
FORMATS: dict[Format, Reader] = {
    "text": _plain,
    "markdown": _markdown,
    "html": _html,
    "jsonl": _jsonl,
    "csv": _csv,
}
