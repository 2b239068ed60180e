"""The parser of records in numbered fields, as in Alpaca's single prompt.

The fields show where a record starts and ends, so that a separator within a text does not cut it: a separator
counts only if it fills its line or comes before a field, and never in a code block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfinstruct.parse import PARSERS, UNREADABLE, Parsed, Parser, drop_last
from selfinstruct.parse.marks import Fences
from selfinstruct.records import Reply

_BOLD = r"[*_]{0,3}"


@PARSERS.register
def numbered_fields(
    *,
    separator: str,
    fields: dict[str, str],
    empty: dict[str, list[str]] | None = None,
) -> Parser:
    """Records of numbered fields between separators, as in Alpaca's single prompt.

    A record needs all its fields, each once and in order, with any numbers; a record without them is
    rejected, and the other records are kept. `alpaca_records` has Alpaca's own rule.

    Args:
        separator: the text between two records.
        fields: field: its name in the reply, in order. The prompt ends with the first field's name.
        empty: field: words that mean an empty value, in lower case.
    """
    reader = _Reader(separator, fields)

    def read(reply: Reply, shown: int) -> list[Parsed]:
        return drop_last([_filled(piece) for piece in reader.read(reply.text, shown + 1)], reply)

    def _filled(piece: Parsed) -> Parsed:
        for name, words in (empty or {}).items():
            if piece.check is None and piece.data[name].lower() in words:
                piece.data[name] = ""
        return piece

    if empty and set(empty) - set(fields):
        raise ValueError(f"empty: {sorted(set(empty) - set(fields))[0]!r} is none of the fields")
    return Parser(read, tuple(fields))


@dataclass(frozen=True)
class _Mark:
    """The name of a field at the start of a line, or a line with only a separator."""

    start: int
    end: int
    name: str | None  # None for a separator
    number: int | None = None
    parted: bool = False  # a separator comes before it on its line


@dataclass
class _Piece:
    """A record that is still being read."""

    start: int
    marks: list[_Mark]
    end: int = 0
    stray: bool = False  # it has a separator that may be part of a text
    highest: int = 0  # the highest number on its fields

    def add(self, mark: _Mark) -> None:
        """Add the next field."""
        self.marks.append(mark)
        self.highest = max(self.highest, mark.number or 0)


class _Reader:
    """Reads records; its arguments are the parser's."""

    def __init__(self, separator: str, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self._known = {name.casefold(): name for name in fields.values()}
        self._first = next(iter(fields.values()))
        names = "|".join(re.escape(name) for name in fields.values())
        bare = re.escape(separator.strip() or separator)
        self._mark = re.compile(
            rf"^[ \t]*(?:(?P<line>{bare})[ \t]*$"
            rf"|(?P<parted>(?:{bare}[ \t]*)?)(?:#{{1,6}}[ \t]*)?{_BOLD}"
            rf"(?:(?P<number>\d{{1,4}})[ \t]*[.):．、]?[ \t]*)?"
            rf"{_BOLD}(?P<name>{names}){_BOLD}[ \t]*[:：]{_BOLD})",
            re.MULTILINE | re.IGNORECASE,
        )

    def read(self, text: str, number: int) -> list[Parsed]:
        """The records of a reply to a prompt that ends with this number and the first field's name."""
        pieces = [
            _Piece(0, [_Mark(0, 0, self._first, number)], highest=number)
        ]  # continues the prompt's last line
        marks = self._marks(text)
        for place, mark in enumerate(marks):
            last = pieces[-1]
            if mark.name is None and not self._parts(text, mark, marks[place + 1 : place + 2], last):
                last.stray = True
            elif mark.name is None or self._begins(mark, last):
                last.end = mark.start
                pieces.append(_Piece(mark.end if mark.name is None else mark.start, []))
            if mark.name is not None:
                pieces[-1].add(mark)
        pieces[-1].end = len(text)
        return [self._record(text, piece) for piece in pieces if text[piece.start : piece.end].strip()]

    def _marks(self, text: str) -> list[_Mark]:
        """The possible marks, without those in code blocks; if some names have numbers, only those count."""
        fences = Fences(text)
        found = [one for one in self._mark.finditer(text) if not fences.cover(one.start())]
        numbered = any(one["number"] for one in found)
        return [
            _Mark(
                one.start(),
                one.end(),
                self._known[one["name"].casefold()] if one["name"] else None,
                int(one["number"]) if one["number"] else None,
                bool(one["parted"]) and one["name"].casefold() == self._first.casefold(),
            )
            for one in found
            if one["line"] or one["number"] or not numbered
        ]

    def _parts(self, text: str, line: _Mark, after: Sequence[_Mark], piece: _Piece) -> bool:
        """Whether a separator ends a record: a field, the next number or the end of the text follows."""
        following = text[line.end : after[0].start if after else len(text)]
        if not following.strip():
            return True
        numbered = re.match(r"\s*(\d{1,4})[.)]", following)
        return numbered is not None and int(numbered[1]) == piece.highest + 1

    def _begins(self, mark: _Mark, piece: _Piece) -> bool:
        """Whether a name begins a record: after a separator, or as the first field with the next number."""
        if mark.parted or not piece.marks or mark.name != self._first:
            return mark.parted
        unnamed = piece.marks[-1].end == 0
        return unnamed or mark.number is None or mark.number == piece.highest + 1

    def _record(self, text: str, piece: _Piece) -> Parsed:
        names = list(self._fields.values())
        marks = piece.marks
        flaw = _flaw([mark.name for mark in marks], names)
        if flaw:  # names with another number may be part of its texts
            own = [mark for mark in marks if mark.number == marks[0].number]
            if own and _flaw([mark.name for mark in own], names) is None:
                marks, flaw = own, None
        if piece.stray:
            flaw = flaw or "it has a separator in it, so its end is unclear"
        if flaw:
            return Parsed({"reply": text[piece.start : piece.end].strip()}, UNREADABLE, flaw)
        stops = [*(mark.start for mark in marks[1:]), piece.end]
        texts = [text[mark.end : stop].strip() for mark, stop in zip(marks, stops, strict=True)]
        return Parsed(dict(zip(self._fields, texts, strict=True)))


def _flaw(found: Sequence[str | None], names: Sequence[str]) -> str | None:
    """The fault of a record's fields; None if they are complete and in order."""
    lacks = [name for name in names if name not in found]
    if lacks:
        return f"it lacks {' and '.join(lacks)}"
    twice = [name for name in names if found.count(name) > 1]
    if twice:
        return f"it has {' and '.join(twice)} twice"
    return None if list(found) == list(names) else "its fields are not in order"
