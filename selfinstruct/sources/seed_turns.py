"""Conversations as seeds: the first question of one, and the answer to it.

OpenAI's turns have a role and a content, ShareGPT's a from and a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from selfinstruct.sources.seed_json import Unfit

TURNS = "messages"
_KEYS = (("role", "content"), ("from", "value"), ("role", "value"), ("from", "content"), ("role", "text"))
_USER = ("user", "human", "prompter")
_ASSISTANT = ("assistant", "gpt", "model", "bot", "chatgpt", "bing", "bard")
_SYSTEM = ("system", "developer")


@dataclass(frozen=True)
class FirstTurns:
    """What a conversation begins with.

    Attributes:
        question: the user's first turn.
        answer: the turn that answers it; None where there is none.
        system: the system message, where there is one.
        later: whether there are turns after these.
    """

    question: str
    answer: str | None
    system: str | None
    later: bool


def is_turns(value: Any) -> bool:
    """Whether a value is a conversation."""
    return isinstance(value, list) and bool(value) and all(map(_keys, value))


def first_turns(value: Any, column: str, answer_only: bool = False) -> FirstTurns:
    """The first question of a conversation and its answer.

    Args:
        value: the conversation.
        column: where it is, for messages.
        answer_only: whether there need not be a question.

    Raises:
        Unfit: where there is no question, or the value is not a conversation.
    """
    if isinstance(value, dict) and all(isinstance(one, list) for one in value.values()):
        value = [dict(zip(value, row, strict=False)) for row in zip(*value.values(), strict=False)]
    if not is_turns(value):
        raise Unfit(
            f"{column}: is not a list of turns", "a turn has a role and a content, or a from and a value"
        )
    turns = [(_role(turn), _content(turn, column)) for turn in value]
    asked = next((place for place, (role, _) in enumerate(turns) if role in _USER), None)
    if asked is None and not answer_only:
        raise Unfit(f"{column}: has no turn of a user", f"roles that are known: {', '.join(_USER)}")
    begin = 0 if asked is None else asked + 1
    spoken = [(role, text) for role, text in turns[begin:] if role not in _SYSTEM]
    answer = spoken[0][1] if spoken and spoken[0][0] in _ASSISTANT else None
    if answer_only and answer is None:
        answer = next((text for role, text in turns if role in _ASSISTANT), None)
    system = next((text for role, text in turns if role in _SYSTEM and text.strip()), None)
    question = "" if asked is None else turns[asked][1]
    return FirstTurns(question, answer, system, len(spoken) > (answer is not None))


def _keys(turn: Any) -> tuple[str, str] | None:
    """The keys that say who speaks and what."""
    if not isinstance(turn, dict):
        return None
    return next((pair for pair in _KEYS if pair[0] in turn and pair[1] in turn), None)


def _role(turn: dict[str, Any]) -> str:
    who, _ = _keys(turn) or ("role", "")
    return str(turn[who]).strip().lower()


def _content(turn: dict[str, Any], column: str) -> str:
    """What is said; the text parts of a content that is a list of parts."""
    _, what = _keys(turn) or ("", "content")
    said = turn[what]
    if said is None:
        return ""
    if isinstance(said, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in said):
        return "\n".join(str(part.get("text", "")) for part in said)
    if not isinstance(said, str):
        raise Unfit(f"{column}: a turn holds something else than text", "leave such conversations out")
    return said
