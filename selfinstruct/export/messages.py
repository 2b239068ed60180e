"""Chat formats: `chat` (OpenAI's messages), `sharegpt` (conversations), `trl` (prompt and completion)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfinstruct.export import AXOLOTL, EXPORTS, LLAMA_FACTORY, Export, tool_turns
from selfinstruct.export.reasoning import FIELD, KEY, InText, Reasoning, read_fields, thought_of, with_tags
from selfinstruct.export.tool_turns import Tools
from selfinstruct.prompts.rendering import TemplateFault, render

FILLED = {"type": "string", "pattern": r"\S"}


# The plus keeps the line break after the block; otherwise our templates drop it.
USER = "{{ instruction }}{% if input +%}\n\n{{ input }}{% endif %}"


@dataclass(frozen=True)
class Turns:
    """The names in a list of turns.

    Attributes:
        who: the key of a turn's role.
        what: the key of its text.
        roles: the names of the system, the user and the assistant.
    """

    who: str
    what: str
    roles: tuple[str, str, str]

    def of(self, messages: Any, system: str | None) -> list[dict[str, Any]]:
        """The turns of a record's list of messages, after a system message; empty if it has no such list."""
        names = dict(zip(MESSAGES.roles, self.roles, strict=True))
        turns = messages if isinstance(messages, Sequence) and not isinstance(messages, str) else ()
        found = [one for one in turns if isinstance(one, Mapping)]
        first = self.list(system) if found else []
        rest = ({self.who: names.get(one.get("role", "")), self.what: one.get("content")} for one in found)
        return [*first, *rest]

    def list(self, *texts: str | None) -> list[dict[str, str]]:
        """The turns of the system, the user and the assistant; None for a turn that is missing."""
        who, what, pairs = self.who, self.what, zip(self.roles, texts, strict=False)
        return [{who: role, what: text} for role, text in pairs if text is not None]

    def schema(self, *needed: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The schema of a list with at least one turn of each of these roles; turns may have `more` keys."""
        turn = {
            "type": "object",
            "properties": {self.who: {"enum": list(self.roles)}, self.what: FILLED, **(more or {})},
            "required": [self.who, self.what],
            "additionalProperties": False,
        }
        there = [{"contains": {"properties": {self.who: {"const": role}}}} for role in needed]
        *others, last = self.roles
        about = f"the turns in order: {self.who} is {', '.join(others)} or {last}, {self.what} is the text"
        return {"type": "array", "description": about, "items": turn, "allOf": there}


@dataclass(frozen=True)
class Answer:
    """The assistant's turn, and what becomes of the model's thought; see `reasoning`.

    Attributes:
        output: the record field for the turn's text.
        reasoning: where the thought goes.
        field: the record field for the thought.
    """

    output: str
    reasoning: Reasoning
    field: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The record fields that it reads."""
        return read_fields(self.reasoning, self.field, self.output)

    @property
    def keys(self) -> dict[str, Any]:
        """The schemas of the keys that it adds to a turn."""
        kept = {**FILLED, "description": "what the model thought before its answer"}
        return {KEY: kept} if self.reasoning == "keep" else {}

    def text(self, data: dict[str, Any]) -> Any:
        """The turn's text."""
        answer = data.get(self.output)
        return with_tags(thought_of(data, self.field), answer) if self.reasoning == "tags" else answer

    def added(self, turns: list[dict[str, str]], data: dict[str, Any]) -> list[dict[str, str]]:
        """The turns, the last one with the thought in a key of its own if it is kept and there is one."""
        thought = thought_of(data, self.field) if self.reasoning == "keep" else ""
        if thought and data.get(self.output) is not None:
            turns[-1][KEY] = thought
        return turns


MESSAGES = Turns("role", "content", ("system", "user", "assistant"))
CONVERSATIONS = Turns("from", "value", ("system", "human", "gpt"))


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


def trainers(name: str, turns: Turns) -> dict[str, dict[str, Any]]:
    """How other projects read a column of turns, by `export.TRAINERS`."""
    system, user, assistant = turns.roles
    tags = {
        "role_tag": turns.who,
        "content_tag": turns.what,
        "user_tag": user,
        "assistant_tag": assistant,
        "system_tag": system,
    }
    return {
        LLAMA_FACTORY: {"formatting": "sharegpt", "columns": {"messages": name}, "tags": tags},
        AXOLOTL: {
            "type": "chat_template",
            "field_messages": name,
            "message_property_mappings": {"role": turns.who, "content": turns.what},
            "roles": {"system": [system], "user": [user], "assistant": [assistant]},
        },
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
