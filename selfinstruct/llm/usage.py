"""How many tokens a reply took: as the provider counted, or counted here where it gave no sane number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from selfinstruct.llm.tokens import count

# A provider's number may be larger than that of the text: templates, thinking that is not shown.
MOST_A_CHARACTER, SENT_BESIDES, THOUGHT_BESIDES = 100, 10_000, 300_000
MOST_COUNTED = 20_000  # characters; of a longer text the rest is taken to be like its beginning


@dataclass(frozen=True)
class Usage:
    """What a reply took.

    Attributes:
        sent: tokens of the prompt.
        said: tokens of the reply, its thinking included.
        counted: whether one of them was counted here.
    """

    sent: int
    said: int
    counted: bool


def usage_of(response: Any, asked: str, answered: str) -> Usage:
    """The tokens of a response.

    Args:
        response: LiteLLM's.
        asked: the text that was sent.
        answered: the text that came back, of all choices.
    """
    given = getattr(response, "usage", None)
    sent = sane(getattr(given, "prompt_tokens", None), asked, SENT_BESIDES)
    said = sane(getattr(given, "completion_tokens", None), answered, THOUGHT_BESIDES)
    counted = sent is None or said is None
    return Usage(
        tokens_of(asked) if sent is None else sent, tokens_of(answered) if said is None else said, counted
    )


def sane(number: Any, text: str, besides: int = 0) -> int | None:
    """The number of a text's tokens, if it can be that; None if not."""
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    if not (bool(text) <= number <= MOST_A_CHARACTER * len(text) + besides):
        return None
    return number


def tokens_of(text: str) -> int:
    """The tokens of a text, nearly."""
    if len(text) <= MOST_COUNTED:
        return count(text)
    return round(count(text[:MOST_COUNTED]) * len(text) / MOST_COUNTED)
