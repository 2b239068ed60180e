"""Parsers of a reply that is one text."""

from __future__ import annotations

import re
from typing import Literal

from selfinstruct.parse import CUT, PARSERS, Parsed, Parser, answer, lost
from selfinstruct.records import Reply

QUOTES = ('""', "''", "“”", "„“", "‘’", "«»", "»«", "「」", "『』")


@PARSERS.register
def text(
    *,
    field: str,
    strip_fence: bool = False,
    strip_quotes: bool = False,
    when_cut: Literal["reject", "keep"] = "reject",
) -> Parser:
    """The whole reply, stripped, becomes one field.

    Args:
        field: the field for the reply's text.
        strip_fence: remove a Markdown fence that encloses the whole text.
        strip_quotes: remove quotation marks that enclose the whole text.
        when_cut: reject, or keep what there is of a reply that reached max_tokens.
    """

    def read(reply: Reply, shown: int) -> list[Parsed]:
        if reply.cut and when_cut == "reject":
            return lost(reply, "the reply reached max_tokens", CUT)
        body = answer(reply)
        if strip_fence:
            body = _unfenced(body)
        return [Parsed({field: _unquoted(body) if strip_quotes else body})]

    return Parser(read, (field,))


def _unfenced(text: str) -> str:
    """The text without its fence; unchanged if a second block begins within it."""
    inner = re.fullmatch(r"```[^\n`]*\n(.*)\n```", text, re.DOTALL)
    return inner[1].strip() if inner and "\n```" not in inner[1] else text


def _unquoted(text: str) -> str:
    """The text without its quotes; unchanged if there are quotes inside too (`"Yes" or "no"`)."""
    around, inside = text[:1] + text[-1:], text[1:-1].strip()
    return inside if len(text) > 1 and around in QUOTES and not set(around) & set(inside) else text
