"""Answers on which several tries or models agree: which ones `agreement` keeps, and how often it is right."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines

from selfinstruct.filters import FILTERS
from selfinstruct.records import Record, Rejection
from selfinstruct.text.same_answer import key

MARKED = Path(__file__).parent / "marked" / "answers.jsonl"


def reply(answers: Sequence[str], **more: list[str]) -> list[Record]:
    """The candidates of a reply; `more` has further fields, with a value for each."""
    return [
        Record(
            f"a-000001-{place}", "a", 1, place, {"output": answer, **{k: v[place] for k, v in more.items()}}
        )
        for place, answer in enumerate(answers)
    ]


def rejections(records: list[Record], **options: Any) -> dict[int, Rejection]:
    """What the filter says of the candidates of a reply, by their places."""
    check = FILTERS.factory("agreement")(**options)
    assert check.together
    return check.together(records, random.Random(1))


def alone(data: dict[str, Any], **options: Any) -> Rejection | None:
    """What the filter says of a record with several answers."""
    check = FILTERS.factory("agreement")(**options)
    assert check.each
    return check.each(Record("a-000001-0", "a", 1, 0, data))


def test_precision_and_recall_on_the_answers_marked_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """The figures of docs/better-data.md; an answer beside the majority is to be rejected, and no other."""
    right = said_all = wrong_all = total = 0
    for row in lines(MARKED)[1:]:
        found = rejections(reply(row["answers"]), language=row["language"])
        said = {place for place, one in found.items() if not one.reason.startswith("the same answer")}
        wrong = set(range(len(row["answers"]))) - set(row["majority"])
        right, said_all, wrong_all = right + len(said & wrong), said_all + len(said), wrong_all + len(wrong)
        total += len(row["answers"])
    precision, recall = right / said_all, right / wrong_all
    with capsys.disabled():
        print(f"\nagreement: precision {precision:.2f}, recall {recall:.2f}, {total} answers")
    assert precision == 1.0
    assert recall >= 0.98


def test_the_first_answer_of_the_majority_stays_with_its_share() -> None:
    """The others say why they go, and the record tells how sure the model was."""
    records = reply(["18", "24", "The answer is 24.", "24"])
    found = rejections(records)
    assert {place: one.reason for place, one in found.items()} == {
        0: "another answer: '18'; 3 of 4 say '24'",
        2: "the same answer as a-000001-1",
        3: "the same answer as a-000001-1",
    }
    assert records[1].detail == {"agreement": 0.75, "answers": 4}


def test_without_a_majority_nothing_stays() -> None:
    """Each rejection has the most frequent answer."""
    found = rejections(reply(["1", "2", "3"]))
    assert [one.reason for one in found.values()] == ["no majority: 1 of 3 say '1', fewer than 60%"] * 3


def test_a_single_answer_proves_nothing() -> None:
    """One that came alone, because the other choices did not come back."""
    assert rejections(reply(["24"]))[0].reason == "1 answer to compare, fewer than 2"


def test_all_must_agree_if_the_recipe_says_so() -> None:
    """By `share`."""
    assert len(rejections(reply(["24", "24", "18"]), share=1)) == 3


def test_candidates_with_other_inputs_answer_other_tasks() -> None:
    """`same` names the fields that make a task."""
    records = reply(["4", "9", "4", "9"], input=["2", "3", "2", "3"])
    assert sorted(rejections(records, same=["input"])) == [2, 3]


def test_answers_of_several_models_in_one_record() -> None:
    """`label` stages set the fields; the record's own answer must be the majority's."""
    others = {"others": ["second", "third"]}
    assert alone({"output": "Oslo", "second": "oslo.", "third": "Bergen"}, **others) is None
    found = alone({"output": "Bergen", "second": "oslo.", "third": "Oslo"}, **others)
    assert found == Rejection(
        "another answer: 'Bergen'; 2 of 3 say 'oslo.'", {"agreement": 0.667, "answers": 3}
    )


@pytest.mark.parametrize(
    ("one", "two", "language"),
    [
        ("1,000", "1000.0", "en"),
        ("1.000,50", "1000,5", "de"),
        ("four", "4", "en"),
        ("$5", "5", "en"),
        ("Final answer: B", "b", "en"),
        ("**Paris**.", "paris", "en"),
        ("答え：三十日", "30日です。", "ja"),
        ("答案是“正面”。", "正面", "zh"),
    ],
)
def test_the_same_answer_in_another_form(one: str, two: str, language: str) -> None:
    """Numbers, quotation marks, words before the answer."""
    assert key(one, language) == key(two, language)


@pytest.mark.parametrize(
    ("one", "two"),
    [("5", "-5"), ("1.5", "15"), ("7%", "7"), ("1/2", "12"), ("yes", "no"), ("C", "C++"), ("C", "C#")],
)
def test_another_answer_in_nearly_the_same_form(one: str, two: str) -> None:
    """A sign, a point or a slash makes another answer."""
    assert key(one) != key(two)


def test_in_a_run(typed: Typed, project: Path) -> None:
    """A stage answers each task again, and the share is kept with its answer."""
    replies = project / "replies.jsonl"
    recipe = project / "recipes" / "agreed.yaml"
    recipe.parent.mkdir(exist_ok=True)
    recipe.write_text(
        "defaults: [chat, _self_]\n"
        "pipeline:\n  again: {kind: label, of: instances}\n"
        "prompts:\n  again:\n    style: chat\n    template: 'Do the task. {{ instruction }} {{ input }}'\n"
        "    parse: {kind: json, single: true, fields: {second: {key: output}}}\n"
        "filters:\n  again: {agreement: {others: [second]}}\n"
        "schema:\n  again: {properties: {output: {type: string}, second: {type: string}}}\n"
        "export: {alpaca: {columns: [agreement]}}\n"
    )
    rows = [
        {
            "stage": "instructions",
            "reply": json.dumps({"tasks": [{"instruction": "How many legs has a spider?"}]}),
        },
        {"stage": "classification", "reply": '{"is_classification": false}'},
        {"stage": "instances", "reply": json.dumps({"instances": [{"input": "", "output": "Eight"}]})},
        {"stage": "again", "reply": '{"output": "8"}'},
    ]
    replies.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    status, out, err = typed(
        "recipe=agreed", "model=scripted", "model.mode=chat", f"model.options.replies={replies}", "target=1"
    )
    assert status == 0, out + err
    (written,) = lines(project / "runs" / "agreed" / "instances.jsonl")
    assert (written["second"], written["agreement"], written["answers"]) == ("8", 1.0, 2)
    assert lines(project / "runs" / "agreed" / "dataset" / "alpaca.jsonl")[-1]["agreement"] == 1.0
