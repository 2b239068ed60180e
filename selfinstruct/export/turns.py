"""The turns of a chat format: the names that it gives them, and how others read a column of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfinstruct.export import AXOLOTL, LLAMA_FACTORY
from selfinstruct.export.reasoning import KEY, Reasoning, read_fields, thought_of, with_tags

FILLED = {"type": "string", "pattern": r"\S"}


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
