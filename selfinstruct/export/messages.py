"""Chat formats: `chat` (OpenAI's messages), `sharegpt` (conversations), `trl` (prompt and completion)."""

from __future__ import annotations

import random
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
def chat(*, user: str = USER, output: str = "output", system: str = "") -> Export:
    """Rows of messages with role and content, as OpenAI, TRL and most trainers read them.

    Args:
        user: Jinja template for the user's message; `input` is empty for a record that has none.
        output: the record field for the assistant's message.
        system: Jinja template for the system message; if empty, there is none.
    """
    return _conversation("messages", MESSAGES, user, output, system)


@EXPORTS.register
def sharegpt(*, user: str = USER, output: str = "output", system: str = "") -> Export:
    """Rows of conversations with from and value; LLaMA-Factory's and axolotl's entries are written beside it.

    Args:
        user: Jinja template for the user's turn; `input` is empty for a record that has none.
        output: the record field for the assistant's turn.
        system: Jinja template for the system turn; if empty, there is none.
    """
    return replace(_conversation("conversations", CONVERSATIONS, user, output, system), beside=True)


@EXPORTS.register
def trl(*, user: str = USER, output: str = "output", system: str = "") -> Export:
    """Rows of prompt and completion, both lists of messages: TRL then trains on the completion only.

    Args:
        user: Jinja template for the message in the prompt; `input` is empty for a record that has none.
        output: the record field for the assistant's message.
        system: Jinja template for the system message; if empty, there is none.
    """

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        asked, answer = user_text(user, data), data.get(output)
        prompt = MESSAGES.list(system_text(system, data), asked)
        return {"prompt": prompt, "completion": MESSAGES.list(None, None, answer)}

    *_, asks, answers = MESSAGES.roles
    schema = {
        "type": "object",
        "properties": {"prompt": MESSAGES.schema(asks), "completion": MESSAGES.schema(answers)},
        "required": ["prompt", "completion"],
        "additionalProperties": False,
    }
    return Export(convert, schema, (output,), templates_of(user, system), draws=False)


def _conversation(name: str, turns: Turns, user: str, output: str, system: str) -> Export:
    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        return {name: turns.list(system_text(system, data), user_text(user, data), data.get(output))}

    schema = {
        "type": "object",
        "properties": {name: turns.schema(*turns.roles[1:])},
        "required": [name],
        "additionalProperties": False,
    }
    templates = templates_of(user, system)
    return Export(convert, schema, (output,), templates, draws=False, trainers=trainers(name, turns))


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
    return (user, system) if system else (user,)


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
