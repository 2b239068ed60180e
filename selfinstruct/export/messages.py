"""Chat formats: `chat` (OpenAI's messages) and `sharegpt` (conversations)."""

from __future__ import annotations

import random
from typing import Any

from selfinstruct.export import EXPORTS, Export
from selfinstruct.prompts import TemplateFault, render

FILLED = {"type": "string", "pattern": r"\S"}


def _turns(name: str, who: str, what: str, roles: list[str]) -> dict[str, Any]:
    """Schema of a row that is a list of turns under one key, with at least one of the last two roles each."""
    turn = {
        "type": "object",
        "properties": {who: {"enum": roles}, what: FILLED},
        "required": [who, what],
        "additionalProperties": False,
    }
    both = [{"contains": {"properties": {who: {"const": role}}}} for role in roles[-2:]]
    turns = {"type": "array", "items": turn, "allOf": both}
    return {"type": "object", "properties": {name: turns}, "required": [name], "additionalProperties": False}


CHAT = _turns("messages", "role", "content", ["system", "user", "assistant"])
SHAREGPT = _turns("conversations", "from", "value", ["system", "human", "gpt"])
# The plus keeps the line break after the block, which templates here drop otherwise.
USER = "{{ instruction }}{% if input +%}\n\n{{ input }}{% endif %}"


def _texts(data: dict[str, Any], system: str, user: str, output: str) -> list[str | None]:
    """The system's, the user's and the assistant's text."""
    try:
        asked = render(user, {"input": "", **data})
    except TemplateFault:  # a seed that lacks the field: the schema names it
        asked = None
    return [system or None, asked, data.get(output)]


@EXPORTS.register
def chat(
    *,
    user: str = USER,
    output: str = "output",
    system: str = "",
    of: str | None = None,
    seed_tasks: bool = False,
    shuffle: bool = False,
    file: str = "chat.jsonl",
) -> Export:
    """Rows of messages with role and content.

    Args:
        user: Jinja template of the user's message.
        output: the record field that is the assistant's message.
        system: the system message; none where it is empty.
        of: the stage whose records to write; the last that makes some.
        seed_tasks: write the seed tasks too.
        shuffle: shuffle the rows.
        file: name of the file in dataset/.
    """

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        said = zip(["system", "user", "assistant"], _texts(data, system, user, output), strict=True)
        turns = [{"role": who, "content": text} for who, text in said if text is not None]
        return {"messages": turns}

    return Export(convert, CHAT, file, (output,), of, seed_tasks, shuffle)


@EXPORTS.register
def sharegpt(
    *,
    user: str = USER,
    output: str = "output",
    system: str = "",
    of: str | None = None,
    seed_tasks: bool = False,
    shuffle: bool = False,
    file: str = "sharegpt.jsonl",
) -> Export:
    """Rows of conversations with from and value; the options are those of `chat`."""

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        said = zip(["system", "human", "gpt"], _texts(data, system, user, output), strict=True)
        return {"conversations": [{"from": who, "value": text} for who, text in said if text is not None]}

    return Export(convert, SHAREGPT, file, (output,), of, seed_tasks, shuffle)
