"""The kind `sample`: so many records of a stage, or a share of them, at random or the best by a field.

The recipe `mine` makes tasks, answers each, has each answer scored, and draws from these; a script answers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file
from killing import data
from results import refused, row, summary

from selfinstruct.describe.recipe_schema import recipe_schema
from selfinstruct.describe.reference import page

SCORES = [3, 5, 1, 4, 5, "none", 2, 5, 4, 3, 1, 2, 5, 4, 3, 5, 1, 2, 4, 5]  # by the number of the task
RECIPE = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: alpaca
seeds: {path: seeds/mine.jsonl}
model: {mode: chat, options: {replies: replies.jsonl}}
mix: {examples: 1, machine: 0}
target: 10
pipeline:
  tasks: {kind: bootstrap, patience: 3, window: 1}
  answers: {kind: expand}
  marks: {kind: label}
  drawn: {kind: sample, best: score, count: 4}
prompts:
  tasks: {style: chat, template: "{{ examples[0].instruction }}", parse: {kind: text, field: instruction}}
  answers: {style: chat, template: "{{ instruction }}", parse: {kind: text, field: output}}
  marks:
    style: chat
    template: "{{ output }}"
    parse: {kind: json, single: true, fields: {score: {scale: {lowest: 1, highest: 5}, otherwise: none}}}
schema:
  tasks: {properties: {instruction: {type: string, maxLength: 30}}}
  answers:
    properties: {instruction: {type: string}, output: {type: string}, input: {}}
    additionalProperties: false
  marks: {properties: {score: {}}}
"""
ASKS_LATER = (
    "+pipeline.again={kind: expand}",
    "+prompts.again={style: chat, template: '{{ output }}', parse: {kind: text, field: comment}}",
    "+schema.again={properties: {comment: {type: string}, output: {}, instruction: {}, input: {}}}",
)
RANDOM = ("pipeline.drawn.best=null",)
SHARE = (*RANDOM, "pipeline.drawn.count=null", "+pipeline.drawn.share=0.3")


