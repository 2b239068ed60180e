"""The model's thought in a row: in a key of its own, between tags before the answer, or left out.

TRL and the chat template of Qwen read the key `reasoning_content` of an assistant's message. Most others
train on the text, with the thought between `<think>` and `</think>`, the form of DeepSeek-R1 and Qwen3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

Reasoning = Literal["keep", "drop", "tags"]
InText = Literal["drop", "tags"]
KEY = "reasoning_content"
FIELD = "reasoning"  # the record field, unless the recipe names another
# The marks of a thought in a thought itself, which would end it early.
_TAG = re.compile(r"<(/?\s*(?:think|thought|reason)\w*\s*)>", re.IGNORECASE)


def thought_of(data: Mapping[str, Any], field: str) -> str:
    """The thought of a record; empty if it has none."""
    found = data.get(field)
    return found.strip() if isinstance(found, str) else ""


def with_tags(thought: str, answer: Any) -> Any:
    """The answer with the thought before it, between tags; the answer alone if there is no thought."""
    if not thought or not isinstance(answer, str) or not answer.strip():
        return answer
    inner = _TAG.sub(r"(\1)", thought)
    return f"<think>\n{inner}\n</think>\n\n{answer}"


def read_fields(reasoning: Reasoning, field: str, *others: str) -> tuple[str, ...]:
    """The record fields that a format reads, with that of the thought unless it is left out."""
    return others if reasoning == "drop" else (*others, field)
