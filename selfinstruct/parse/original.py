"""Parsers that keep the rules of an original although other parsers have better ones.

`alpaca_records` is for the recipe `alpaca_original`. The recipe `paper` gets its original's rules from
options of the other parsers. To add a parser, write its factory here; docs/from-the-paper.md has the rules.
"""

from __future__ import annotations

import re

from selfinstruct.parse import CUT, PARSERS, UNREADABLE, Parsed, Parser
from selfinstruct.records import Reply


@PARSERS.register
def alpaca_records(*, separator: str, fields: dict[str, str], empty: dict[str, str] | None = None) -> Parser:
    """Records in numbered fields as Alpaca's code reads them; `numbered_fields` finds more records.

    The reply continues from the prompt's last number. It is split at every separator, wherever that is. A
    piece is a record if it has each field once, in order, with the number that belongs to its place. If the
    reply was cut by length, its last piece is rejected.

    Args:
        separator: the text between two records.
        fields: field: its name in the reply, in order. The prompt ends with the first field's name.
        empty: field: the word that means an empty value, in lower case.
    """
    if empty and set(empty) - set(fields):
        raise ValueError(f"empty: {sorted(set(empty) - set(fields))[0]!r} is none of the fields")
    names = "|".join(re.escape(name) for name in fields.values())

    def read(reply: Reply, shown: int) -> list[Parsed]:
        first = next(iter(fields.values()))
        pieces = f"{shown + 1}. {first}:{reply.text}".split(separator)
        found = [_record(piece, shown + 1 + place) for place, piece in enumerate(pieces)]
        if reply.cut:
            found[-1] = Parsed({"reply": pieces[-1].strip()}, CUT, "the reply reached max_tokens in this one")
        # An empty piece loses nothing, but it still counts.
        return [one for one, piece in zip(found, pieces, strict=True) if piece.strip()]

    def _record(piece: str, number: int) -> Parsed:
        parts = re.split(rf"(?<!\d){number}\.\s+({names}):", piece)
        if parts[1::2] != list(fields.values()):
            return Parsed({"reply": piece.strip()}, UNREADABLE, f"it lacks a field under number {number}")
        values = dict(zip(fields, (part.strip() for part in parts[2::2]), strict=True))
        return Parsed({name: _filled(name, value) for name, value in values.items()})

    def _filled(name: str, value: str) -> str:
        return "" if value.lower() == (empty or {}).get(name) else value

    return Parser(read, tuple(fields))