@pytest.fixture
def mine(project: Path) -> Path:
    """A folder with the recipe, its seeds and what the script answers."""
    seed_file(project / "seeds/mine.jsonl")
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(RECIPE, encoding="utf-8")
    rows: list[dict[str, Any]] = [{"stage": "again", "reply": "Well said."}]
    for number, score in enumerate(SCORES, 1):
        rows += [
            {"stage": "tasks", "number": number, "reply": f"Task {number}"},
            {"stage": "answers", "number": number, "reply": f"Answer {number}"},
            {"stage": "marks", "number": number, "reply": json.dumps({"score": score})},
        ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (project / "replies.jsonl").write_text(text, encoding="utf-8")
    return project


def run(typed: Typed, *overrides: str, run_dir: str = "run") -> str:
    """Run the recipe to its end; what it says."""
    status, out, err = typed("recipe=mine", f"run_dir={run_dir}", *overrides)
    assert status == 0, out + err
    return err


def drawn(run_dir: str = "run") -> list[int]:
    """The numbers of the tasks that were drawn."""
    return [int(record["output"].split()[1]) for record in lines(Path(run_dir) / "drawn.jsonl")]


def test_the_best(typed: Typed, mine: Path) -> None:
    """By score, equal ones drawn by the seed; they have all that their parents have, and are exported."""
    err = run(typed)
    assert "1 of 10 answers have no number in 'score' and came last" in err
    assert set(drawn()) in ({2, 5, 8, 4}, {2, 5, 8, 9})
    first = lines(mine / "run/drawn.jsonl")[0]
    assert first == {
        "id": "drawn-000002-0",
        "instruction": "Task 2",
        "output": "Answer 2",
        "score": 5,
        "parent": "answers-000002-0",
        "request": 2,
    }
    assert len(lines(mine / "run/answers.jsonl")) == 10
    assert [one["output"] for one in lines(mine / "run/dataset/alpaca.jsonl")] == [
        f"Answer {number}" for number in drawn()
    ]


def test_a_number_beyond_all_floats(typed: Typed, mine: Path) -> None:
    """It is a number like any other: the highest. Task 6 has no score of the scale, and gets this one."""
    run(typed, f"prompts.marks.parse.fields.score.otherwise={10**399}", "pipeline.drawn.count=1")
    assert drawn() == [6]


def test_each_that_stays_behind_is_explained(typed: Typed, mine: Path) -> None:
    """In rejected.jsonl and the summary, by its check; nothing is said to be wrong with the run."""
    err = run(typed)
    stayed = [one for one in lines(mine / "run/rejected.jsonl") if one["stage"] == "drawn"]
    assert {one["check"] for one in stayed} == {"not_drawn"}
    reasons = {one["parent"]: one["reason"] for one in stayed}
    assert reasons["answers-000003-0"] == ("not among the 4 drawn of 10, the best by score, which is 1 here")
    assert reasons["answers-000006-0"].endswith('which is "none" here')
    figures = summary(mine / "run")
    assert figures["stages"]["drawn"]["rejected"] == {"not_drawn": 6}
    assert (figures["stages"]["drawn"]["left"], figures["stages"]["drawn"]["requests"]) == (4, 0)
    assert figures["state"] == "finished"
    assert "What may help" not in err


def test_at_random(typed: Typed, mine: Path) -> None:
    """So many of them, others by another seed."""
    run(typed, *RANDOM)
    run(typed, *RANDOM, "seed=1", run_dir="other")
    assert len(drawn()) == len(drawn("other")) == 4
    assert drawn() != drawn("other")
    reasons = {one["reason"] for one in lines(mine / "run/rejected.jsonl") if one["stage"] == "drawn"}
    assert reasons == {"not among the 4 drawn of 10 by the recipe's seed"}


@pytest.mark.parametrize(("share", "count"), [("0.3", 6), ("0.5", 10), ("0.9", 18), ("1", 20)])
def test_a_share(typed: Typed, mine: Path, share: str, count: int) -> None:
    """Exactly so many of many, spread over all of them."""
    run(typed, *SHARE[:-1], f"+pipeline.drawn.share={share}", "target=20")
    assert len(drawn()) == count
    assert len([number for number in drawn() if number <= 10]) in (count // 2, count // 2 + count % 2)


def test_the_best_share(typed: Typed, mine: Path) -> None:
    """A fifth of ten by score is two with the highest."""
    run(typed, "pipeline.drawn.count=null", "+pipeline.drawn.share=0.2")
    assert [SCORES[number - 1] for number in drawn()] == [5, 5]


def test_more_than_there_are(typed: Typed, mine: Path) -> None:
    """All of them, and a word about it."""
    assert "count=50 asks for more than the 10 of 10 answers" in run(typed, "pipeline.drawn.count=50")
    assert drawn() == list(range(1, 11))


def test_filters_of_its_own(typed: Typed, mine: Path) -> None:
    """It goes on to the next best where a check rejects one, until so many have passed."""
    run(typed, "+filters.drawn.odd={kind: matches, field: output, pattern: '[258]$'}")
    assert set(drawn()) == {1, 4, 9, 10}
    checks = summary(mine / "run")["stages"]["drawn"]["rejected"]
    assert checks == {"odd": 3, "not_drawn": 3}


# check


def test_the_plan(typed: Typed, mine: Path) -> None:
    """It says what is passed on, has no requests for it, and counts those of a stage after it."""
    status, out, err = typed("check", "recipe=mine", *ASKS_LATER)
    assert status == 0, err
    assert (
        "drawn (sample best=score count=4): passes on the best 4 of answers by score, without a model" in out
    )
    assert row(out, "again")[0] == "4"
    assert "    drawn  " not in out
    status, out, _ = typed("check", "recipe=mine", *SHARE, *ASKS_LATER)
    assert "passes on 0.3 of answers, drawn by the seed, without a model" in out
    assert row(out, "again")[0].startswith("3 (")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["pipeline.drawn.count=null"], ["pipeline.drawn: give count or share, and not both"]),
        (["+pipeline.drawn.share=0.5"], ["pipeline.drawn: give count or share, and not both"]),
        (
            ["pipeline.drawn.best=scores"],
            ["drawn.best: unknown field 'scores'", "did you mean 'score'"],
        ),
        (["pipeline.drawn.best=output"], ["drawn.best: 'output' of stage answers has no numbers"]),
        (
            ["+pipeline.marks.where={output: Answer 1}"],
            ["drawn.best: 'score' is set by stage marks only in the records that its 'where' picks"],
        ),
        (["+pipeline.drawn.model=openai"], ["pipeline.drawn.model: stage drawn asks no model"]),
        (["+pipeline.drawn.of=marks"], ["no stage 'marks' makes records before this one"]),
        (["+schema.drawn={required: [title]}"], ["requires 'title', but neither stage drawn nor"]),
        (["export.alpaca.instruction=title"], ["unknown"]),
    ],
)
def test_faults(typed: Typed, mine: Path, overrides: list[str], words: list[str]) -> None:
    """They are found before anything is asked."""
    refused(typed("check", "recipe=mine", *overrides), *words)


