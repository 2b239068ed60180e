"""Parsers of blocks under marks: the paper's input-first and output-first replies."""

from __future__ import annotations

import re
from itertools import zip_longest

from selfinstruct.parse import PARSERS, Parsed, Parser, Pattern, drop_last, lost
from selfinstruct.records import Reply


@PARSERS.register
def sections(
    *, split: Pattern, divider: Pattern, end: Pattern, lead: Pattern, before: str, after: str
) -> Parser:
    """Sections of two parts, an input and what follows it (arXiv 2212.10560, section 2.2, input-first).

    Without a `split` mark the reply is one section if it has a divider, and unreadable otherwise. A section
    without a divider is all `after`.

    Args:
        split: regular expression of the mark that starts a section.
        divider: of the mark between the two parts; a second one ends the second part.
        end: of a mark that ends the second part too.
        lead: of a mark removed from the start of the first part.
        before: the field that the first part becomes.
        after: the field that the second part becomes.
    """

    def read(reply: Reply, shown: int) -> list[Parsed]:
        text = reply.text.strip()
        if re.search(split, text):
            pieces = [piece.strip() for piece in re.split(split, text)]
            found = [_section(piece) for piece in pieces if piece]
        elif re.search(divider, text):
            found = [_section(text)]
        else:
            return lost(reply, "the reply has neither a section nor a divider")
        return drop_last(found, reply)

    def _section(text: str) -> Parsed:
        first, second = "", text
        parts = re.split(divider, text)
        if len(parts) > 1:
            first, second = parts[0].strip(), parts[1].strip()
        second = re.split(end, second)[0].strip()
        return Parsed({before: re.sub(rf"\A(?:{lead})", "", first).strip(), after: second})

    return Parser(read, (before, after))


@PARSERS.register
def headed(*, head: Pattern, first_line: str, rest: str) -> Parser:
    """Blocks under a head, the first line one field and the rest another (output-first).

    Args:
        head: regular expression of the mark that starts a block; what comes before the first one is dropped.
        first_line: the field of the rest of the head's line.
        rest: the field of all lines after it, which may be empty.
    """

    def read(reply: Reply, shown: int) -> list[Parsed]:
        marks = list(re.finditer(head, reply.text))  # re.split would return the groups of `head` too
        if not marks:
            return lost(reply, f"the reply has no {head!r}")
        found = []
        for mark, following in zip_longest(marks, marks[1:]):
            block = reply.text[mark.end() : following.start() if following else None]
            line, _, body = block.strip().partition("\n")
            found.append(Parsed({rest: body.strip(), first_line: line.strip()}))
        return drop_last(found, reply)

    return Parser(read, (rest, first_line))
