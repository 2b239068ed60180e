"""The parser of tool calls, as models write them in text and as providers return them.

`llm.responses` writes a provider's own calls into the text of the reply, in tags as Qwen and Hermes models
use them. So the journal has only text, and one parser reads the calls of every model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from selfinstruct.parse import CUT, PARSERS, UNREADABLE, Parsed, Parser, answer, lost
from selfinstruct.parse.lenient import Flaw, Reading, plain, written
from selfinstruct.records import Reply

OPENING, CLOSING = "<tool_call>", "</tool_call>"
_TAGS = re.compile(rf"{OPENING}(.*?)(?:{CLOSING}|(?={OPENING})|\Z)", re.DOTALL)
_MARK = re.compile(r"\[TOOL_CALLS\]|<\|python_tag\|>|<functioncall>|</functioncall>")  # of other models
_JSON = re.compile(r"(?:```\w*\s*)?[\[{]")
ARGUMENTS = ("arguments", "parameters", "args")  # the keys under which models put them
WRAPPERS = ("tool_calls", "function_call", "function", "calls")


def call_text(name: Any, arguments: Any) -> str:
    """A provider's own call as the text that `tool_calls` reads.

    Args:
        name: the name of the tool.
        arguments: an object, or JSON text of one; a text that is not valid JSON is kept as it is.
    """
    if isinstance(arguments, str):
        with suppress(ValueError):  # the parser says what is wrong with it
            arguments = json.loads(arguments) if arguments.strip() else {}
    call = {"name": name, "arguments": {} if arguments is None else arguments}
    whole = json.dumps(call, ensure_ascii=False)
    return f"{OPENING}\n{whole}\n{CLOSING}"


@PARSERS.register
def tool_calls(*, field: str = "calls", text: str | None = None) -> Parser:
    """The tool calls of a reply, as one candidate: a list of {name, arguments}, empty if there are none.

    It reads the provider's own calls, and JSON in the text: one object or a list, each with name and
    arguments or in OpenAI's form, also in `<tool_call>` tags or after the marks of other models. A call that
    is not complete rejects the reply.

    Args:
        field: the field for the list of calls.
        text: the field for the text beside the calls: the whole reply if there are none; null leaves it out.
    """

    def read(reply: Reply, shown: int) -> list[Parsed]:
        said, found = _divided(answer(reply))
        calls: list[dict[str, Any]] = []
        for one in found:
            if isinstance(one, Flaw):
                check = CUT if one.cut and reply.cut else UNREADABLE
                return lost(reply, f"a call cannot be read: {one.reason}", check)
            calls.append(one)
        if not calls and reply.cut:
            return lost(reply, "the reply reached max_tokens before its end", CUT)
        return [Parsed({field: calls, **({} if text is None else {text: said})})]

    return Parser(read, (field, *([] if text is None else [text])))


def _divided(text: str) -> tuple[str, list[dict[str, Any] | Flaw]]:
    """The text beside the calls, and the calls, with a flaw in place of one that cannot be read."""
    tagged = list(_TAGS.finditer(text))
    if tagged:
        calls = [call for tag in tagged for call in _in_tag(tag)]
        return _TAGS.sub("", text).strip(), calls
    marked = _MARK.search(text)
    reading = Reading(text)
    calls = list(_found(reading))
    if calls:
        start = _JSON.search(text)
        before = text[: min(marked.start() if marked else len(text), start.start() if start else len(text))]
        return before.strip(), calls
    if text in ("[]", '{"tool_calls": []}'):
        return "", []
    flaws: list[dict[str, Any] | Flaw] = [flaw for value in reading.values if (flaw := reading.flaw(value))]
    if marked or (flaws and _JSON.match(text)):  # nothing but JSON
        return "", flaws[:1] or [Flaw("there is no JSON with name and arguments after its mark")]
    return text, []


def _in_tag(tag: re.Match[str]) -> Iterator[dict[str, Any] | Flaw]:
    reading = Reading(tag[1])
    found = list(_found(reading))
    if not found:
        closed = tag[0].endswith(CLOSING)
        found = [Flaw("it has no JSON with name and arguments" if closed else "it ends early", not closed)]
    yield from found


def _found(reading: Reading) -> Iterator[dict[str, Any] | Flaw]:
    """The calls in all values, and a flaw for each value with calls that is not complete."""
    for value in reading.values:
        found = list(_calls(value, reading))
        yield from found
        flaw = reading.flaw(value)
        if found and flaw and not any(isinstance(one, Flaw) for one in found):
            yield flaw


def _calls(value: Any, reading: Reading) -> Iterator[dict[str, Any] | Flaw]:
    """The calls in a value: the value itself, or those of its lists; nothing if it is not about calls."""
    if isinstance(value, list):
        for one in value:
            yield from _calls(one, reading)
        return
    if not isinstance(value, Mapping):
        return
    inner = next((value[key] for key in WRAPPERS if isinstance(value.get(key), list | dict)), None)
    if inner is not None and "name" not in value:
        yield from _calls(inner, reading)
        return
    key = next((key for key in ARGUMENTS if key in value), None)
    if isinstance(value.get("name"), str) and key:
        yield reading.flaw(value) or _call(value["name"], value[key])


def _call(name: str, arguments: Any) -> dict[str, Any] | Flaw:
    if isinstance(arguments, str):
        inside = Reading(arguments)
        whole = [one for one in inside.values if isinstance(one, dict) and inside.flaw(one) is None]
        arguments = whole[0] if len(whole) == len(inside.values) == 1 else arguments
    if not isinstance(arguments, dict):
        return Flaw(f"the arguments of {name} are not a JSON object: {written(arguments)[:80]}")
    return {"name": name, "arguments": plain(arguments)}
