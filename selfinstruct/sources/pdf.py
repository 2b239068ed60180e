"""PDF files as Markdown with page numbers: bookmarks become headings, and short columns become tables.

The text is what the file says it is. A page that is only an image has none; recognising it is not done here.
"""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from selfinstruct.sources.passages import PAGES, Leaf, Passage, Reading, cut, table_of

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

_SAVE = "open it in a viewer and save it again, or take it out"
_AES = "if it opens without a password, pip install cryptography; or else save it without one, or take it out"
_GAP = re.compile(r"\s{3,}")  # between two columns
CELL = 25  # the most characters that a cell of a table has on average; columns of prose have more
FULL = 0.8  # a line of this share of the longest one is full
EDGE = 2  # the most lines at an edge that are not part of the text
SAME = 3  # from this many pages on, the same line at their edge is not part of the text
_NUMBER = re.compile(r"\W{0,3}\d{1,4}\W{0,3}")
_BULLET = re.compile(r"[•‣◦▪●○·*–-]|\(?\w{1,3}[.)]")
_LONE = re.compile(r"(?m)^[ ]*([•‣◦▪●○])[ ]*\n")  # a bullet on a line of its own
_NUMBERED = re.compile(r"(?i)^(?:chapter |section )?[\dA-Z](?:\.?\d+)*[.:]?\s+")
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u2010]\n(?=[a-zß-öø-ÿ])(?!(?:und|oder|bis|bzw|and|or|to)\b)")
_CJK = re.compile(r"[\u3001\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uff0c]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|\u00ad\n?")
_LIGATURES = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
}
# Bullets of the fonts Symbol and Wingdings, in the private use area, and WinAnsi's
_READABLE = {**_LIGATURES, 0x7F: "•", **dict.fromkeys((0xF0A7, 0xF0B7, 0xF0D8, 0xF0FC), "•")}


def pdf(data: bytes, reading: Reading) -> Iterator[Passage]:
    """The passages of a PDF file; a file that is encrypted or broken is one fault."""
    from pypdf.errors import DependencyError

    try:
        with _quiet():
            leaves = _leaves(data, reading)
    except DependencyError:
        reading.fault("is encrypted with AES, which needs the package cryptography to be read", _AES)
        return
    except Exception as error:  # pypdf raises errors of many types for a broken file
        reading.fault(f"is not a PDF file that can be read: {_said(error)}", _SAVE)
        return
    blank = sum(not leaf.text.strip() for leaf in leaves)
    reading.textless = (blank, len(leaves))
    yield from cut(leaves, PAGES, reading.cutting)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pypdf's remarks on slightly wrong files off the screen."""
    logger = logging.getLogger("pypdf")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _leaves(data: bytes, reading: Reading) -> list[Leaf]:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):  # many files only forbid printing
        reading.fault("is encrypted", "save it without its password, or take it out")
        return []
    marks = _bookmarks(reader)
    texts, size = list[str](), 0
    for page in reader.pages:
        texts.append(_text(page))
        size += len(texts[-1])
        if size > reading.cutting.largest_mb * 1e6:
            reading.too_large(size, "has text of")
            return []
    return [
        Leaf(_with_headings(text, marks.get(number, ())), number)
        for number, text in enumerate(_without_running(texts), 1)
    ]


def _text(page: PageObject) -> str:
    """The text of a page in reading order, with its tables as in Markdown."""
    plain = page.extract_text()
    if not plain.strip():
        return ""
    tables = _tables(page.extract_text(extraction_mode="layout"))
    text = _LONE.sub(r"\1 ", _joined(_HYPHEN.sub("", _cleaned(_with_tables(plain, tables)))))
    lines = (line.strip() for line in text.split("\n"))
    kept = "\n".join(f" {line}" if line.startswith("#") else line for line in lines)
    return re.sub(r"\n{3,}", "\n\n", kept).strip("\n")


def _cleaned(text: str) -> str:
    """The text without ligatures, soft hyphens and control characters, and with bullets that can be read."""
    return _CONTROL.sub("", text.translate(_READABLE))


def _joined(text: str) -> str:
    """Chinese and Japanese lines that go on in the next line, which has no space between, as one line."""
    lines = text.split("\n")
    full = FULL * max(map(len, lines))
    made = lines[:1]
    for before, line in pairwise(lines):
        goes_on = len(before) >= full and _CJK.match(before[-1:]) and _CJK.match(line)
        if goes_on:
            made[-1] += line
        else:
            made.append(line)
    return "\n".join(made)


