"""Providers' caches of prompts: which prompts they cache, and the mark that some of them need for it.

A provider that has seen the beginning of a prompt a moment ago bills it at a tenth to a half. Most find it by
themselves. Claude needs a mark after the beginning, and bills 1.25 times the price for storing it. Gemini's
mark makes a stored object that is billed by the hour, so it gets none: it also finds beginnings by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.llm.prices import entry_of, price_of
from selfinstruct.llm.tokens import count
from selfinstruct.records import Message, Request

CLAUDE = "claude"
MARK = {"type": "ephemeral"}
# Providers that cache by themselves: the least tokens of a beginning, and the steps in which they count.
BY_THEMSELVES: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("openai", "azure", "text-completion-openai"), (1024, 128)),
    "deepseek": (64, 64),
    **dict.fromkeys(("hosted_vllm", "vllm"), (16, 16)),  # vLLM's blocks
}
USUAL = (1024, 1)  # for another provider whose list of prices has one for cached tokens
MOST_OF_CLAUDE = 4096  # the least tokens for a Claude that the list does not know; right for all known ones
NEARLY = 0.8  # tokens are counted approximately, and a mark on a beginning that is too short costs nothing


@dataclass(frozen=True)
class Caching:
    """How a provider caches the beginnings of prompts.

    Attributes:
        least: the least tokens that a beginning must have.
        step: what is cached is a multiple of this many tokens.
        marked: whether the end of the beginning has to be marked.
    """

    least: int
    step: int
    marked: bool = False

    def of(self, tokens: float) -> float:
        """How many tokens of a beginning are cached."""
        return tokens // self.step * self.step if tokens >= self.least else 0.0


def caching_of(config: ModelConfig) -> Caching | None:
    """How the provider of a model caches prompts; None if it is not known to do so."""
    provider = config.name.partition("/")[0]
    if config.kind != "litellm":
        return Caching(1, 1) if config.kind == "local" else None
    listed = entry_of(config.name)
    least = int(listed.get("prompt_cache_min_tokens") or 0)
    if CLAUDE in config.name.lower():
        return None if config.mode != "chat" else Caching(least or MOST_OF_CLAUDE, 1, marked=True)
    if provider in BY_THEMSELVES:
        usual, step = BY_THEMSELVES[provider]
        return Caching(least or usual, step)
    price = price_of(config)
    if price is None or price.cached is None:
        return None
    return Caching(least or USUAL[0], USUAL[1])


def least_marked(config: ModelConfig) -> float | None:
    """The least tokens of a beginning that gets a mark; None if none does."""
    if config.prompt_cache == "off" or config.mode != "chat":
        return None
    if config.prompt_cache == "on":
        return 0
    found = caching_of(config)
    return NEARLY * found.least if found and found.marked else None


def messages(request: Request, least: float | None) -> list[dict[str, Any]]:
    """The messages of a request, with a mark at the end of its beginning if that has enough tokens.

    Args:
        request: the request.
        least: the least tokens of a beginning that gets a mark; None for no mark.
    """
    whole = request.messages
    if not beginning_of(request, least):
        return [_message(one.role, one.text, "") for one in whole]
    place, first = _last_fixed(whole, request.fixed)
    return [
        _message(one.role, one.text, first if number == place else "") for number, one in enumerate(whole)
    ]


def beginning_of(request: Request, least: float | None) -> str:
    """The beginning of a request that gets a mark, as one text; empty if none does.

    Args:
        request: the request.
        least: see `messages`.
    """
    if least is None:
        return ""
    place, first = _last_fixed(request.messages, request.fixed)
    beginning = "".join(one.text for one in request.messages[:place]) + first
    return beginning if first and _tokens(beginning) >= least else ""


def texts_of(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """The texts of messages, in order."""
    contents = [message["content"] for message in messages]
    return [
        text
        for one in contents
        for text in ([one] if isinstance(one, str) else [part["text"] for part in one])
    ]


def form_of(messages: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    """The roles of messages, each with the number of its parts if it has a mark."""
    contents = [(message["role"], message["content"]) for message in messages]
    return tuple((role, 0 if isinstance(one, str) else len(one)) for role, one in contents)


def with_texts(messages: Iterable[Mapping[str, Any]], texts: Iterable[str]) -> list[dict[str, Any]]:
    """The messages with other texts, as many as `texts_of` gives."""
    rest = iter(texts)
    return [
        {
            **message,
            "content": next(rest)
            if isinstance(message["content"], str)
            else [{**part, "text": next(rest)} for part in message["content"]],
        }
        for message in messages
    ]


def _last_fixed(messages: Sequence[Message], fixed: int) -> tuple[int, str]:
    """The last message with a part among the first characters of all, and that part, which may be empty."""
    found = (0, "")
    for place, one in enumerate(messages):
        if first := _lines(one.text, fixed):
            found = (place, first)
        fixed -= len(one.text)
        if fixed <= 0:
            break
    return found


def _lines(text: str, fixed: int) -> str:
    """The lines of a text within its first characters; empty if they, or the rest of the text, are blank."""
    if fixed >= len(text):
        return text
    first = text[: text.rfind("\n", 0, max(fixed, 0)) + 1]
    return first if first.strip() and text[len(first) :].strip() else ""  # blank parts would be refused


def _message(role: str, text: str, marked: str) -> dict[str, Any]:
    """A message, with a mark after the part of its text that is given."""
    if not marked:
        return {"role": role, "content": text}
    parts: list[dict[str, Any]] = [{"type": "text", "text": marked, "cache_control": MARK}]
    if rest := text[len(marked) :]:
        parts.append({"type": "text", "text": rest})
    return {"role": role, "content": parts}


@lru_cache(maxsize=256)
def _tokens(text: str) -> int:
    """The tokens of a beginning, which is the same in many requests."""
    return count(text)
