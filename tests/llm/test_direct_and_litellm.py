"""The direct way to a provider and LiteLLM's own call are alike in all that a run can see.

One server answers both ways in each provider's own form (`provider_forms`, `both_ways`). What was sent, and
the reply or the error, have to be equal. Where they are not, `DIFFERENCES` says why; a difference that has
gone must go from there too. `MEANT` says what some answers mean, so that both ways cannot be wrong alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import pytest
from both_ways import PROVIDERS, Bench, Provider, Seen, differences, tries_of
from provider_forms import ARGUMENTS, TEXT, THOUGHT
from tiny_recipe import KEY

from selfinstruct.errors import ModelError
from selfinstruct.llm import EndingError, RefusedError, TransientError


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment."""
    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")


# What is not equal, and why


@dataclass(frozen=True)
class Difference:
    """Cases in which the two ways are not alike.

    Attributes:
        providers: patterns of their names, with the mode.
        cases: the cases; those that are not tried with a provider do not count.
        keys: patterns of what is not equal.
        why: why that is right, or at least no worse.
    """

    providers: Sequence[str]
    cases: Sequence[str]
    keys: Sequence[str]
    why: str


# Asked by LiteLLM with OpenAI's client.
BY_CLIENT = ["openai/*", "text-completion-openai/*", "azure/*", "* completion", "mistral/* embedding"]
DIFFERENCES = [
    Difference(
        BY_CLIENT,
        ["dropped", "cut off", "cut off in chunks"],
        ["outcome.message"],
        "OpenAI's client says of each failed connection only “Connection error.”",
    ),
    Difference(
        ["gemini/* chat", *(pattern for pattern in BY_CLIENT if not pattern.endswith("embedding"))],
        ["text: half a surrogate pair"],
        ["outcome.*", "sent"],
        "LiteLLM cannot send it here, and the run would try it again and again",
    ),
    Difference(
        ["anthropic/*"],
        ["dropped", "cut off", "cut off in chunks"],
        ["outcome.message"],
        "LiteLLM adds advice for programmers",
    ),
    Difference(
        ["gemini/* chat", "ollama/* chat", "ollama_chat/*", "cohere_chat/*"],
        ["an HTML page", "an empty body", "null", "a list", "half, as if whole"],
        ["outcome.message"],
        "LiteLLM's words are a traceback, or ask to report a bug",
    ),
    Difference(
        ["anthropic/*"],
        ["no usage", "an empty object"],
        ["outcome.message"],
        "LiteLLM's words are a traceback",
    ),
    Difference(
        ["anthropic/*"],
        ["cache written for an hour"],
        ["outcome.replies.0.cost_usd"],
        "a run's mark never asks for an hour, so only the price for five minutes is looked up",
    ),
    Difference(
        ["ollama/* chat", "ollama_chat/*"],
        ["no counts", "an empty object"],
        ["outcome.replies.0.prompt_tokens", "outcome.replies.0.counted", "outcome.replies.0.cost_usd"],
        "LiteLLM counts the tokens of the prompt itself without saying so; here the reply says so",
    ),
    Difference(
        ["openai/gpt-3.5-turbo-instruct completion", "text-completion-openai/*"],
        ["two prompts"],
        ["outcome.replies.?.cost_usd"],
        "LiteLLM knows only the cost of both together; here each has the cost of its own tokens",
    ),
    Difference(
        ["openai/* embedding", "azure/* embedding", "mistral/* embedding"],
        ["rows without vectors"],
        ["outcome.*"],
        "OpenAI's client stumbles over such a row, which ends a run with a traceback",
    ),
    Difference(
        ["azure/* embedding"],
        ["no data"],
        ["outcome.*"],
        "LiteLLM raises its own error for Azure alone; for other providers it is an answer without vectors",
    ),
]

# What some answers mean. A provider that LiteLLM reads in another way is left out of a case.
Check = Callable[[Mapping[str, Any]], bool]


def replied(written: str, reason: str = "stop", thought: str = "") -> Check:
    """A reply with this text, this finish reason and this thought."""

    def check(outcome: Mapping[str, Any]) -> bool:
        (reply,) = outcome.get("replies", [{}])
        found = (reply.get("text"), reply.get("finish_reason"), reply.get("thought"))
        return found == (written, reason, thought)

    return check