def _tables(text: str) -> list[list[list[str]]]:
    """The tables of a page: lines in a row that have the same number of short cells."""
    found, rows = list[list[list[str]]](), list[list[str]]()
    for line in [*text.split("\n"), ""]:
        cells = [cell for cell in _GAP.split(line.strip()) if cell]
        if len(cells) > 1 and _BULLET.fullmatch(cells[0]):  # an item of a list
            cells = [f"{cells[0]} {cells[1]}", *cells[2:]]
        if rows and len(cells) != len(rows[0]):
            found += [rows] if _is_table(rows) else []
            rows = []
        if len(cells) > 1:
            rows.append(cells)
    return found


def _is_table(rows: Sequence[Sequence[str]]) -> bool:
    cells = [cell for row in rows for cell in row]
    return len(rows) > 1 and sum(map(len, cells)) <= CELL * len(cells)


def _with_tables(plain: str, tables: Sequence[Sequence[Sequence[str]]]) -> str:
    """The text of a page in which each table replaces the lines that have the same words.

    The layout only says where the cells are: it mixes the lines of columns of prose that are side by side,
    and runs the words of close columns together. So a table whose words are not in the text is not used.
    """
    lines = plain.split("\n")
    for rows in tables:
        words = " ".join(cell for row in rows for cell in row).split()
        for start, line in enumerate(lines):
            if line.split()[:1] == words[:1] and (end := _end(lines, start, words)):
                lines[start:end] = ["", *table_of(rows).split("\n"), ""]
                break
    return "\n".join(lines)


def _end(lines: Sequence[str], start: int, words: Sequence[str]) -> int | None:
    """The end of the lines that have exactly these words."""
    read = list[str]()
    for place in range(start, len(lines)):
        read += lines[place].split()
        if read == words:
            return place + 1
        if len(read) >= len(words):
            return None
    return None


def _without_running(texts: Sequence[str]) -> list[str]:
    """The pages without page numbers, and without the titles that run along their edges."""
    pages = [text.split("\n") for text in texts]
    for place in (0, -1):
        for _ in range(EDGE):
            running = _running(pages, place)
            for number, lines in enumerate(pages, 1):
                if len(lines) > 1 and _is_running(lines[place], number, running):
                    lines.pop(place)
                while len(lines) > 1 and not lines[place].strip():
                    lines.pop(place)
    return ["\n".join(lines).strip("\n") for lines in pages]


def _running(pages: Sequence[Sequence[str]], place: int) -> set[tuple[str, int | None]]:
    """The first lines of pages, or the last ones, that many pages share, but for the page's number."""
    lines = [_edge(lines[place], number) for number, lines in enumerate(pages, 1)]
    numbered = Counter(line for line in lines if line[1] is not None)
    same = Counter(words for words, _ in lines if words)
    found: set[tuple[str, int | None]] = {line for line, count in numbered.items() if count >= SAME}
    return found | {(w, None) for w, count in same.items() if count >= SAME and 2 * count > len(pages)}


def _is_running(line: str, number: int, running: set[tuple[str, int | None]]) -> bool:
    edge = _edge(line, number)
    return bool(_NUMBER.fullmatch(line.strip())) or edge in running or (edge[0], None) in running


def _edge(line: str, number: int) -> tuple[str, int | None]:
    """A line without its numbers, and the difference of its last one from the page's, if it has one."""
    found = re.findall(r"\d{1,9}", line)
    return re.sub(r"\d+", "0", line.strip()), int(found[-1]) - number if found else None


def _bookmarks(reader: PdfReader) -> dict[int, list[tuple[int, str]]]:
    """The bookmarks by page number from 1, each with its level from 1."""
    found: dict[int, list[tuple[int, str]]] = {}

    def walk(outline: Sequence[Any], level: int) -> None:
        for one in outline:
            if isinstance(one, list):
                walk(one, level + 1)
                continue
            page = reader.get_destination_page_number(one)
            title = " ".join(str(one.title or "").split())
            if page is not None and title:
                found.setdefault(page + 1, []).append((min(level, 6), title))

    walk(reader.outline, 1)
    return found


def _with_headings(text: str, marks: Sequence[tuple[int, str]]) -> str:
    """A page with its bookmarks as headings: in place of the line with the same words, or else at its top."""
    lines, above = text.split("\n"), list[str]()
    known: dict[str, int] = {}
    for place, line in enumerate(lines):
        words = " ".join(line.split()).casefold()
        known.setdefault(words, place)
        known.setdefault(_NUMBERED.sub("", words), place)
    for level, title in marks:
        heading = f"{'#' * level} {title}"
        found = known.get(title.casefold())
        if found is None:
            above += [heading, ""]
        else:
            lines[found] = f"\n{heading}\n"
    return re.sub(r"\n{3,}", "\n\n", "\n".join([*above, *lines])).strip("\n")
