"""Parsers of numbered lists: of texts (the paper) and of records in numbered fields (Alpaca)."""

from __future__ import annotations

import re
from typing import Literal

from selfinstruct.parse import CUT, PARSERS, UNREADABLE, Parsed, Parser, drop_last, lost
from selfinstruct.records import Reply

# A number and its mark: the paper's, or the full-width ones of Chinese and Japanese, in which a line may also
# begin with 3．14 or 1、2、3. The second can change no ASCII text.
_NUMBER = r"(?:\d+\s?\. |[ \t　]*\d+\s?(?:．(?!\d)|、(?!\d+、))\s?)"


@PARSERS.register
def numbered_list(
    *,
    field: str = "instruction",
    capitals: Literal["keep", "lower"] = "keep",
    when_cut: Literal["drop_last", "drop_all"] = "drop_last",
    strip_first_number: bool = True,
) -> Parser:
    """One candidate an item of a numbered list (arXiv 2212.10560, section 2.2).

    Args:
        field: the field that an item becomes.
        capitals: after the first letter, which is made a capital, `keep` the model's or `lower` them all.
        when_cut: what a reply cut by length loses: its last item, or everything as in the original.
        strip_first_number: remove a number before the first item; chat models repeat it.
    """

    def read(reply: Reply, shown: int) -> list[Parsed]:
        if reply.cut and when_cut == "drop_all":
            return lost(reply, "the reply reached max_tokens", CUT)
        text = re.sub(rf"^\s*{_NUMBER}", "", reply.text) if strip_first_number else reply.text
        items = [re.sub(r"\s+", " ", item).strip() for item in re.split(rf"\n{_NUMBER}", text)]
        return drop_last([Parsed({field: _capitalize(item)}) for item in items], reply)

    def _capitalize(item: str) -> str:
        return item.capitalize() if capitals == "lower" else item[:1].upper() + item[1:]

    return Parser(read, (field,))


@PARSERS.register
def numbered_fields(
    *, separator: str, fields: dict[str, str], empty: dict[str, list[str]] | None = None
) -> Parser:
    """Records of numbered fields between separators, as in Alpaca's single prompt.

    A record needs all its fields, in order, each under the number expected at its place.

    Args:
        separator: the text between two records.
        fields: field: its name in the reply, in order. The prompt ends with the first field's name.
        empty: field: words that stand for an empty value, in lower case.
    """
    names = "|".join(re.escape(name) for name in fields.values())
    first = next(iter(fields.values()))

    def read(reply: Reply, shown: int) -> list[Parsed]:
        text = reply.text
        if not re.match(rf"\s*{shown + 1}\.\s+{re.escape(first)}:", text):
            text = f"{shown + 1}. {first}:{text}"  # where the prompt's last line left off
        pieces = text.split(separator)
        while len(pieces) > 1 and not pieces[-1].strip():
            pieces.pop()
        return drop_last([_record(piece, shown + 1 + place) for place, piece in enumerate(pieces)], reply)

    def _record(piece: str, number: int) -> Parsed:
        parts = re.split(rf"(?<!\d){number}\.\s+({names}):", piece)
        if parts[1::2] != list(fields.values()):
            return Parsed({"reply": piece.strip()}, UNREADABLE, f"it lacks a field under number {number}")
        values = dict(zip(fields, (part.strip() for part in parts[2::2]), strict=True))
        for name, words in (empty or {}).items():
            if values[name].lower() in words:
                values[name] = ""
        return Parsed(values)

    if empty and set(empty) - set(fields):
        raise ValueError(f"empty: {sorted(set(empty) - set(fields))[0]!r} is none of the fields")
    return Parser(read, tuple(fields))
