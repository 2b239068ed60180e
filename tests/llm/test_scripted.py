"""The scripted model: which line of its file answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from selfinstruct.errors import ModelError
from selfinstruct.llm.scripted import Scripted
from selfinstruct.records import Request

ANY = {"reply": "any"}
FIRST = {"stage": "a", "number": 1, "reply": "a1"}
AGAIN = {"stage": "a", "number": 1, "reply": "a1 again"}
SOME = {"stage": "a", "number": 1, "match": "river", "reply": "a1 of rivers"}
STAGE = {"stage": "a", "reply": "a"}
NUMBER = {"number": 1, "reply": "1"}


def answer(lines: list[dict[str, Any]], stage: str = "a", number: int = 1, prompt: str = "sea") -> str:
    """What is answered by a file of these lines and no rule."""
    request = Request(stage=stage, number=number, prompt=prompt)
    (reply,) = asyncio.run(Scripted("script", lines, {}, {}, 0.0).complete([request]))
    assert reply
    return reply.text


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        ([FIRST, ANY], "a1"),
        ([ANY, FIRST], "any"),
        ([FIRST, AGAIN], "a1"),
        ([AGAIN, FIRST], "a1 again"),
        ([SOME, AGAIN, FIRST], "a1 again"),
        ([SOME, STAGE, FIRST], "a"),
        ([{"stage": "a", "number": 2, "reply": "a2"}, NUMBER, FIRST], "1"),
        ([{"stage": "b", "reply": "b"}, {"number": 2, "reply": "2"}, FIRST, ANY], "a1"),
        ([{"stage": "a", "number": [1], "reply": "odd"}, {"stage": None, "reply": "odd"}, FIRST], "a1"),
    ],
)
def test_the_first_line_that_fits_answers(lines: list[dict[str, Any]], reply: str) -> None:
    """Lines answer in the order of the file, whichever keys they give."""
    assert answer(lines) == reply


def test_lines_of_one_request() -> None:
    """A line for one request answers that one only, and under its other keys too."""
    lines = [SOME, {"stage": "a", "number": 2, "reply": "a2"}, {"stage": "b", "number": 1, "reply": "b1"}]
    assert answer(lines, prompt="a river") == "a1 of rivers"
    assert answer(lines, number=2) == "a2"
    assert answer(lines, stage="b") == "b1"
    with pytest.raises(ModelError, match="no answer to a request 1"):
        answer(lines)
