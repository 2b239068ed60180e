"""The turns of a record with tool calls: the calls and their results, in OpenAI's form and in ShareGPT's.

The ids of calls depend only on their order, so the same records give the same bytes. They have nine letters
and digits, as Mistral's chat templates need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfinstruct.export import AXOLOTL, LLAMA_FACTORY

ASSISTANT, TOOL = "assistant", "tool"
FUNCTION_CALL, OBSERVATION = "function_call", "observation"  # LLaMA-Factory's names in ShareGPT
CALLS, CALL_ID, TOOLS = "tool_calls", "tool_call_id", "tools"


@dataclass(frozen=True)
class Tools:
    """The record fields about tools.

    Attributes:
        tools: the field with the tools; None for records without tools.
        calls: the field with the calls.
        results: the field with their results.
    """

    tools: str | None
    calls: str
    results: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it reads."""
        return () if self.tools is None else (self.tools, self.calls, self.results)

    def messages(self, data: Mapping[str, Any], as_text: bool) -> list[dict[str, Any]]:
        """The message with the calls, and one with each result; empty if there are no calls.

        Args:
            data: the record's fields.
            as_text: whether arguments are JSON text, as in OpenAI's form; otherwise they are an object.
        """
        calls = _calls(data.get(self.calls)) if self.tools else []
        if not calls:
            return []
        ids = [f"call{place:05d}" for place in range(1, len(calls) + 1)]
        given = [(name, _json(one) if as_text else one) for name, one in calls]
        listed = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id, (name, arguments) in zip(ids, given, strict=True)
        ]
        results = [_text(one) for one in _list(data.get(self.results))]
        return [
            {"role": ASSISTANT, CALLS: listed},
            *(
                {"role": TOOL, CALL_ID: id, "name": name, "content": text}
                for id, (name, _), text in zip(ids, calls, results, strict=False)
            ),
        ]

    def turns(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The same as two turns of ShareGPT: all calls, and all results."""
        calls = _calls(data.get(self.calls)) if self.tools else []
        if not calls:
            return []
        written = [{"name": name, "arguments": given} for name, given in calls]
        results = _list(data.get(self.results))
        return [
            {"from": FUNCTION_CALL, "value": _json(written[0] if len(written) == 1 else written)},
            {"from": OBSERVATION, "value": _text(results[0]) if len(results) == 1 else _json(results)},
        ]

    def listed(self, data: Mapping[str, Any], as_text: bool) -> dict[str, Any]:
        """The column with the tools."""
        if self.tools is None:
            return {}
        return {TOOLS: _json(data.get(self.tools)) if as_text else data.get(self.tools)}


def of_options(tools: str | None, calls: str, results: str, messages: str | None) -> Tools:
    """The record fields about tools, from an export's options.

    Raises:
        ValueError: if the export has a field with all turns, too.
    """
    if tools and messages:
        raise ValueError("tools: leave out messages; the calls and results are in fields of their own")
    return Tools(tools, calls, results)


def trainers(known: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The entries of other projects for ShareGPT's turns, with the roles and the column of tools."""
    factory, axolotl = known[LLAMA_FACTORY], known[AXOLOTL]
    tags = {**factory["tags"], "function_tag": FUNCTION_CALL, "observation_tag": OBSERVATION}
    roles = dict(axolotl["roles"])
    roles |= {ASSISTANT: [*roles[ASSISTANT], FUNCTION_CALL], TOOL: [OBSERVATION]}
    return {
        LLAMA_FACTORY: {**factory, "columns": {**factory["columns"], "tools": TOOLS}, "tags": tags},
        AXOLOTL: {**axolotl, "roles": roles},
    }


def schema(turn: Mapping[str, Any], as_text: bool) -> dict[str, Any]:
    """The schema of a message, widened by calls and by results.

    Args:
        turn: the schema of a message that has only a text.
        as_text: see `Tools.messages`.
    """
    function = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "arguments": {"type": "string" if as_text else "object"}},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
    call = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "type": {"const": "function"}, "function": function},
        "required": ["id", "type", "function"],
        "additionalProperties": False,
    }
    told = turn["properties"]
    calling = {"role": {"const": ASSISTANT}, CALLS: {"type": "array", "minItems": 1, "items": call}}
    telling = {"role": {"const": TOOL}, CALL_ID: {"type": "string"}, "name": {"type": "string"}}
    telling["content"] = told["content"]
    forms = [dict(turn), _object(calling), _object(telling)]
    return {"anyOf": forms}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _calls(value: Any) -> list[tuple[str, Any]]:
    found = (one for one in _list(value) if isinstance(one, Mapping))
    return [(str(one.get("name")), one.get("arguments")) for one in found]


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
