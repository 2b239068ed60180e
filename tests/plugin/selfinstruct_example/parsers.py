"""A parser."""

from __future__ import annotations

from selfinstruct.parse import UNREADABLE, Parsed, Parser, answer, drop_last
from selfinstruct.records import Reply


def table(*, fields: list[str]) -> Parser:
    """The rows of a Markdown table, without its head.

    Args:
        fields: the field of each column, in order.
    """
    if not fields:
        raise ValueError("needs at least one field")

    def row(line: str) -> Parsed:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != len(fields):
            return Parsed({"reply": line}, UNREADABLE, f"{len(cells)} cells, not {len(fields)}")
        return Parsed(dict(zip(fields, cells, strict=True)))

    def read(reply: Reply, shown: int) -> list[Parsed]:
        lines = [line for line in answer(reply).splitlines() if line.strip().startswith("|")]
        return drop_last([row(line) for line in lines[2:]], reply)

    return Parser(read, tuple(fields))
