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
from typing import TYPE_CHECKING, Any

from selfinstruct.sources.passages import PAGES, Leaf, Passage, Reading, cut, table_of

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

_SAVE = "open it in a viewer and save it again, or take it out"
_GAP = re.compile(r"\s{3,}")  # between two columns
CELL = 25  # the most characters that a cell of a table has on average; columns of prose have more
SAME = 3  # from this many pages on, the same line at their edge is not part of the text
_NUMBER = re.compile(r"\W{0,3}\d{1,4}\W{0,3}")
_BULLET = re.compile(r"[•‣◦▪●○·*–-]|\(?\w{1,3}[.)]")
_NUMBERED = re.compile(r"(?i)^(?:chapter |section )?[\dA-Z](?:\.?\d+)*[.:]?\s+")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-\n(?=[a-zß-öø-ÿ])")


def pdf(data: bytes, reading: Reading) -> Iterator[Passage]:
    """The passages of a PDF file; a file that is encrypted or broken is one fault."""
    try:
        with _quiet():
            leaves = _leaves(data, reading)
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
    if reader.is_encrypted and not _decrypted(reader):
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


def _decrypted(reader: PdfReader) -> bool:
    """Whether it can be read without a password; many files only forbid printing."""
    from pypdf.errors import DependencyError

    try:
        return bool(reader.decrypt(""))
    except DependencyError:  # its cipher needs another package
        return False


def _text(page: PageObject) -> str:
    """The text of a page; if it has a table, with its rows as in Markdown."""
    plain = page.extract_text()
    if not plain.strip():
        return ""
    laid_out = page.extract_text(extraction_mode="layout")
    text = _tabulated(laid_out) or plain
    lines = (line.strip() for line in text.split("\n"))
    kept = "\n".join(f" {line}" if line.startswith("#") else line for line in lines)
    return re.sub(r"\n{3,}", "\n\n", _HYPHEN.sub("", kept)).strip("\n")


def _tabulated(text: str) -> str:
    """A page with lines in a row that have the same number of short cells; empty if there are none."""
    found, rows, made = False, list[list[str]](), list[str]()
    for line in [*text.split("\n"), ""]:
        cells = [cell for cell in _GAP.split(line.strip()) if cell]
        if len(cells) > 1 and _BULLET.fullmatch(cells[0]):  # an item of a list
            cells = [f"{cells[0]} {cells[1]}", *cells[2:]]
        if len(cells) > 1 and (not rows or len(cells) == len(rows[0])):
            rows.append(cells)
            continue
        block, is_table = _block(rows)
        found, rows = found or is_table, []
        made += block
        if len(cells) > 1:
            rows.append(cells)
        else:
            made.append(" ".join(line.split()))
    return "\n".join(made) if found else ""


def _block(rows: Sequence[Sequence[str]]) -> tuple[list[str], bool]:
    """Rows of cells as lines, and whether they are a table."""
    cells = [cell for row in rows for cell in row]
    if len(rows) > 1 and sum(map(len, cells)) <= CELL * len(cells):
        return ["", *table_of(rows).split("\n"), ""], True
    return [" ".join(row) for row in rows], False


def _without_running(texts: Sequence[str]) -> list[str]:
    """The pages without page numbers, and without the titles that run along their edges."""
    running = [_running(texts, place) for place in (0, -1)]
    made = []
    for number, text in enumerate(texts, 1):
        lines = text.split("\n")
        if len(lines) > 1 and _is_running(lines[0], number, running[0]):
            lines = lines[1:]
        if len(lines) > 1 and _is_running(lines[-1], number, running[1]):
            lines = lines[:-1]
        made.append("\n".join(lines).strip("\n"))
    return made


def _running(texts: Sequence[str], place: int) -> set[tuple[str, int | None]]:
    """The first lines of pages, or the last ones, that many pages share, but for the page's number."""
    lines = [_edge(text.split("\n")[place], number) for number, text in enumerate(texts, 1)]
    numbered = Counter(line for line in lines if line[1] is not None)
    same = Counter(words for words, _ in lines if words)
    found: set[tuple[str, int | None]] = {line for line, count in numbered.items() if count >= SAME}
    return found | {(w, None) for w, count in same.items() if count >= SAME and 2 * count > len(texts)}


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
    return "\n".join([*above, *lines]).strip("\n")
