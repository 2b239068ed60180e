"""The tool calls of providers: names and arguments, in one text, the same directly and through LiteLLM."""

from __future__ import annotations

import json
from typing import Any

import provider_forms as forms
import pytest
from both_ways import PROVIDERS, Bench, Try
from provider_forms import TOOL
from server import Answer
from tiny_recipe import KEY

from selfinstruct.parse import PARSERS, Parsed
from selfinstruct.records import Reply, Request

TIME = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}
TOOLS = [TOOL, TIME]
ONE = {"answer": "静か “yes”", "labels": ["a"]}
CALLS: list[dict[str, Any]] = [{"name": "reply", "arguments": ONE}, {"name": "time", "arguments": {}}]


def openai(text: str | None, *calls: dict[str, Any]) -> forms.Body:
    """A reply of OpenAI's with calls; the arguments of a call may be text."""
    listed = [
        {
            "id": f"call_{place}",
            "type": "function",
            "function": {
                "name": call["name"],
                "arguments": call["arguments"]
                if isinstance(call["arguments"], str)
                else json.dumps(call["arguments"]),
            },
        }
        for place, call in enumerate(calls)
    ]
    return forms.chat(text, "tool_calls", tool_calls=listed)


def anthropic(text: str | None, *calls: dict[str, Any]) -> forms.Body:
    """The same in Anthropic's form."""
    blocks = [
        {"type": "tool_use", "id": f"toolu_{place}", "name": call["name"], "input": call["arguments"]}
        for place, call in enumerate(calls)
    ]
    return forms.message(*([forms.block(text)] if text else []), *blocks, stop_reason="tool_use")


def gemini(text: str | None, *calls: dict[str, Any]) -> forms.Body:
    """The same in Gemini's form."""
    parts = [{"functionCall": {"name": call["name"], "args": call["arguments"]}} for call in calls]
    return forms.candidates(parts=[*([{"text": text}] if text else []), *parts])


FORMS = {
    "openai/gpt-4o-mini": openai,
    "anthropic/claude-sonnet-4-5": anthropic,
    "gemini/gemini-2.5-flash": gemini,
}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment."""
    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def read(text: str) -> list[Parsed]:
    """What the parser reads from a reply."""
    parser = PARSERS.build("tool_calls", {"text": "said"}, "parse", [])
    assert parser
    return parser.read(Reply(text), 0)


@pytest.mark.parametrize("name", FORMS)
def test_calls_keep_their_names(name: str) -> None:
    """One call, two, a call beside a text, null content, and a text without a call, from three providers.

    The tools arrive at the server, in the provider's own form.
    """
    (provider,) = (one for one in PROVIDERS if one.name == name)
    form = FORMS[name]
    cases = {
        "one": (form(None, CALLS[0]), CALLS[:1], ""),
        "two": (form(None, *CALLS), CALLS, ""),
        "beside a text": (form("I look.", CALLS[0]), CALLS[:1], "I look."),
        "no call": (form("It is quiet."), [], "It is quiet."),
    }
    asked = [Request("calls", 1, "How is it?", sampling={"max_tokens": 50, "tools": TOOLS})]
    seen = Bench(provider).run([Try(case, Answer(body), asked) for case, (body, *_) in cases.items()])
    for case, (_, calls, said) in cases.items():
        for way in seen[case]:
            (reply,) = way.outcome["replies"]
            assert read(reply["text"]) == [Parsed({"calls": calls, "said": said})], case
            (sent,) = way.sent
            assert "time" in json.dumps(sent["body"]["tools"])


def test_arguments_that_are_not_json_are_kept_for_the_parser() -> None:
    """The reply has the call and its broken arguments; the parser says that they are no object."""
    provider = PROVIDERS[0]
    body = openai(None, {"name": "reply", "arguments": '{"answer": "It is'})
    asked = [Request("calls", 1, "How is it?", sampling={"tools": TOOLS})]
    direct, _ = Bench(provider).run([Try("broken", Answer(body), asked)])["broken"]
    (piece,) = read(direct.outcome["replies"][0]["text"])
    assert piece.check == "unreadable"
    assert piece.reason == (
        'a call cannot be read: the arguments of reply are not a JSON object: {"answer": "It is'
    )


def test_a_tool_that_has_to_be_called_is_a_form_for_json() -> None:
    """Then the text is the arguments alone, as for a model that answers in JSON by a tool."""
    sampling = {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "reply"}}}
    asked = [Request("calls", 1, "How is it?", sampling=sampling)]
    direct, _ = Bench(PROVIDERS[0]).run([Try("forced", Answer(openai(None, CALLS[0])), asked)])["forced"]
    assert json.loads(direct.outcome["replies"][0]["text"]) == ONE
