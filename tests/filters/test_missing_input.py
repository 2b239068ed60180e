"""Tasks about a text that did not come with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfinstruct.filters import Filter
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record, Rejection

SEEDS = Path(__file__).resolve().parents[2] / "seeds"


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Filter:
    """The filter as recipe `checked` has it."""
    made = compose(["recipe=checked", "model=scripted"], tmp_path_factory.mktemp("user")).recipe()
    return dict(made.stage("instances").judge.checks)["missing_input"]


def rejection(check: Filter, instruction: str, input: str = "") -> Rejection | None:
    """What it says of a record."""
    assert check.each
    return check.each(Record("a-000001-0", "a", 1, 0, {"instruction": instruction, "input": input}))


@pytest.mark.parametrize(
    "instruction",
    [
        "Summarize the article.",
        "What is the tone of this message?",
        "Sort the words below.",
        "Find the largest of the given numbers.",
        "Fasse den folgenden Text zusammen.",
        "次の文章を要約してください。",
        "把下面的句子改成被动句。",
    ],
)
def test_the_text_is_missing(check: Filter, instruction: str) -> None:
    """Rejected without an input, and not with one."""
    found = rejection(check, instruction)
    assert found
    assert found.reason.endswith("but input is empty")
    assert rejection(check, instruction, "Rain fell all day.") is None


@pytest.mark.parametrize(
    "instruction",
    [
        "Translate the sentence: Rain fell all day.",
        'What is the subject of the sentence "Rain fell all day"?',
        "Write a story about the following morning.",
        "Say how this kind of bridge works.",
        "Explain what a letter of credit is.",
    ],
)
def test_nothing_is_missing(check: Filter, instruction: str) -> None:
    """The instruction has the text, or is about none."""
    assert rejection(check, instruction) is None


def test_seed_tasks_without_an_input_pass(check: Filter) -> None:
    """All of ours; and one of eight with an input would be found if it were missing."""
    found = missing = total = 0
    for path in sorted(SEEDS.glob("*.jsonl")):
        for task in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            for instance in task["instances"]:
                if instance["input"].strip():
                    total, missing = total + 1, missing + bool(rejection(check, task["instruction"]))
                else:
                    found += bool(rejection(check, task["instruction"]))
    assert found == 0
    assert missing > 0.12 * total
