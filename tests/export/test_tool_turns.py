"""Records with tool calls as OpenAI's, TRL's and LLaMA-Factory's rows."""

from __future__ import annotations

import json
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.export import EXPORTS, LLAMA_FACTORY, convert
from selfinstruct.records import Record

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
WITHOUT = {"instruction": "Why?", "tools": TOOLS, "needs": "none", "calls": [], "output": "So."}
TWO = {
    "instruction": "What?",
    "tools": TOOLS,
    "calls": [{"name": "f", "arguments": {"a": "静"}}, {"name": "f", "arguments": {}}],
    "results": [{"b": 1}, "late"],
    "output": "This.",
}


def rows(kind: str, *records: dict[str, Any]) -> tuple[list[Any], list[Record]]:
    """The rows of an export, and the records left out."""
    faults: list[Fault] = []
    export = EXPORTS.build(kind, {"tools": "tools"}, "export.x", faults)
    assert export, faults
    made = [Record(f"r{number}", "calls", number, 0, data) for number, data in enumerate(records)]
    return convert("x", export, made, 1)


def test_openais_messages() -> None:
    """The arguments are JSON text, each result names its call, and a record without calls has none."""
    (two, none), left_out = rows("chat", TWO, WITHOUT)
    assert left_out == []
    calls = [
        {"id": "call00001", "type": "function", "function": {"name": "f", "arguments": '{"a": "静"}'}},
        {"id": "call00002", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]
    assert two == {
        "messages": [
            {"role": "user", "content": "What?"},
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "call00001", "name": "f", "content": '{"b": 1}'},
            {"role": "tool", "tool_call_id": "call00002", "name": "f", "content": "late"},
            {"role": "assistant", "content": "This."},
        ],
        "tools": TOOLS,
    }
    assert none["messages"] == [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]


def test_trls_prompt_and_completion() -> None:
    """The calls and results belong to the completion; arguments are objects, the tools are JSON text."""
    (two, none), left_out = rows("trl", TWO, WITHOUT)
    assert left_out == []
    calling, first, second, answer = two["completion"]
    assert [one["function"]["arguments"] for one in calling["tool_calls"]] == [{"a": "静"}, {}]
    assert [first["tool_call_id"], second["tool_call_id"]] == ["call00001", "call00002"]
    assert answer == {"role": "assistant", "content": "This."}
    assert [json.loads(row["tools"]) for row in (two, none)] == [TOOLS, TOOLS]
    assert [len(two["prompt"]), len(none["completion"])] == [1, 1]


def test_sharegpt_has_one_turn_for_all_calls_and_one_for_all_results() -> None:
    """Turns alternate, as LLaMA-Factory needs it; its entry names the two roles and the column."""
    (two, none), left_out = rows("sharegpt", TWO, WITHOUT)
    assert left_out == []
    assert [turn["from"] for turn in two["conversations"]] == ["human", "function_call", "observation", "gpt"]
    assert json.loads(two["conversations"][1]["value"]) == TWO["calls"]
    assert json.loads(two["conversations"][2]["value"]) == TWO["results"]
    assert [turn["from"] for turn in none["conversations"]] == ["human", "gpt"]
    export = EXPORTS.build("sharegpt", {"tools": "tools"}, "export.x", [])
    assert export
    entry = export.trainers[LLAMA_FACTORY]
    assert entry["columns"]["tools"] == "tools"
    assert entry["tags"]["function_tag"] == "function_call"


def test_all_turns_in_one_field_have_no_tools() -> None:
    """The two options are one too many, and the fault says which to leave out."""
    for kind in ("chat", "trl", "sharegpt"):
        faults: list[Fault] = []
        assert EXPORTS.build(kind, {"tools": "tools", "messages": "messages"}, "export.x", faults) is None
        assert "leave out messages" in str(faults[0])


def test_a_record_without_an_answer_is_left_out() -> None:
    """As one without tools."""
    for kind in ("chat", "trl", "sharegpt"):
        made, (left_out,) = rows(kind, {**TWO, "output": ""})
        assert (made, left_out.check) == ([], "schema")
