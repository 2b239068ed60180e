"""Values as people read them: a conversation as its turns, tool calls as calls, anything else as JSON.

>>> print(readable([{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]))
user: Hi.
<BLANKLINE>
assistant: Hello.
>>> readable([{"name": "search", "arguments": {"query": "tides", "most": 3}}])
'search(query="tides", most=3)'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def readable(value: Any, indent: int | None = None) -> str:
    """A value as text.

    Args:
        value: a text, which stays as it is, or a value of JSON.
        indent: of JSON; None writes it on one line.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        for said, between in ((_message, "\n\n"), (_call, "\n"), (_tool, "\n")):
            parts = [said(one) for one in value if isinstance(one, Mapping)]
            if len(parts) == len(value) and None not in parts:
                return between.join(map(str, parts))
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _message(one: Mapping[str, Any]) -> str | None:
    if one.keys() == {"role", "content"} and all(isinstance(text, str) for text in one.values()):
        return f"{one['role']}: {one['content']}"
    return None


def _call(one: Mapping[str, Any]) -> str | None:
    arguments = one.get("arguments")
    if one.keys() != {"name", "arguments"} or not isinstance(arguments, Mapping):
        return None
    return f"{one['name']}({', '.join(f'{name}={_json(value)}' for name, value in arguments.items())})"


def _tool(one: Mapping[str, Any]) -> str | None:
    """A tool, with the names of its parameters."""
    function = one.get("function")
    if one.get("type") != "function" or not isinstance(function, Mapping) or "name" not in function:
        return None
    parameters = function.get("parameters")
    known = parameters.get("properties") if isinstance(parameters, Mapping) else None
    names = ", ".join(map(str, known)) if isinstance(known, Mapping) else ""
    said = f": {function['description']}" if function.get("description") else ""
    return f"{function['name']}({names}){said}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
