"""Read conversations as seeds: the first question and its answer.

A turn has a role and a content in OpenAI's form, a from and a value in ShareGPT's.
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
    """The beginning of a conversation.

    Attributes:
        question: the user's first turn.
        answer: the turn that answers it; None if there is none.
        system: the system message, if there is one.
        later: whether more turns follow.
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
        column: its column, for messages.
        answer_only: whether the question may be missing.

    Raises:
        Unfit: if there is no question, or the value is not a conversation.
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
        raise Unfit(f"{column}: has no turn of a user", f"a user's role is one of: {', '.join(_USER)}")
    begin = 0 if asked is None else asked + 1
    spoken = [(role, text) for role, text in turns[begin:] if role not in _SYSTEM]
    answer = spoken[0][1] if spoken and spoken[0][0] in _ASSISTANT else None
    if answer_only and answer is None:
        answer = next((text for role, text in turns if role in _ASSISTANT), None)
    system = next((text for role, text in turns if role in _SYSTEM and text.strip()), None)
    question = "" if asked is None else turns[asked][1]
    return FirstTurns(question, answer, system, len(spoken) > (answer is not None))


def _keys(turn: Any) -> tuple[str, str] | None:
    """The keys that hold a turn's speaker and its text."""
    if not isinstance(turn, dict):
        return None
    return next((pair for pair in _KEYS if pair[0] in turn and pair[1] in turn), None)


def _role(turn: dict[str, Any]) -> str:
    who, _ = _keys(turn) or ("role", "")
    return str(turn[who]).strip().lower()


def _content(turn: dict[str, Any], column: str) -> str:
    """The text of a turn; if its content is a list of text parts, these joined."""
    _, key = _keys(turn) or ("", "content")
    text = turn[key]
    if text is None:
        return ""
    if isinstance(text, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in text):
        return "\n".join(str(part.get("text", "")) for part in text)
    if not isinstance(text, str):
        raise Unfit(f"{column}: a turn holds something other than text", "leave such conversations out")
    return text
