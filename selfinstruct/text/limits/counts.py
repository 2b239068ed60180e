"""Counts in an answer, each as the lowest and the highest number that a reader may count."""

from __future__ import annotations

import re
from typing import NamedTuple

LINE = 60  # characters of a printed line, for a text without line breaks
SHORT = 12  # words of a line that can be an item without a mark
NEAR = 12  # characters beside the end of a sentence that say whether it is one
PIECE = 4  # words of an item between commas
PIECE_CHARACTERS = 14  # the same in scripts without spaces

MARK = re.compile(
    r"(?P<indent>[ \t]*)"
    r"(?:(?P<number>[*_#]{0,4} ?\(?(?:\d{1,3}|[①-⑳])(?:[.)、:．）：](?!\d)|(?<=[①-⑳]))[*_]{0,2}"
    r"|(?:[*_#]{0,4})(?:Step|Schritt|ステップ|步骤|第)\s?[\d一二三四五六七八九十]{1,3}[步点条项]?[:.：、)]?[*_]{0,2})"
    r"|(?P<bullet>[-•·‣▪◦–—]|\*(?!\*)|・|\(?[a-z][.)])(?=\s|[^\W\d_]))[ \t]*"
)
_INLINE = re.compile(r"(?:(?<=\s)|^)\(?(\d{1,2})[.)](?=\s)")
_WORD = re.compile(r"[^\W_]")
CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_ABBREVIATIONS = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|approx|Dr|Mr|Mrs|Ms|Prof|St|No|Inc|Ltd|Jr|Sr|U\.S|a\.m|p\.m|Fig|"
    r"z\. ?B|d\. ?h|u\. ?a|usw|bzw|ca|Nr|evtl|ggf|inkl|Tel|Str|Abs|vgl|[A-Za-zÄÖÜ]|\d{1,2}))\.$"
)
_AND = re.compile(r"(?i)\w\s+(?:and|und|or|oder|&)\s+\w|.(?:和|与|以及|と).")
_QUOTED = re.compile(
    r"「[^」]{0,400}」|『[^』]{0,400}』|“[^”]{0,400}”|„[^“”]{0,400}[“”]|\"[^\"]{0,400}\"|\([^)]{0,400}\)|（[^）]{0,400}）"
)
_STOP = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s|$)|[。！？!?…]+[」』”’）)]*")


class Count(NamedTuple):
    """The lowest and the highest number that a reader may count."""

    low: int
    high: int


def words(text: str) -> Count:
    """Words between spaces; a compound with hyphens or slashes is one, or as many as it has parts."""
    tokens = [token for line in _unmarked(text) for token in line.split() if _WORD.search(token)]
    parts = sum(len(re.findall(r"[^\W_]+(?:['’][^\W_]+)*", token)) for token in tokens)
    return Count(sum(any(map(str.isalpha, token)) for token in tokens), max(parts, len(tokens)))


def characters(text: str) -> Count:
    """Characters; without spaces and punctuation, or with them."""
    letters = [character for character in text if _WORD.match(character)]
    if CJK.search(text):  # a word or a number in Latin letters may be one
        shorter = len(re.sub(r"[A-Za-z0-9]+", "x", "".join(letters)))
        return Count(shorter, len("".join(text.split())))
    return Count(len(letters), len(text.strip()))


def sentences(text: str) -> Count:
    """Sentences; an abbreviation may end one, and a line without an end may be one."""
    low = high = 0
    for line in _unmarked(text):
        line_low, line_high = _of_line(line)
        low, high = low + line_low, high + line_high
    return Count(max(low, 1 if high else 0), high)


