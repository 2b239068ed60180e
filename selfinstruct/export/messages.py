"""Chat formats: `chat` (OpenAI's messages) and `sharegpt` (conversations)."""

from __future__ import annotations

import random
from typing import Any

from selfinstruct.export import EXPORTS, Export
from selfinstruct.prompts.templates import TemplateFault, render

FILLED = {"type": "string", "pattern": r"\S"}


# The plus keeps the line break after the block; otherwise our templates drop it.
USER = "{{ instruction }}{% if input +%}\n\n{{ input }}{% endif %}"


@EXPORTS.register
def chat(*, user: str = USER, output: str = "output", system: str = "") -> Export:
    """Rows of messages with role and content.

    Args:
        user: Jinja template for the user's message; `input` is empty for a record that has none.
        output: the record field for the assistant's message.
        system: the system message; if empty, there is none.
    """
    return _conversation("messages", "role", "content", ["system", "user", "assistant"], user, output, system)


@EXPORTS.register
def sharegpt(*, user: str = USER, output: str = "output", system: str = "") -> Export:
    """Rows of conversations with from and value.

    Args:
        user: Jinja template for the user's turn; `input` is empty for a record that has none.
        output: the record field for the assistant's turn.
        system: the system turn; if empty, there is none.
    """
    return _conversation("conversations", "from", "value", ["system", "human", "gpt"], user, output, system)


def _conversation(
    name: str, who: str, what: str, roles: list[str], user: str, output: str, system: str
) -> Export:
    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        try:
            asked = render(user, {"input": "", **data})
        except TemplateFault as error:
            if not error.lacks:
                raise
            asked = None  # a seed without the field: the schema reports which turn is missing
        texts = zip(roles, [system or None, asked, data.get(output)], strict=True)
        return {name: [{who: role, what: text} for role, text in texts if text is not None]}

    return Export(convert, _schema(name, who, what, roles), (output,), templates=(user,))


def _schema(name: str, who: str, what: str, roles: list[str]) -> dict[str, Any]:
    """The schema of a row: turns under one key, with at least one turn of each of the last two roles."""
    turn = {
        "type": "object",
        "properties": {who: {"enum": roles}, what: FILLED},
        "required": [who, what],
        "additionalProperties": False,
    }
    both = [{"contains": {"properties": {who: {"const": role}}}} for role in roles[-2:]]
    about = f"the turns in order: {who} is {', '.join(roles[:-1])} or {roles[-1]}, {what} is the text"
    turns = {"type": "array", "description": about, "items": turn, "allOf": both}
    return {"type": "object", "properties": {name: turns}, "required": [name], "additionalProperties": False}
