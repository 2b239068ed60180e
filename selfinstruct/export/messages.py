"""Chat formats: `chat` (OpenAI's messages), `sharegpt` (conversations), `trl` (prompt and completion)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfinstruct.export import AXOLOTL, EXPORTS, LLAMA_FACTORY, Export
from selfinstruct.prompts.templates import TemplateFault, render

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

    def schema(self, *needed: str) -> dict[str, Any]:
        """The schema of a list with at least one turn of each of these roles."""
        turn = {
            "type": "object",
            "properties": {self.who: {"enum": list(self.roles)}, self.what: FILLED},
            "required": [self.who, self.what],
            "additionalProperties": False,
        }
        there = [{"contains": {"properties": {self.who: {"const": role}}}} for role in needed]
        *others, last = self.roles
        about = f"the turns in order: {self.who} is {', '.join(others)} or {last}, {self.what} is the text"
        return {"type": "array", "description": about, "items": turn, "allOf": there}


MESSAGES = Turns("role", "content", ("system", "user", "assistant"))
CONVERSATIONS = Turns("from", "value", ("system", "human", "gpt"))


@EXPORTS.register
def chat(
    *, user: str = USER, output: str = "output", system: str = "", messages: str | None = None
) -> Export:
    """Rows of messages with role and content, as OpenAI, TRL and most trainers read them.

    Args:
        user: Jinja template for the user's message; `input` is empty for a record that has none.
        output: the record field for the assistant's message.
        system: Jinja template for the system message; if empty, there is none.
        messages: the record field with all turns of a conversation, instead of user and output.
    """
    return _conversation("messages", MESSAGES, user, output, system, messages)


@EXPORTS.register
def sharegpt(
    *, user: str = USER, output: str = "output", system: str = "", messages: str | None = None
) -> Export:
    """Rows of conversations with from and value; LLaMA-Factory's and axolotl's entries are written beside it.

    Args:
        user: Jinja template for the user's turn; `input` is empty for a record that has none.
        output: the record field for the assistant's turn.
        system: Jinja template for the system turn; if empty, there is none.
        messages: the record field with all turns of a conversation, instead of user and output.
    """
    export = _conversation("conversations", CONVERSATIONS, user, output, system, messages)
    return replace(export, beside=True)


@EXPORTS.register
def trl(*, user: str = USER, output: str = "output", system: str = "", messages: str | None = None) -> Export:
    """Rows of prompt and completion, both lists of messages: TRL then trains on the completion only.

    Args:
        user: Jinja template for the message in the prompt; `input` is empty for a record that has none.
        output: the record field for the assistant's message.
        system: Jinja template for the system message; if empty, there is none.
        messages: the record field with all turns of a conversation, instead of user and output.
    """

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        if messages:
            *before, last = MESSAGES.of(data.get(messages), _filled(system, data)) or [{}]
            return {"prompt": before, "completion": [last] if last else []}
        asked, answer = _asked(user, data), data.get(output)
        prompt = MESSAGES.list(_filled(system, data), asked)
        return {"prompt": prompt, "completion": MESSAGES.list(None, None, answer)}

    *_, asks, answers = MESSAGES.roles
    schema = {
        "type": "object",
        "properties": {"prompt": MESSAGES.schema(asks), "completion": MESSAGES.schema(answers)},
        "required": ["prompt", "completion"],
        "additionalProperties": False,
    }
    return Export(convert, schema, (messages or output,), _templates(user, system, messages), draws=False)


def _conversation(
    name: str, turns: Turns, user: str, output: str, system: str, messages: str | None
) -> Export:
    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        if messages:
            return {name: turns.of(data.get(messages), _filled(system, data))}
        return {name: turns.list(_filled(system, data), _asked(user, data), data.get(output))}

    schema = {
        "type": "object",
        "properties": {name: turns.schema(*turns.roles[1:])},
        "required": [name],
        "additionalProperties": False,
    }
    fields, templates = (messages or output,), _templates(user, system, messages)
    return Export(convert, schema, fields, templates, draws=False, trainers=trainers(name, turns))


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


def _templates(user: str, system: str, messages: str | None) -> tuple[str, ...]:
    return (*(() if messages else (user,)), *((system,) if system else ()))


def _filled(system: str, data: dict[str, Any]) -> str | None:
    return render(system, {"input": "", **data}) if system else None


def _asked(user: str, data: dict[str, Any]) -> str | None:
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