def lines(text: str) -> Count:
    """Lines with text; a text without line breaks may be printed in several."""
    found = [line for line in text.strip().splitlines() if line.strip()]
    wrapped = sum(max(1, -(-len(line) // LINE)) for line in found)
    return Count(len(found), wrapped if len(found) == 1 else len(found))


def paragraphs(text: str) -> Count:
    """Blocks between blank lines; a block may be a heading, or its lines paragraphs."""
    blocks = [block for block in re.split(r"\n\s*\n", text.strip()) if block.strip()]
    long = [block for block in blocks if len(block) > LINE or "\n" in block.strip() or _STOP.search(block)]
    each = [line for block in blocks for line in block.splitlines() if line.strip()]
    return Count(max(1, len(long)) if blocks else 0, len(each))


def items(text: str) -> Count | None:
    """Items of a list; None if the text is no list."""
    rows = [line for line in text.strip().splitlines() if line.strip()]
    marks = [found for line in rows if (found := MARK.match(line))]
    if any(line.count("|") > 1 for line in rows) or "```" in text:
        return None
    if len(marks) > 1:
        return _marked(marks)
    if len(rows) > 1 and not marks:
        return _unmarked_items(rows)
    inline = [int(found[1]) for found in _INLINE.finditer(text)]
    if len(inline) > 1:
        return Count(len(inline), len(inline)) if inline == [*range(1, len(inline) + 1)] else None
    return _pieces(text) if len(rows) == 1 and not marks else None


def marked_items(text: str) -> list[str]:
    """The items with a mark, without it."""
    found = ((MARK.match(line), line) for line in text.splitlines())
    return [line[mark.end() :] for mark, line in found if mark]


def _marked(marks: list[re.Match[str]]) -> Count:
    """The marked lines with the smallest indent; if some have numbers, bullets may be inside these."""
    least = min(len(mark["indent"]) for mark in marks)
    outer = [mark for mark in marks if len(mark["indent"]) == least]
    numbered = sum(mark["number"] is not None for mark in outer)
    counts = {len(outer), numbered or len(outer), (len(outer) - numbered) or len(outer)}
    if len(outer) == 1:  # a title with a number
        counts.add(len(marks) - 1)
    restarts = [place for place, mark in enumerate(outer) if re.match(r"\W*1\W", mark[0] + " ")]
    if len(restarts) > 1:  # several lists
        counts |= {
            len(restarts),
            *(b - a for a, b in zip(restarts, [*restarts[1:], len(outer)], strict=True)),
        }
    return Count(min(counts), max(counts))


def _unmarked_items(rows: list[str]) -> Count | None:
    """Short lines, of which the first and the last may be remarks."""
    if any(words(row).high > SHORT or (CJK.search(row) and len(row) > 2 * PIECE_CHARACTERS) for row in rows):
        return None
    remarks = rows[0].rstrip().endswith((":", "：")) + 0
    return Count(max(1, len(rows) - 1 - remarks), len(rows))


def _pieces(text: str) -> Count | None:
    """Short pieces between commas in one line; the last "and" may join two or be part of one."""
    body = text.strip().rstrip(".。!！")
    body = re.sub(r"^[^:：,、]{1,40}[:：]\s*", "", body)
    commas = [piece.strip() for piece in re.split(r"[,;，、；]", body) if piece.strip()]
    if any(_STOP.search(piece) for piece in commas) or len(commas) < 2:
        return None
    if any(not _is_piece(piece) for piece in commas):
        return None
    joined = sum(bool(_AND.search(piece)) for piece in commas)
    return Count(len(commas), len(commas) + joined)


def _is_piece(piece: str) -> bool:
    if CJK.search(piece):
        return len(piece) <= PIECE_CHARACTERS
    return len(piece.split()) <= PIECE + 2 * bool(_AND.search(piece))


def _unmarked(text: str) -> list[str]:
    found = []
    for line in text.splitlines():
        mark = MARK.match(line)
        rest = (line[mark.end() :] if mark else line).strip()
        if rest:
            found.append(rest)
    return found


def _of_line(line: str) -> Count:
    low = high = end = 0
    outside = _outside_quotes(line)
    for stop in _STOP.finditer(line):
        after = line[stop.end() : stop.end() + NEAR].lstrip()
        before = line[end : stop.end()]
        if not _WORD.search(before) or (after[:1].islower() and stop[0][0] != "。"):
            continue
        high, end = high + 1, stop.end()
        near = line[max(0, stop.start() - NEAR) : stop.start() + 1]
        doubtful = after and (_ABBREVIATIONS.search(near) or stop[0].startswith(("…", "...")))
        if not doubtful and stop.start() in outside and not (stop[0][-1] in "」』" and after):
            low += 1
    if _WORD.search(line[end:]):
        high += 1
        # Words after a sentence, without an end, are a sentence that was cut or a remark.
    return Count(low, high)


def _outside_quotes(line: str) -> set[int]:
    """The places that are not inside quotation marks with more text after them."""
    inside: set[int] = set()
    for found in _QUOTED.finditer(line):
        if line[found.end() : found.end() + NEAR].strip(" .。"):
            inside.update(range(found.start(), found.end()))
    return set(range(len(line))) - inside
