"""Tools that a model may call, in OpenAI's form, and whether a call fits its tool.

A tool is `{"type": "function", "function": {"name", "description", "parameters"}}`; `parameters` is a JSON
Schema of the arguments (https://platform.openai.com/docs/guides/function-calling).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from selfinstruct.errors import Fault, unknown
from selfinstruct.schema.validation import Validate, compile_schema

# What OpenAI, Anthropic and Gemini accept together: Gemini's names begin with a letter or an underscore.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
MOST = 128  # tools in one request, OpenAI's limit
FORM = 'write {"type": "function", "function": {"name": …, "description": …, "parameters": …}}'
# Keywords by which a schema itself says what further arguments may be.
OPEN = {
    *("additionalProperties", "patternProperties", "unevaluatedProperties", "$ref", "allOf", "anyOf", "oneOf")
}


def tool_faults(tools: Any, where: str) -> list[Fault]:
    """The faults of a list of tools, each with its place.

    Args:
        tools: the value that should be such a list.
        where: its place, for messages.
    """
    if not isinstance(tools, list) or not tools:
        return [Fault(where, "is not a list of tools", f"put the tools in [ ]; for each of them {FORM}")]
    if len(tools) > MOST:
        return [Fault(where, f"has {len(tools)} tools, more than {MOST}", "divide them into several lists")]
    faults = [
        fault for place, tool in enumerate(tools, 1) for fault in _of_tool(tool, f"{where} tool {place}")
    ]
    names = [named(tool) for tool in tools]
    twice = dict.fromkeys(name for name in names if name and names.count(name) > 1)
    remedy = "give each tool of a list its own name"
    return faults + [Fault(where, f"has two tools with the name {name!r}", remedy) for name in twice]


def named(tool: Any) -> str | None:
    """The name of a tool; None if it is not in OpenAI's form."""
    function = tool.get("function") if isinstance(tool, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else None


def wrong_call(name: str, arguments: Any, tools: Any, strict: bool = True) -> str | None:
    """Why a call does not fit its tools, with the path to the fault; None if it does.

    Args:
        name: the tool that it calls.
        arguments: its arguments.
        tools: the tools that were there.
        strict: whether an argument that the tool's schema does not name is a fault, unless the schema says
            what further arguments may be.
    """
    known = {named(tool): tool for tool in (tools if isinstance(tools, list) else ())}
    if name not in known:
        what, remedy = unknown("tool", name, [one for one in known if one])
        return f"{what}; {remedy}"
    if not isinstance(arguments, dict):
        return f"{name}: the arguments are not an object"
    parameters = known[name]["function"].get("parameters") or {}
    validate = _compiled(json.dumps(parameters, sort_keys=True))
    if validate is None:
        return f"{name}: the tool's parameters are not a valid JSON Schema"
    rejection = validate(arguments)
    if rejection:
        separator = ": " if rejection.detail["path"] == "$" else "."
        return f"{name}: arguments{separator}{rejection.reason}"
    return _unnamed(name, arguments, parameters) if strict else None


def _unnamed(name: str, arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    if OPEN & set(parameters):
        return None
    known = parameters.get("properties") or {}
    more = next((key for key in arguments if key not in known), None)
    if more is None:
        return None
    what, remedy = unknown("argument", more, known)
    return f"{name}: arguments.{more}: {what}; {remedy}"


def _of_tool(tool: Any, where: str) -> Iterator[Fault]:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or tool.get("type") != "function":
        yield Fault(where, "is not a tool in OpenAI's form", FORM)
        return
    name = function.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        remedy = "use 1 to 64 letters, digits, _ and -, and begin with a letter or _"
        yield Fault(f"{where}: function.name", f"{name!r} is not accepted by all providers", remedy)
    else:
        where = f"{where} ({name})"
    if not isinstance(function.get("description", ""), str):
        yield Fault(f"{where}: function.description", "is not text", "say in a sentence what the tool does")
    parameters = function.get("parameters", {"type": "object"})
    place = f"{where}: function.parameters"
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        what = "is not the schema of an object"
        yield Fault(place, what, 'write {"type": "object", "properties": {…}, "required": […]}')
        return
    found: list[Fault] = []
    compile_schema(parameters, place, found)
    yield from found


@lru_cache(maxsize=1024)
def _compiled(parameters: str) -> Validate | None:
    """The check of the arguments of one tool; None if its schema is not valid."""
    return compile_schema(json.loads(parameters), "function.parameters", [])
