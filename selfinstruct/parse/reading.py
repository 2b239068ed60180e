"""Turn a reply into candidates: remove its thought, check it, then let the parser read it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from selfinstruct.parse import CUT, UNDECIDED, UNREADABLE, Parsed, Parser
from selfinstruct.parse.replies import EMPTY, Keys, fault_of
from selfinstruct.parse.thought import parted, said_in
from selfinstruct.records import Reply

LONGEST_SHOWN = 2_000  # characters shown of a rejected reply; the journal has all of it
NO_ANSWER = (EMPTY, CUT, UNREADABLE)  # checks of a reply that gives none of the possible answers


NO_KEYS = Keys()


def candidates(parse: Parser, reply: Reply, shown: int = 0, keys: Keys = NO_KEYS) -> list[Parsed]:
    """The candidates read from one choice; always at least one, so that every reply is accounted for.

    Args:
        parse: the parser of the prompt.
        reply: the choice.
        shown: the number of examples in the prompt.
        keys: the recipe's keys that limit a reply.
    """
    said = said_in(reply, parse.prose)
    fault = fault_of(said, keys)
    if fault:
        return [_faulty(parse, reply, *fault)]
    nothing = Parsed({"reply": said.reply.text}, UNREADABLE, "nothing was found in the reply")
    pieces = parse.read(said.reply, shown) or [nothing]
    return [_settled(parse, _without_thoughts(piece)) for piece in pieces]


def _faulty(parse: Parser, reply: Reply, check: str, reason: str) -> Parsed:
    """The candidate for a reply that the parser cannot read."""
    kept = {"reply": reply.text[:LONGEST_SHOWN]} if reply.text else {}
    return _settled(parse, Parsed(kept, check, reason), refused=reply.error is not None)


def _settled(parse: Parser, piece: Parsed, refused: bool = False) -> Parsed:
    """Apply the recipe's rule for a reply that is not an answer.

    A closed question may have a label for such replies, as in the original; without one the record is
    `undecided`, whatever the cause. For other parsers the given fields are set, and the reply is still
    rejected.
    """
    if piece.check is None:
        return piece
    unanswered = piece.check in NO_ANSWER and not refused
    fields = parse.unreadable if unanswered else parse.refused
    if parse.decides:
        if fields is not None:
            return Parsed(dict(fields))
        return replace(piece, check=UNDECIDED) if unanswered else piece
    return piece if fields is None else replace(piece, otherwise=dict(fields))


def _without_thoughts(piece: Parsed) -> Parsed:
    """Remove the thought that some models put into a value."""
    if piece.check is not None:
        return piece
    data: dict[str, Any] = {}
    for name, value in piece.data.items():
        answer, thinks, open = parted(value) if isinstance(value, str) else (value, False, False)
        if open or (thinks and not answer.strip()):
            how = "ends within a thought" if open else "is nothing but a thought"
            return Parsed({"reply": value}, UNREADABLE, f"{name} {how}")
        data[name] = answer.strip() if thinks else answer
    return Parsed(data)