# Going on


def same(one: str, other: str) -> None:
    """Two runs have the same records and exports."""
    assert data(Path(one)) == data(Path(other))


def test_a_second_start(typed: Typed, mine: Path) -> None:
    """It finds everything there, and changes no byte."""
    run(typed)
    before = data(mine / "run")
    run(typed)
    assert data(mine / "run") == before


@pytest.mark.parametrize("overrides", [(), RANDOM, ("pipeline.drawn.count=9",)])
def test_a_larger_target(typed: Typed, mine: Path, overrides: tuple[str, ...]) -> None:
    """The choice is made anew: the same bytes as of a run straight to that target."""
    run(typed, *overrides)
    few = drawn()
    run(typed, *overrides, "target=20")
    run(typed, *overrides, "target=20", run_dir="straight")
    assert drawn() != few
    same("run", "straight")


def test_a_share_grows_with_stages_after_it(typed: Typed, mine: Path) -> None:
    """What was drawn stays drawn, so that what was asked about it is not asked again."""
    run(typed, *SHARE, *ASKS_LATER)
    few = drawn()
    run(typed, *SHARE, *ASKS_LATER, "target=20")
    run(typed, *SHARE, *ASKS_LATER, "target=20", run_dir="straight")
    assert drawn()[: len(few)] == few
    same("run", "straight")
    assert summary(mine / "run")["stages"]["again"]["requests"] == len(drawn()) == 6


def test_another_choice_is_refused(typed: Typed, mine: Path) -> None:
    """Before anything is asked, where a stage has asked about the old choice; fresh=true does it."""
    run(typed, *ASKS_LATER)
    before = data(mine / "run")
    words = "target: 10 → 20 (drawn would choose other records than again asked about)"
    for verb in ((), ("check",)):
        refused(typed(*verb, "recipe=mine", "run_dir=run", *ASKS_LATER, "target=20"), words, "fresh=true")
    assert data(mine / "run") == before
    run(typed, *ASKS_LATER, "target=20", "fresh=true")
    assert data(mine / "run.before-1") == before


def test_another_choice_by_a_larger_patience(typed: Typed, mine: Path) -> None:
    """The run ends before the choice is changed, and all that was paid for stays."""
    text = (mine / "replies.jsonl").read_text(encoding="utf-8")
    for number in (5, 6, 7):
        text = text.replace(f'"Task {number}"', f'"{number} is far longer than such a task may be"')
    (mine / "replies.jsonl").write_text(text, encoding="utf-8")
    status, _, err = typed("recipe=mine", "run_dir=run", *ASKS_LATER, "pipeline.drawn.count=2")
    assert (status, "To try longer" in err) == (4, True)
    chosen = drawn()
    more = ("pipeline.tasks.patience=9", "pipeline.drawn.count=2")
    result = typed("recipe=mine", "run_dir=run", *ASKS_LATER, *more)
    refused(result, "drawn: a different choice would be made", "again asked about those chosen before")
    assert drawn() == chosen


# The rest of the product


def test_replay(typed: Typed, mine: Path) -> None:
    """The same bytes with nothing changed; a check before it may change what it draws from."""
    run(typed, *ASKS_LATER)
    assert typed("replay", "run", "run_dir=calm")[0] == 0
    same("run", "calm")
    fives = "+filters.marks.fives={kind: has_value, field: score, values: [5]}"
    assert typed("replay", "run", "run_dir=other", fives)[0] == 0
    assert set(drawn("other")) >= {4, 9}
    assert not set(drawn("other")) & {2, 5, 8}


def test_a_sweep(typed: Typed, mine: Path) -> None:
    """Over the share: how the jobs compare; what was not drawn is no reason for a job's rejections."""
    status, out, err = typed(
        "-m", "recipe=mine", "sweep_dir=sweep", *SHARE[:-1], "+pipeline.drawn.share=0.2,0.5"
    )
    assert status == 0, out + err
    assert [len(drawn(f"sweep/{job}")) for job in (0, 1)] == [2, 5]
    assert "not_drawn" not in out


def test_reference_and_schema() -> None:
    """Both have the kind with its options, from the factory alone."""
    assert "Passes on a share or a number of the records of a stage" in page()
    entry = recipe_schema()["definitions"]["Stage.sample"]
    assert {"of", "count", "share", "best"} <= entry["properties"].keys()
