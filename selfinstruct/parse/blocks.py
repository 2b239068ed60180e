"""Parsers of blocks that begin with marks: the paper's input-first and output-first replies."""

from __future__ import annotations

import re
from itertools import zip_longest

from selfinstruct.parse import PARSERS, UNREADABLE, Marks, Parsed, Parser, drop_last, lost
from selfinstruct.parse.marks import Fences
from selfinstruct.records import Reply
from selfinstruct.safety.expressions import Expression, Pattern

ANOTHER = "it has the mark of another task, and may belong to that one"


@PARSERS.register
def sections(
    *,
    split: Pattern,
    divider: Pattern,
    end: Pattern,
    lead: Pattern,
    before: str,
    after: str,
    another: Pattern | None = None,
    marks: Marks = "any",
) -> Parser:
    """Sections of two parts, an input and an output (arXiv 2212.10560, section 2.2, input-first).

    A reply without a `split` mark is one section if it has a divider, and unreadable otherwise. A section
    without a divider has only the second part.

    Args:
        split: regular expression for the mark that starts a section.
        divider: regular expression for the mark between the two parts; a second one ends the second part.
        end: regular expression for a mark that also ends the second part.
        lead: regular expression for a mark that is removed from the start of the first part.
        before: the field for the first part.
        after: the field for the second part.
        another: regular expression for a mark that begins another task; the section that has it is rejected,
            and so are all sections after it.
        marks: which matches count. `any`: matches outside code blocks; a `split` mark in the middle of a
            section counts only if a divider follows it, or if it fills its line and has a higher number; text
            before the first mark is not a section. `original`: all matches.
    """
    plain = marks == "original"
    splits, divides, ends_it = Expression(split), Expression(divider), Expression(end)
    leads, anothers = Expression(rf"\A(?:{lead})"), _optional(another)

    def read(reply: Reply, shown: int) -> list[Parsed]:
        text = reply.text.strip()
        starts = _starts(text)
        if not starts and not _found(divides, text, plain):
            return lost(reply, "the reply has neither a section nor a divider")
        foreign = _first(anothers, text, plain)
        edges = [(0, 0), *starts]
        ends = [start for start, _ in starts] + [len(text)]
        found = []
        for place, ((_, start), stop) in enumerate(zip(edges, ends, strict=True)):
            piece = text[start:stop].strip()
            if not piece:
                continue
            if foreign < stop:
                found.append(Parsed({"reply": piece}, UNREADABLE, ANOTHER))
            elif place == 0 and starts and not plain and not _found(divides, piece, plain):
                found.append(Parsed({"reply": piece}, UNREADABLE, "it comes before the first section"))
            else:
                found.append(_section(piece))
        return drop_last(found, reply)

    def _starts(text: str) -> list[tuple[int, int]]:
        """The marks that start a section."""
        found = _found(splits, text, plain)
        if plain:
            return [mark.span() for mark in found]
        dividers = [mark.start() for mark in _found(divides, text, plain)]
        starts: list[tuple[int, int]] = []
        last, place = 0, 0
        for mark, following in zip_longest(found, found[1:]):
            stop = following.start() if following else len(text)
            while place < len(dividers) and dividers[place] < mark.end():
                place += 1
            number = re.search(r"\d{1,9}", mark[0])
            alone = not text[mark.end() : mark.end() + 80].partition("\n")[0].strip()
            higher = number is None or int(number[0]) > last
            if not starts or (place < len(dividers) and dividers[place] < stop) or (alone and higher):
                starts.append(mark.span())
                last = int(number[0]) if number else last
        return starts

    def _section(text: str) -> Parsed:
        first, second = "", text
        dividers = _found(divides, text, plain)
        if dividers:
            stop = dividers[1].start() if len(dividers) > 1 else len(text)
            first, second = text[: dividers[0].start()].strip(), text[dividers[0].end() : stop].strip()
        second = second[: _first(ends_it, second, plain)].strip()
        return Parsed({before: leads.sub("", first).strip(), after: second})

    return Parser(read, (before, after))


@PARSERS.register
def headed(
    *, head: Pattern, first_line: str, rest: str, another: Pattern | None = None, marks: Marks = "any"
) -> Parser:
    """Blocks that begin with a head; the head's line is one field, the lines after it another (output-first).

    Args:
        head: regular expression for the mark that starts a block; text before the first one is dropped.
        first_line: the field for the rest of the head's line.
        rest: the field for all lines after it, which may be empty.
        another: regular expression for a mark that begins another task; the block that has it is rejected,
            and so are all blocks after it.
        marks: which matches count. `any`: matches outside code blocks. `original`: all matches.
    """
    plain = marks == "original"
    heading, anothers = Expression(head), _optional(another)

    def read(reply: Reply, shown: int) -> list[Parsed]:
        heads = _found(heading, reply.text, plain)  # re.split would return the groups of `head` too
        if not heads:
            return lost(reply, f"the reply has no {head!r}")
        foreign = _first(anothers, reply.text, plain)
        found = []
        for mark, following in zip_longest(heads, heads[1:]):
            stop = following.start() if following else len(reply.text)
            block = reply.text[mark.end() : stop].strip()
            line, _, body = block.partition("\n")
            if foreign < stop:
                found.append(Parsed({"reply": block}, UNREADABLE, ANOTHER))
            else:
                found.append(Parsed({rest: body.strip(), first_line: line.strip()}))
        return drop_last(found, reply)

    return Parser(read, (rest, first_line))


def _optional(pattern: str | None) -> Expression | None:
    return None if pattern is None else Expression(pattern)


def _found(pattern: Expression, text: str, plain: bool) -> list[re.Match[str]]:
    """The marks in a text; plain reading includes those in code blocks."""
    found = list(pattern.finditer(text))
    if plain or not found:
        return found
    fences = Fences(text)
    return [mark for mark in found if not fences.cover(mark.start())]


def _first(pattern: Expression | None, text: str, plain: bool) -> int:
    """The position of the first such mark; the length of the text plus one if there is none."""
    found = _found(pattern, text, plain) if pattern is not None else []
    return found[0].start() if found else len(text) + 1
