"""Tool calls in the text of a reply, in every form in which models write them; nothing half is a call."""

from __future__ import annotations

from typing import Any

import pytest

from selfinstruct.parse import CUT, PARSERS, UNREADABLE, Parsed
from selfinstruct.parse.reading import candidates
from selfinstruct.parse.tool_calls import call_text
from selfinstruct.records import Reply

CALL = {"name": "find", "arguments": {"what": "a “kiln”", "most": 3}}
JSON = '{"name": "find", "arguments": {"what": "a “kiln”", "most": 3}}'
OPENAI = '{"id": "a", "type": "function", "function": {"name": "find", "arguments": "{\\"what\\": \\"a “kiln”\\", \\"most\\": 3}"}}'  # noqa: E501

FORMS: dict[str, tuple[str, int, str]] = {
    "one object": (JSON, 1, ""),
    "a list": (f"[{JSON}, {JSON}]", 2, ""),
    "OpenAI's": (OPENAI, 1, ""),
    "OpenAI's message": (f'{{"tool_calls": [{OPENAI}, {OPENAI}]}}', 2, ""),
    "tags": (f"<tool_call>\n{JSON}\n</tool_call>\n<tool_call>{JSON}</tool_call>", 2, ""),
    "tags after a text": (f"I look.\n<tool_call>\n{JSON}\n</tool_call>", 1, "I look."),
    "a fence after a text": (f"I look:\n```json\n{JSON}\n```", 1, "I look:"),
    "parameters": (JSON.replace('"arguments"', '"parameters"'), 1, ""),
    "a mark": (f"[TOOL_CALLS][{JSON}]", 1, ""),
    "an own call": (call_text("find", CALL["arguments"]), 1, ""),
    "lines": (f"{JSON}\n{JSON}", 2, ""),
    "a thought": (f"<think>Which tool?</think>\n{JSON}", 1, ""),
    "none": ("It is in {Kyoto} [1].", 0, "It is in {Kyoto} [1]."),
    "an empty list": ("[]", 0, ""),
}


def read(text: str, reason: str = "stop") -> list[Parsed]:
    """The candidates of a reply."""
    parser = PARSERS.build("tool_calls", {"text": "said"}, "parse", [])
    assert parser
    return candidates(parser, Reply(text, reason))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_calls(form: str) -> None:
    """Each call has its name and its arguments; the text beside the calls is kept."""
    text, count, said = FORMS[form]
    assert read(text) == [Parsed({"calls": [CALL] * count, "said": said})]


@pytest.mark.parametrize(
    ("text", "why", "check"),
    [
        ('<tool_call>\n{"name": "find", "arguments": {"what": "a', "length", CUT),
        ('<tool_call>\n{"name": "find", "arguments": {"what": "a', "stop", UNREADABLE),
        (f"[{JSON}, " + '{"name": "find", "argum', "length", CUT),
        ('{"name": "find", "arguments": {"what": "a" "most": 3}}', "stop", UNREADABLE),
        ('{"name": "find", "arguments": "a kiln"}', "stop", UNREADABLE),
        ("<tool_call>find a kiln</tool_call>", "stop", UNREADABLE),
        ("It is in", "length", CUT),
    ],
)
def test_what_is_not_complete_is_rejected(text: str, why: str, check: str) -> None:
    """Neither a part of a call nor a part of an answer becomes a record."""
    (piece,) = read(text, why)
    assert piece.check == check
    assert piece.data["reply"] == text


def test_a_calls_text_is_read_back() -> None:
    """Whatever a provider returns as arguments: an object, JSON text, nothing."""
    given: list[tuple[Any, Any]] = [
        ({"a": [1]}, {"a": [1]}),
        ('{"a": 1.5}', {"a": 1.5}),
        ("", {}),
        (None, {}),
    ]
    for arguments, meant in given:
        assert read(call_text("f", arguments))[0].data["calls"] == [{"name": "f", "arguments": meant}]
