"""How many tokens a reply used: the provider's count, or our own if the provider's is missing or absurd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfinstruct.llm.tokens import count

# A provider's number may be larger than the text's own: it includes templates and hidden thinking.
MOST_A_CHARACTER, SENT_BESIDES, THOUGHT_BESIDES = 100, 10_000, 300_000
MOST_COUNTED = 20_000  # characters; the rest of a longer text is assumed to be like its beginning
# Where providers put the tokens that they read from their cache of prompts, and those that they stored there.
# The first name that is there counts. OpenAI, and LiteLLM for others; Anthropic; DeepSeek; Gemini.
DETAILS = "prompt_tokens_details"
READ = ("cached_tokens", "cache_read_input_tokens", "prompt_cache_hit_tokens", "cachedContentTokenCount")
# Where they put the tokens that were spent on thinking: OpenAI, DeepSeek, and LiteLLM for others; Gemini.
OF_REPLY = "completion_tokens_details"
THOUGHT = ("reasoning_tokens", "thoughtsTokenCount")
WRITTEN = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")


@dataclass(frozen=True)
class Usage:
    """The tokens that a reply used.

    Attributes:
        sent: the tokens of the prompt.
        said: the tokens of the reply, including its thinking.
        counted: whether we counted one of the two ourselves.
        cached: those of `sent` that the provider had in its cache of prompts.
        written: those of `sent` that it stored there, if it says so; some providers bill them separately.
        thought: those of `said` that were spent on thinking, if the provider says so.
    """

    sent: int
    said: int
    counted: bool
    cached: int = 0
    written: int = 0
    thought: int = 0


def usage_of(response: Mapping[str, Any], asked: str, answered: str) -> Usage:
    """The tokens of a response.

    Args:
        response: the response; see `responses`.
        asked: the text that was sent.
        answered: the text of all choices together.
    """
    given = response.get("usage") or {}
    sent = sane(given.get("prompt_tokens"), asked, SENT_BESIDES)
    said = sane(given.get("completion_tokens"), answered, THOUGHT_BESIDES)
    if sent is None or said is None:
        sent = tokens_of(asked) if sent is None else sent
        return Usage(sent, tokens_of(answered) if said is None else said, True)
    cached, thought = min(_first(given, READ), sent), min(_first(given, THOUGHT, OF_REPLY), said)
    return Usage(sent, said, False, cached, min(_first(given, WRITTEN), sent - cached), thought)


def sane(number: Any, text: str, besides: int = 0) -> int | None:
    """The number, if it is a possible count of a text's tokens; otherwise None."""
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    if not (bool(text) <= number <= MOST_A_CHARACTER * len(text) + besides):
        return None
    return number


def tokens_of(text: str) -> int:
    """The approximate number of tokens of a text."""
    if len(text) <= MOST_COUNTED:
        return count(text)
    return round(count(text[:MOST_COUNTED]) * len(text) / MOST_COUNTED)


def _first(usage: Mapping[str, Any], names: tuple[str, ...], details: str = DETAILS) -> int:
    """The first positive number with one of these names, in the details of a usage or in the usage itself."""
    for holder in (usage.get(details) or {}, usage):
        for name in names:
            number = holder.get(name)
            if isinstance(number, int) and not isinstance(number, bool) and number > 0:
                return number
    return 0
