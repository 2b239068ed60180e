"""Chat formats: `chat` (OpenAI's messages), `sharegpt` (conversations), `trl` (prompt and completion)."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from selfinstruct.export import EXPORTS, Export, tool_turns
from selfinstruct.export.reasoning import FIELD, InText, Reasoning
from selfinstruct.export.tool_turns import Tools
from selfinstruct.export.turns import CONVERSATIONS, MESSAGES, Answer, Turns, trainers
from selfinstruct.prompts.rendering import TemplateFault, render

# The plus keeps the line break after the block; otherwise our templates drop it.
USER = "{{ instruction }}{% if input +%}\n\n{{ input }}{% endif %}"


@EXPORTS.register
def chat(
    *,
    user: str = USER,
    output: str = "output",
    system: str = "",
    messages: str | None = None,
    reasoning: Reasoning = "drop",
    reasoning_field: str = FIELD,
    tools: str | None = None,
    calls: str = "calls",
    results: str = "results",
) -> Export:
    """Rows of messages with role and content, as OpenAI, TRL and most trainers read them.

    Args:
        user: Jinja template for the user's message; `input` is empty for a record that has none.
        output: the record field for the assistant's message.
        system: Jinja template for the system message; if empty, there is none.
        messages: the record field with all turns of a conversation, instead of user and output.
        reasoning: the model's thought: `keep` it as `reasoning_content` of the assistant's message, as TRL
            and Qwen read it; put it before the answer between think `tags`; or `drop` it.
        reasoning_field: the record field for the thought (`parse.reasoning` of the prompt).
        tools: the record field with the tools that the assistant may call; the rows then have them, and the
            calls and results as turns before the answer.
        calls: the record field with the calls.
        results: the record field with their results.
    """
    answer = Answer(output, reasoning, reasoning_field)
    called = tool_turns.of_options(tools, calls, results, messages)
    made = _conversation("messages", MESSAGES, user, answer, system, messages, called)
    return made if tools is None else replace(made, trainers={})  # their entries are for `sharegpt`


@EXPORTS.register
def sharegpt(
    *,
    user: str = USER,
    output: str = "output",
    system: str = "",
    messages: str | None = None,
    reasoning: InText = "drop",
    reasoning_field: str = FIELD,
    tools: str | None = None,
    calls: str = "calls",
    results: str = "results",
) -> Export:
    """Rows of conversations with from and value; LLaMA-Factory's and axolotl's entries are written beside it.

    Args:
        user: Jinja template for the user's turn; `input` is empty for a record that has none.
        output: the record field for the assistant's turn.
        system: Jinja template for the system turn; if empty, there is none.
        messages: the record field with all turns of a conversation, instead of user and output.
        reasoning: the model's thought: put it before the answer between think `tags`, or `drop` it.
        reasoning_field: the record field for the thought (`parse.reasoning` of the prompt).
        tools: the record field with the tools that the assistant may call; the rows then have them, and the
            calls and results as turns before the answer.
        calls: the record field with the calls.
        results: the record field with their results.
    """
    answer = Answer(output, reasoning, reasoning_field)
    called = tool_turns.of_options(tools, calls, results, messages)
    made = _conversation("conversations", CONVERSATIONS, user, answer, system, messages, called)
    if tools is None:
        return replace(made, beside=True)
    return replace(made, beside=True, trainers=tool_turns.trainers(made.trainers))


@EXPORTS.register
def trl(
    *,
    user: str = USER,
    output: str = "output",
    system: str = "",
    messages: str | None = None,
    reasoning: Reasoning = "drop",
    reasoning_field: str = FIELD,
    tools: str | None = None,
    calls: str = "calls",
    results: str = "results",
) -> Export:
    """Rows of prompt and completion, both lists of messages: TRL then trains on the completion only.

    Args:
        user: Jinja template for the message in the prompt; `input` is empty for a record that has none.
        output: the record field for the assistant's message.
        system: Jinja template for the system message; if empty, there is none.
        messages: the record field with all turns of a conversation, instead of user and output.
        reasoning: the model's thought: `keep` it as `reasoning_content` of the assistant's message, as TRL
            and Qwen read it; put it before the answer between think `tags`; or `drop` it.
        reasoning_field: the record field for the thought (`parse.reasoning` of the prompt).
        tools: the record field with the tools that the assistant may call; the rows then have them, and the
            calls and results as turns before the answer.
        calls: the record field with the calls.
        results: the record field with their results.
    """
    last = Answer(output, reasoning, reasoning_field)
    called = tool_turns.of_options(tools, calls, results, messages)

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        if messages:
            *before, final = MESSAGES.of(data.get(messages), system_text(system, data)) or [{}]
            return {"prompt": before, "completion": [final] if final else []}
        prompt = MESSAGES.list(system_text(system, data), user_text(user, data))
        answer = last.added(MESSAGES.list(None, None, last.text(data)), data)
        completion = [*called.messages(data, as_text=False), *answer]
        return {"prompt": prompt, "completion": completion, **called.listed(data, as_text=True)}

    *_, asks, answers = MESSAGES.roles
    schema = {
        "type": "object",
        "properties": {
            "prompt": MESSAGES.schema(asks),
            "completion": MESSAGES.schema(answers, more=last.keys),
        },
        "required": ["prompt", "completion"],
        "additionalProperties": False,
    }
    if tools:
        schema = _with_tools(schema, "completion", as_text=False)
    fields = (messages,) if messages else (*last.fields, *called.fields)
    return Export(convert, schema, fields, templates_of("" if messages else user, system), draws=False)


def _with_tools(schema: dict[str, Any], name: str, as_text: bool) -> dict[str, Any]:
    """The schema of rows, widened by tools, and by calls and results in a list of messages."""
    properties = schema["properties"]
    turns = {**properties[name], "items": tool_turns.schema(properties[name]["items"], as_text)}
    listed = {"type": "array", "minItems": 1, "items": {"type": "object"}}
    column = listed if as_text else {"type": "string"}
    properties = {**properties, name: turns, tool_turns.TOOLS: column}
    return {**schema, "properties": properties, "required": [*schema["required"], tool_turns.TOOLS]}


def _conversation(
    name: str,
    turns: Turns,
    user: str,
    answer: Answer,
    system: str,
    messages: str | None,
    tools: Tools,
) -> Export:
    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        if messages:
            return {name: turns.of(data.get(messages), system_text(system, data))}
        found = turns.list(system_text(system, data), user_text(user, data), answer.text(data))
        found = answer.added(found, data)
        if tools.tools:
            called = tools.messages(data, as_text=True) if turns is MESSAGES else tools.turns(data)
            found = [*found[:-1], *called, *found[-1:]]
        return {name: found, **tools.listed(data, as_text=turns is not MESSAGES)}

    schema = {
        "type": "object",
        "properties": {name: turns.schema(*turns.roles[1:], more=answer.keys)},
        "required": [name],
        "additionalProperties": False,
    }
    if tools.tools and turns is MESSAGES:
        schema = _with_tools(schema, name, as_text=True)
    elif tools.tools:
        schema = _with_turns_of_tools(schema, name, turns)
    fields = (messages,) if messages else (*answer.fields, *tools.fields)
    templates = templates_of("" if messages else user, system)
    return Export(convert, schema, fields, templates, draws=False, trainers=trainers(name, turns))


def _with_turns_of_tools(schema: dict[str, Any], name: str, turns: Turns) -> dict[str, Any]:
    """As `_with_tools`, for ShareGPT: two more roles, and the tools as JSON text."""
    properties = schema["properties"]
    items = properties[name]["items"]
    roles = {"enum": [*turns.roles, tool_turns.FUNCTION_CALL, tool_turns.OBSERVATION]}
    items = {**items, "properties": {**items["properties"], turns.who: roles}}
    column = {tool_turns.TOOLS: {"type": "string"}}
    return {
        **schema,
        "properties": {**properties, name: {**properties[name], "items": items}, **column},
        "required": [*schema["required"], tool_turns.TOOLS],
    }


def templates_of(user: str, system: str) -> tuple[str, ...]:
    """The templates that a format fills in."""
    return tuple(template for template in (user, system) if template)


def system_text(system: str, data: dict[str, Any]) -> str | None:
    """The system message; None if there is none."""
    return render(system, {"input": "", **data}) if system else None


def user_text(user: str, data: dict[str, Any]) -> str | None:
    """The user's text; None for a seed that lacks a field of it: the schema reports which turn is missing."""
    instruction, input = data.get("instruction"), data.get("input", "")
    if user == USER and isinstance(instruction, str) and isinstance(input, str):
        return f"{instruction}\n\n{input}" if input else instruction  # filling it in takes ten times as long
    try:
        return render(user, {"input": "", **data})
    except TemplateFault as error:
        if not error.lacks:
            raise
        return None
