"""The filter `parts_kept`: numbers, code and placeholders that a translation must not lose."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record

FIELDS = {"output": "original_output"}


def reason(check: Filter, before: str, after: str) -> str | None:
    """Why a translation is rejected; None if it passes."""
    assert check.each
    found = check.each(Record("a-1-0", "a", 1, 0, {"original_output": before, "output": after}))
    return found.reason if found else None


@pytest.fixture
def check(project: Path) -> Filter:
    """The filter as the recipe `translate` has it."""
    words = ["recipe=translate", "model=scripted", "model.mode=chat"]
    stage = compose(words, project).recipe().stage("translations")
    return dict(stage.judge.checks)["parts_kept"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("It costs 1,250.50 dollars.", "Es kostet 1.250,50 Dollar."),
        ("It costs 1,250 dollars.", "Es kostet 1250 Dollar."),
        ("On 3/14/2024 at 5 PM.", "Am 14.3.2024 um fünf Uhr nachmittags."),
        ("About 25 people", "約２５人"),
        (
            "Call `print(x)`:\n```py\nprint( x )\n```",
            "Rufe `print(x)` auf:\n\n```py\nprint(  x )\n```\nFertig.",
        ),
        ("Dear {name}, see https://a.example/b.", "Liebe {name}, siehe https://a.example/b."),
        ("Mail me@a.example, [DATE]", "Schreib an me@a.example, [DATE]"),
        ("", " "),
        ("Three cats", "Drei Katzen"),
    ],
)
def test_what_is_kept_passes(check: Filter, before: str, after: str) -> None:
    """Marks in numbers, digits of other scripts and spaces in code make no difference."""
    assert reason(check, before, after) is None


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("It takes 25 minutes.", "Es dauert 52 Minuten.", "output has lost the number 25 of its original"),
        ("12 and 12", "12 und mehr", "the number 12"),
        ("Call `print(x)`.", "Rufe `drucke(x)` auf.", "'`print(x)`' of its original (inline_code)"),
        ("```py\nprint(x)\n```", "```py\nprint(y)\n```", "(code_block)"),
        ("Dear {name},", "Liebe {Name},", "'{name}' of its original (placeholder)"),
        ("Hello {{ user }}", "Hallo Nutzer", "'{{ user }}' of its original (mustache)"),
        ("See https://a.example/b.", "Siehe https://a.example/de.", "(address)"),
        ("Mail me@a.example", "Schreib mir", "(email)"),
        ("Some text", "", "output is empty, but its original is not"),
        ("", "Ein Text", "output has a text, but its original is empty"),
    ],
)
def test_what_is_lost_is_named(check: Filter, before: str, after: str, words: str) -> None:
    """With the lost part, and the pattern that says that it must stay."""
    assert words in (reason(check, before, after) or "")


def test_which_numbers_must_stay() -> None:
    """`digits` is the least length of a number that must stay; 0 lets all of them go."""
    one, none = (FILTERS.build("parts_kept", {"fields": FIELDS, "digits": n}, "", []) for n in (1, 0))
    assert one and none
    assert reason(one, "7 cats", "sieben Katzen")
    assert reason(none, "77 cats", "viele Katzen") is None
