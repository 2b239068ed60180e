"""An export format."""

from __future__ import annotations

import random
from typing import Any

from selfinstruct.export import Export

TEXT = {"type": "string", "minLength": 1}
SCHEMA = {
    "type": "object",
    "properties": {
        "question": TEXT,
        "context": {"type": "string"},
        "answers": {
            "type": "object",
            "properties": {"text": {"type": "array", "items": TEXT, "minItems": 1}},
            "required": ["text"],
        },
    },
    "required": ["question", "context", "answers"],
}


def squad(*, question: str = "instruction", context: str = "input", answer: str = "output") -> Export:
    """Rows of question, context and answers, as SQuAD has them.

    Args:
        question: the record field that is the question.
        context: the field that is the context; a record without it has an empty one.
        answer: the field that is the answer.
    """

    def convert(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        return {
            "question": data.get(question),
            "context": data.get(context, ""),
            "answers": {"text": [data.get(answer)]},
        }

    return Export(convert, SCHEMA, (question, answer))