def failed(kind: type[Exception], **facts: Any) -> Check:
    """An error of this kind that says this."""

    def check(outcome: Mapping[str, Any]) -> bool:
        return outcome.get("error") is kind and all(outcome[name] == fact for name, fact in facts.items())

    return check


MEANT: Mapping[str, tuple[Check, Sequence[str]]] = {
    "text": (replied(TEXT), ["* embedding"]),
    "length": (replied("The harbour is", "length"), ["ollama/*", "cohere_chat/*"]),
    "reasoning": (replied(TEXT, thought=THOUGHT), []),
    "several texts": (replied("The harbour is quiet."), []),
    "JSON by a tool": (replied(json.dumps(ARGUMENTS)), []),
    "text and tool call": (replied("So.", "tool_calls"), []),
    "content filter, in the reply": (
        lambda outcome: outcome["replies"][0]["finish_reason"] == "content_filter",
        [],
    ),
    "no counts": (lambda outcome: bool(outcome["replies"][0]["counted"]), []),
    "leading blanks": (replied("\n\n  indented\n"), []),
    "400": (failed(RefusedError, access=False), []),
    "401": (failed(EndingError), []),
    "402": (failed(ModelError), ["anthropic/*", "gemini/*"]),
    "403": (failed(RefusedError, access=True), ["openrouter/*"]),
    "404": (failed(EndingError), []),
    "413": (lambda outcome: outcome["replies"][0]["finish_reason"] == "context", []),
    "429": (failed(TransientError, slower=True, wait=None), []),
    "429 with Retry-After": (failed(TransientError, slower=True, wait=7.0), []),
    "429 with milliseconds": (failed(TransientError, slower=True, wait=2.5), []),
    "500": (failed(TransientError, slower=False), []),
    "503 with Retry-After": (failed(TransientError, slower=False, wait=11.0), []),
    "529": (failed(TransientError, slower=False), []),
    "context length": (lambda outcome: outcome["replies"][0]["finish_reason"] == "context", []),
    "content filter": (lambda outcome: outcome["replies"][0]["finish_reason"] == "content_filter", []),
    "insufficient_quota": (failed(ModelError), ["hosted_vllm/*", "ollama/*"]),
    "a redirect": (failed(TransientError, misled=True), []),
    "dropped": (failed(TransientError, silent=True), []),
    "cut off": (failed(TransientError, silent=True), []),
    "an HTML page": (failed(TransientError, silent=False), []),
}


@pytest.mark.parametrize("provider", PROVIDERS, ids=str)
def test_both_ways_are_alike(provider: Provider) -> None:
    """But for the differences that are listed; each of those is still there."""
    bench = Bench(provider)
    seen = bench.run([*tries_of(provider)])
    assert {*bench.notes} - {TIER} == ({provider.note} if provider.note else set())
    listed = [one for one in DIFFERENCES if any(fnmatch(str(provider), name) for name in one.providers)]
    found = differences(seen)
    explained = {
        (case, key)
        for case, key in found
        for one in listed
        if case in one.cases and any(fnmatch(key, pattern) for pattern in one.keys)
    }
    assert {place: pair for place, pair in found.items() if place not in explained} == {}
    wanted = {(one.why, case) for one in listed for case in one.cases if case in seen}
    there = {
        (one.why, case) for one in listed for case in one.cases if any(case == place for place, _ in found)
    }
    assert wanted == there, "a listed difference has gone"
    assert not [*misunderstood(provider, seen)]


TIER = "LiteLLM knows the prices of its service tiers"


def misunderstood(provider: Provider, seen: Mapping[str, tuple[Seen, Seen]]) -> Iterator[tuple[str, Any]]:
    """The cases whose outcome is not the one that is meant."""
    for case, (check, not_of) in MEANT.items():
        if case in seen and not any(fnmatch(str(provider), name) for name in not_of):
            outcome = seen[case][0].outcome
            if not check(outcome):
                yield case, outcome
