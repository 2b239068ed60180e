"""From a reply to its candidates: its thought is taken off, then it is checked, then the parser reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from selfinstruct.parse import CUT, UNDECIDED, UNREADABLE, Parsed, Parser
from selfinstruct.parse.replies import EMPTY, Keys, fault_of
from selfinstruct.parse.thought import parted, said_in
from selfinstruct.records import Reply

LONGEST_SHOWN = 2_000  # characters of a faulty reply among the rejected; the journal has all of it
NO_ANSWER = (EMPTY, CUT, UNREADABLE)  # where the answer to a question is neither of those asked for


NO_KEYS = Keys()


def candidates(parse: Parser, reply: Reply, shown: int = 0, keys: Keys = NO_KEYS) -> list[Parsed]:
    """What is read from one choice; something always, so that no reply goes unaccounted for.

    Args:
        parse: the parser of the prompt that was asked.
        reply: the choice.
        shown: how many examples the prompt showed.
        keys: the keys of the recipe that say where a reply ends.
    """
    said = said_in(reply, parse.prose)
    fault = fault_of(said, keys)
    if fault:
        return [_faulty(parse, reply, *fault)]
    nothing = Parsed({"reply": said.reply.text}, UNREADABLE, "nothing was found in the reply")
    pieces = parse.read(said.reply, shown) or [nothing]
    return [_settled(parse, _without_thoughts(piece)) for piece in pieces]


def _faulty(parse: Parser, reply: Reply, check: str, reason: str) -> Parsed:
    """A reply that nothing is read from."""
    kept = {"reply": reply.text[:LONGEST_SHOWN]} if reply.text else {}
    return _settled(parse, Parsed(kept, check, reason), refused=reply.error is not None)


def _settled(parse: Parser, piece: Parsed, refused: bool = False) -> Parsed:
    """What the recipe says of a reply that is no answer.

    A question out of a closed set may have a label for it, as in the original; without one it is `undecided`,
    however that came about. The fields of other records are set, and the reply is rejected all the same.
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
    """Some models put their thought into a value; it is taken off there too."""
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
