"""Turn a reply into candidates: remove its thought, check it, then let the parser read it.

What holds for all parsers is here: what a reply without an answer means, and the field for the thought
(`parse.reasoning`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from selfinstruct.parse import CUT, UNDECIDED, UNREADABLE, Parsed, Parser
from selfinstruct.parse.replies import EMPTY, THINKING_CUT, Keys, fault_of
from selfinstruct.parse.thought import joined, said_in, split_of
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
    thought = said.reply.thought
    fault = fault_of(said, keys)
    if fault:
        return [_with_thought(parse, _faulty(parse, said.reply, *fault), thought)]
    nothing = Parsed({"reply": said.reply.text}, UNREADABLE, "nothing was found in the reply")
    pieces = parse.read(said.reply, shown) or [nothing]
    return [_of_piece(parse, piece, thought) for piece in pieces]


def _of_piece(parse: Parser, piece: Parsed, thought: str) -> Parsed:
    """A candidate that the parser has read, with the thought of the whole reply."""
    piece, own = _without_thoughts(piece)
    return _with_thought(parse, _settled(parse, piece), joined(thought, own))


def _with_thought(parse: Parser, piece: Parsed, thought: str) -> Parsed:
    """The candidate with the thought in its field, if the recipe names one and the candidate can be used."""
    if parse.reasoning is None:
        return piece
    own = {parse.reasoning: thought}
    if piece.check is None:
        return replace(piece, data={**piece.data, **own})
    return piece if piece.otherwise is None else replace(piece, otherwise={**piece.otherwise, **own})


def _faulty(parse: Parser, reply: Reply, check: str, reason: str) -> Parsed:
    """The candidate for a reply that the parser cannot read."""
    kept = {"reply": reply.text, "thought": reply.thought if check == THINKING_CUT else ""}
    shown = {name: text[:LONGEST_SHOWN] for name, text in kept.items() if text}
    return _settled(parse, Parsed(shown, check, reason), refused=reply.error is not None)


def _settled(parse: Parser, piece: Parsed, refused: bool = False) -> Parsed:
    """Apply the recipe's rule for a reply that is not an answer.

    A closed question may have a label for such replies, as in the original; without one the record is
    `undecided`, whatever the cause. For other parsers the given fields are set, and the reply is still
    rejected. A model that was cut while it thought has not answered: only a value that is none of its
    possible answers is set then.
    """
    if piece.check is None:
        return piece
    if piece.check == THINKING_CUT:
        if parse.unthought is None:
            return piece
        settled = dict(parse.unthought)
        return Parsed(settled) if parse.decides else replace(piece, otherwise=settled)
    unanswered = piece.check in NO_ANSWER and not refused
    fields = parse.unreadable if unanswered else parse.refused
    if parse.decides:
        if fields is not None:
            return Parsed(dict(fields))
        return replace(piece, check=UNDECIDED) if unanswered else piece
    return piece if fields is None else replace(piece, otherwise=dict(fields))


def _without_thoughts(piece: Parsed) -> tuple[Parsed, str]:
    """Remove the thought that some models put into a value; also return the thought."""
    if piece.check is not None:
        return piece, ""
    data: dict[str, Any] = dict(piece.data)
    thoughts = []
    for name, value in piece.data.items():
        if not isinstance(value, str):
            continue
        split = split_of(value)
        if split.open or (split.thinks and not split.answer.strip()):
            how = "ends within a thought" if split.open else "is nothing but a thought"
            return Parsed({"reply": value}, UNREADABLE, f"{name} {how}"), ""
        if split.thinks:
            data[name] = split.answer.strip()
            thoughts.append(split.thought)
    return Parsed(data), joined(*thoughts)
