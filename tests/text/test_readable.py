"""Values as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from selfinstruct.text.readable import readable

TALK = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
CALLS = [{"name": "find", "arguments": {"what": "tüte", "most": 3}}, {"name": "stop", "arguments": {}}]
TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "description": "Finds it.",
        "parameters": {"properties": {"what": {}, "where": {}}},
    },
}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a text", "a text"),
        (TALK, "user: Hi.\n\nassistant: Hello."),
        (CALLS, 'find(what="tüte", most=3)\nstop()'),
        ([TOOL], "find(what, where): Finds it."),
        ([{"type": "function", "function": {"name": "now"}}], "now()"),
        ([], "[]"),
        ([1, {"role": "user", "content": "Hi."}], '[1, {"role": "user", "content": "Hi."}]'),
        ([{"role": "user", "content": "Hi.", "n": 1}], '[{"role": "user", "content": "Hi.", "n": 1}]'),
        ([{"name": "find", "arguments": "no object"}], '[{"name": "find", "arguments": "no object"}]'),
        (4, "4"),
        (None, "null"),
    ],
)
def test_values(value: Any, text: str) -> None:
    """Conversations, calls and tools have a form of their own; anything else is JSON."""
    assert readable(value) == text
