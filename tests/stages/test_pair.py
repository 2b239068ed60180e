"""The kinds `pair` and `prefer`, and `times`: several answers to a task, a better and a worse one of them.

The recipe `mine` makes tasks, asks for three answers to each, has each scored, and pairs them; a script
answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file
from killing import data
from results import refused, row, summary
from server import Answer, Asked, ModelServer, text

TIMES = 3
# By the number of the task: each answer with its score; "none" is a score off the scale.
Scored = Sequence[tuple[str, Any]]
BETTER: Scored = [("Three words here", 2), ("Two words", 5), ("A fourth answer, 5", 4)]
EQUAL: Scored = [("The same.", 5), ("The same.", 1), ("The same. ", 3)]
CLOSE: Scored = [("One.", 4), ("Two.", 4), ("Three.", 5)]
OFF: Scored = [("One.", 9), ("Two.", "superb"), ("Three.", 5)]
LONGER: Scored = [("A much longer answer", 5), ("Short.", 2), ("Also short.", 2)]
RECIPE = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: preferences
seeds: {path: seeds/mine.jsonl}
model: {mode: chat, options: {replies: replies.jsonl}}
mix: {examples: 1, machine: 0}
target: 4
pipeline:
  tasks: {kind: bootstrap, patience: 3, window: 1}
  answers: {kind: expand, times: 3}
  marks: {kind: label}
  pairs: {kind: pair, by: score, margin: 2, length_bias: null}
prompts:
  tasks: {style: chat, template: "{{ examples[0].instruction }}", parse: {kind: text, field: instruction}}
  answers: {style: chat, template: "{{ instruction }}", parse: {kind: text, field: output}}
  marks:
    style: chat
    template: "{{ output }}"
    parse: {kind: json, single: true, fields: {score: {scale: {lowest: 1, highest: 5}, otherwise: none}}}
schema:
  tasks: {properties: {instruction: {type: string, maxLength: 30}}}
  answers: {properties: {instruction: {type: string}, output: {type: string}, input: {}}}
  marks: {properties: {score: {}}}
  pairs: {}
"""
COMPARED = """
defaults: [mine, _self_]
pipeline:
  pairs: {by: null, margin: null}
  straight: {kind: label, of: pairs}
  swapped: {kind: label, of: pairs}
  preferred: {kind: prefer}
prompts:
  straight: &judge
    style: chat
    template: "{{ first }} or {{ second }}"
    parse: {kind: choice, field: verdict, choices: {first: {}, second: {}, tie: {}}}
  swapped:
    <<: *judge
    template: "{{ second }} or {{ first }}"
    parse: {kind: choice, field: verdict_swapped, choices: {first: {}, second: {}, tie: {}}}
schema: {straight: {}, swapped: {}, preferred: {}}
"""


def script(project: Path, tasks: Sequence[Scored], **others: Sequence[str]) -> None:
    """What the script answers: tasks, their answers and scores, and the replies of other stages by number."""
    rows: list[dict[str, Any]] = []
    marks = 0  # an empty answer is rejected, and nobody is asked about it
    for task, answers in enumerate(tasks):
        rows.append({"stage": "tasks", "number": task + 1, "reply": f"Task {task + 1}"})
        for place, (said, score) in enumerate(answers, 1):
            number = task * TIMES + place
            rows.append({"stage": "answers", "number": number, "reply": said})
            marks += bool(said)
            rows.append(
                {"stage": "marks", "number": marks, "reply": json.dumps({"score": score})} if said else {}
            )
    for stage, replies in others.items():
        rows += [{"stage": stage, "number": number, "reply": said} for number, said in enumerate(replies, 1)]
    (project / "replies.jsonl").write_text(
        "".join(f"{json.dumps(one)}\n" for one in rows if one), encoding="utf-8"
    )


@pytest.fixture
def mine(project: Path) -> Path:
    """A folder with the recipe and its seeds."""
    seed_file(project / "seeds/mine.jsonl")
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(RECIPE, encoding="utf-8")
    (project / "recipes/compared.yaml").write_text(COMPARED, encoding="utf-8")
    return project


def run(typed: Typed, *overrides: str, recipe: str = "mine", run_dir: str = "run", status: int = 0) -> str:
    """Run the recipe; what it says."""
    ended, out, err = typed(f"recipe={recipe}", f"run_dir={run_dir}", *overrides)
    assert ended == status, out + err
    return err


def pairs(run_dir: str = "run") -> dict[str, tuple[str, str]]:
    """The chosen and the rejected answer to each task."""
    return {
        one["instruction"]: (one["chosen"], one["rejected"]) for one in lines(Path(run_dir) / "pairs.jsonl")
    }


def reasons(stage: str = "pairs", run_dir: str = "run") -> dict[str, tuple[str, str]]:
    """The check that rejected the record of each task, and the reason."""
    found = [one for one in lines(Path(run_dir) / "rejected.jsonl") if one["stage"] == stage]
    return {one["record"]["instruction"]: (one["check"], one["reason"]) for one in found}


def test_several_answers_to_a_task(typed: Typed, mine: Path) -> None:
    """Each request is one more about the same record, and each answer is a child of it."""
    script(mine, [BETTER] * 4)
    run(typed)
    found = [(one["parent"], one["request"], one["output"]) for one in lines(mine / "run/answers.jsonl")]
    assert found == [
        (f"tasks-{task:06d}-0", (task - 1) * TIMES + place, said)
        for task in range(1, 5)
        for place, (said, _) in enumerate(BETTER, 1)
    ]
    assert summary(mine / "run")["stages"]["answers"]["requests"] == 12


def test_the_plan_counts_each_answer(typed: Typed, mine: Path) -> None:
    """Requests about answers are those of the run; the pairs are an assumed share of the tasks."""
    script(mine, [BETTER] * 100)
    out = typed("check", "recipe=mine", "target=100")[1]
    assert row(out, "answers")[0] == "300"
    assert row(out, "marks")[0].startswith("300")
    assert "3 requests per record" in out
    assert "pairs two answers to each of tasks whose score is 2 apart" in out


def test_the_best_pair(typed: Typed, mine: Path) -> None:
    """The scores that are the furthest apart, with the ids of both answers, and no field of an answer."""
    script(mine, [BETTER] * 4)
    err = run(typed)
    assert lines(mine / "run/pairs.jsonl")[1] == {
        "id": "pairs-000002-0",
        "instruction": "Task 2",
        "chosen": "Two words",
        "rejected": "Three words here",
        "chosen_score": 5,
        "rejected_score": 2,
        "chosen_id": "answers-000005-0",
        "rejected_id": "answers-000004-0",
        "parent": "tasks-000002-0",
        "request": 2,
    }
    assert "the chosen answer is the longer one in 0 of 4 pairs" in err


def test_each_task_without_a_pair_has_its_reason(typed: Typed, mine: Path) -> None:
    """Equal answers, scores too close, scores off the scale: each by its own check, and in words."""
    script(mine, [BETTER, EQUAL, CLOSE, OFF])
    run(typed)
    assert [*pairs()] == ["Task 1"]
    assert reasons() == {
        "Task 2": ("identical_answers", "its 3 answers are all the same"),
        "Task 3": ("margin", "the scores of its different answers are 1 apart at most, less than 2"),
        "Task 4": ("unscored", "2 of its 3 answers have no number in score, so there are no two to compare"),
    }
    figures = summary(mine / "run")["stages"]["pairs"]
    assert figures["rejected"] == {"identical_answers": 1, "margin": 1, "unscored": 1}


def test_a_task_with_one_answer(typed: Typed, mine: Path) -> None:
    """The others were rejected by checks of answers."""
    script(mine, [BETTER, [("One.", 5), ("", 1), ("", 1)], BETTER, [("", 1)] * 3])
    run(typed)
    assert reasons() == {
        "Task 2": ("one_answer", "it has only one accepted answer, and a pair needs two"),
        "Task 4": ("one_answer", "it has no accepted answer, and a pair needs two"),
    }


def test_no_pair_has_the_same_text_twice(typed: Typed, mine: Path) -> None:
    """However far apart the scores of two equal answers are."""
    script(mine, [[("Same.", 5), ("Same. ", 1), ("Other words.", 3)]] * 4)
    run(typed)
    assert {frozenset(one) for one in pairs().values()} == {frozenset(("Same.", "Other words."))}


def test_equal_scores_with_the_most_similar_lengths(typed: Typed, mine: Path) -> None:
    """Of two pairs that are equally far apart, length tells the least in the one that is taken."""
    script(mine, [[("x" * 40, 5), ("x" * 9, 1), ("x" * 45, 1)]] * 4)
    run(typed)
    assert {(len(chosen), len(worse)) for chosen, worse in pairs().values()} == {(40, 45)}


def test_the_longer_answer_is_chosen_only_so_often(typed: Typed, mine: Path) -> None:
    """Half of the pairs, rounded up: then the best pair with a shorter chosen answer, or none."""
    other: Scored = [("A much longer answer", 5), ("Short.", 4), ("A longer answer", 1)]
    script(mine, [LONGER, LONGER, BETTER, LONGER, LONGER, other])
    run(typed, "pipeline.pairs.length_bias=0.5", "target=6")
    assert pairs() == {
        "Task 1": ("A much longer answer", "Also short."),
        "Task 3": ("Two words", "Three words here"),
        "Task 4": ("A much longer answer", "Also short."),
        "Task 6": ("Short.", "A longer answer"),
    }
    for task in ("Task 2", "Task 5"):
        check, why = reasons()[task]
        assert (check, "the longer one" in why) == ("length_bias", True)
    assert summary(mine / "run")["stages"]["pairs"]["figures"] == {
        "pairs": 4,
        "chosen_characters": 13.8,
        "rejected_characters": 13.2,
        "chosen_longer": 2,
        "chosen_longer_share": 0.5,
    }


@pytest.mark.slow
def test_the_same_bytes_however_it_was_run(typed: Typed, mine: Path) -> None:
    """One at a time or many, grown, or stopped on the way: the same pairs, and nothing is asked twice."""
    script(mine, [LONGER, BETTER, LONGER, CLOSE, LONGER, BETTER, EQUAL, LONGER])
    keys = ("target=8", "pipeline.pairs.length_bias=0.6", "cache=off")
    run(typed, *keys, "model.concurrency=1")
    run(typed, *keys, "model.concurrency=8", "model.options.delay=0.02", run_dir="wide")
    for target in (2, 8):
        run(typed, *keys[1:], f"target={target}", run_dir="grown")
    for requests, status in ((15, 3), (40, 3), (1000, 0)):
        run(typed, *keys, f"budget.requests={requests}", run_dir="cut", status=status)
    assert data(mine / "run") == data(mine / "wide") == data(mine / "grown") == data(mine / "cut")
    assert summary(mine / "cut")["stages"]["answers"]["requests"] == 24
    assert typed("replay", "run", "run_dir=again")[0] == 0
    assert pairs("again") == pairs()


def test_a_replay_with_another_margin(typed: Typed, mine: Path) -> None:
    """It pairs the same answers again; the answers themselves stay as they were."""
    script(mine, [BETTER, CLOSE, BETTER, BETTER])
    run(typed)
    run(typed, "pipeline.pairs.margin=1", run_dir="other")
    assert typed("recipe=mine", "replay=run", "run_dir=again", "pipeline.pairs.margin=1")[0] == 0
    assert pairs("again") == pairs("other")
    assert len(pairs("again")) == 1 + len(pairs("run"))
    status, _, err = typed("recipe=mine", "replay=run", "run_dir=more", "pipeline.answers.times=4")
    assert status == 1
    assert "pipeline.answers.times: 3 → 4" in err


def test_equal_requests_have_replies_of_their_own(
    typed: Typed, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache does not answer the second request about a task with the reply to the first one."""
    monkeypatch.setenv("TINY_KEY", "sk-none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def answer(asked: Asked) -> Answer:
        prompt = asked.body["messages"][-1]["content"]
        kind = "score" if prompt.startswith("Answer") else "Answer" if prompt.startswith("Task") else "Task"
        return text(f'{{"score": {asked.number % 5 + 1}}}' if kind == "score" else f"{kind} {asked.number}")

    with ModelServer(answer) as server:
        model = (
            "model=openai",
            "~model.options.replies",
            "model.name=openai/tiny",
            "model.api_key_env=TINY_KEY",
        )
        keys = (*model, f"model.api_base={server.base}", "target=2", "model.concurrency=1")
        run(typed, *keys)
        asked = len(server.asked)
        run(typed, *keys, run_dir="cached")
        assert len(server.asked) == asked == 2 + 6 + 6
    assert data(mine / "run") == data(mine / "cached")
    assert len({one["output"] for one in lines(mine / "cached/answers.jsonl")}) == 6


TWO_MODELS = """
defaults: [mine, _self_]
model: {mode: chat, name: openai/tiny, api_key_env: null, options: {replies: null}}
pipeline: {answers: {draw: {one: 1, two: 1}}}
prompts:
  answers:
    variants:
      one: {template: "{{ instruction }}"}
      two: {template: "{{ instruction }}", model: {name: openai/other}}
"""


def test_two_models_asked_the_same_share_the_cache_with_a_run_that_was_cut_off(
    typed: Typed, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which reply of the cache a request gets does not depend on an interruption: nothing is paid again."""
    monkeypatch.setenv("TINY_KEY", "sk-none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (mine / "recipes/two.yaml").write_text(TWO_MODELS, encoding="utf-8")

    def answer(asked: Asked) -> Answer:
        prompt = asked.body["messages"][-1]["content"]
        kind = "score" if prompt.startswith("Answer") else "Answer" if prompt.startswith("Task") else "Task"
        return text(f'{{"score": {asked.number % 5 + 1}}}' if kind == "score" else f"{kind} {asked.number}")

    with ModelServer(answer) as server:
        own = ("model.api_key_env=TINY_KEY", f"model.api_base={server.base}")
        keys = ("~model.options", "model.kind=litellm", "model.concurrency=1", *own)
        for requests, status in ((5, 3), (9, 3), (12, 3), (1000, 0)):
            run(typed, *keys, f"budget.requests={requests}", recipe="two", run_dir="cut", status=status)
        assert {one["model"] for one in server.bodies} == {"tiny", "other"}
        asked = len(server.asked)
        run(typed, *keys, recipe="two", run_dir="whole")
        assert len(server.asked) == asked
    assert data(mine / "cut") == data(mine / "whole")


SECOND = (
    "+pipeline.more={kind: expand, of: tasks, before: pairs}",
    "+pipeline.more_marks={kind: label, of: more, before: pairs}",
    "+prompts.more=${prompts.answers}",
    "+prompts.more_marks=${prompts.marks}",
    "+schema.more=${schema.answers}",
    "+schema.more_marks={}",
    "+pipeline.pairs.of=[answers,more]",
)


def test_answers_of_several_stages(typed: Typed, mine: Path) -> None:
    """A pair may have one answer of each; a stage may ask another model."""
    script(mine, [CLOSE] * 4, more=["Worse."] * 4, more_marks=['{"score": 1}'] * 4)
    run(typed, *SECOND)
    assert set(pairs().values()) == {("Three.", "Worse.")}
    assert {one["rejected_id"][:5] for one in lines(mine / "run/pairs.jsonl")} == {"more-"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["pipeline.pairs.by=scroe"], ["pipeline.pairs.by", "unknown field 'scroe'", "'score'"]),
        (["pipeline.pairs.by=''"], ["pipeline.pairs.by", "at least 1 character"]),
        (["pipeline.pairs.by=output"], ["pipeline.pairs.by", "'output' of stage answers has no numbers"]),
        (["+pipeline.pairs.field=ouput"], ["pipeline.pairs.field", "unknown field 'ouput'"]),
        (["+pipeline.pairs.of=tasks"], ["pipeline.pairs.of", "not made from another stage's"]),
        (["+pipeline.pairs.of=[]"], ["pipeline.pairs.of", "names no stage"]),
        (["+pipeline.pairs.of=[answers,marks]"], ["pipeline.pairs.of", "no stage 'marks' makes records"]),
        (["pipeline.pairs.margin=null"], ["by and margin belong together"]),
        (["pipeline.pairs.margin=0"], ["pipeline.pairs.margin", "greater than 0"]),
        (["pipeline.pairs.length_bias=60"], ["pipeline.pairs.length_bias", "less than or equal to 1"]),
        (["pipeline.answers.times=9"], ["pipeline.answers.times", "less than or equal to 8"]),
        (["+pipeline.answers.keep=true"], ["keep and times do not go together"]),
        (
            ["+prompts.answers.sampling={temperature: 0}"],
            ["prompts.answers.sampling.temperature", "the 3 replies about a record would be the same"],
        ),
        (
            [*SECOND[:-1], "pipeline.more.of=answers", SECOND[-1]],
            ["pipeline.pairs.of", "not to the same records: answers of tasks, more of answers"],
        ),
    ],
)
def test_slips(typed: Typed, mine: Path, given: list[str], words: list[str]) -> None:
    """Told by check, with the place."""
    script(mine, [BETTER] * 4)
    refused(typed("check", "recipe=mine", *given), *words)


# Comparisons


def compared(
    typed: Typed, project: Path, straight: Sequence[str], swapped: Sequence[str], *keys: str
) -> None:
    """Run the recipe whose judge compares two answers in both orders."""
    script(project, [BETTER] * len(straight), straight=straight, swapped=swapped)
    run(typed, f"target={len(straight)}", *keys, recipe="compared")


def test_two_different_answers_are_drawn(typed: Typed, mine: Path) -> None:
    """By the seed, in either order; a task with equal answers is rejected."""
    tasks = [BETTER, EQUAL, BETTER, [("Same.", 1), ("Same.", 1), ("Other.", 1)]] * 3
    script(mine, tasks, straight=["first"] * 12, swapped=["second"] * 12)
    run(typed, "target=12", recipe="compared")
    found = lines(mine / "run/pairs.jsonl")
    assert {one["instruction"] for one in found} == {f"Task {n}" for n in (1, 3, 4, 5, 7, 8, 9, 11, 12)}
    assert all(one["first"] != one["second"] and one["first_id"] != one["second_id"] for one in found)
    assert len({(one["first"], one["second"]) for one in found}) > 3
    assert {check for check, _ in reasons().values()} == {"identical_answers"}


def test_both_verdicts_must_agree(typed: Typed, mine: Path) -> None:
    """A verdict that changes with the order, or a tie, chooses nothing."""
    compared(
        typed,
        mine,
        ["first", "second", "first", "tie", "tie"],
        ["second", "first", "first", "tie", "second"],
    )
    found = lines(mine / "run/pairs.jsonl")
    assert [(one["instruction"], one["preferred"]) for one in found] == [
        ("Task 1", "first"),
        ("Task 2", "second"),
    ]
    assert (found[0]["chosen"], found[0]["rejected"]) == (found[0]["first"], found[0]["second"])
    assert (found[1]["chosen"], found[1]["rejected"]) == (found[1]["second"], found[1]["first"])
    assert reasons("preferred") == {
        "Task 3": ("position", "the verdict changed with the order: first, then second"),
        "Task 4": ("tie", "neither answer is better"),
        "Task 5": ("position", "the verdict changed with the order: tie, then first"),
    }
    assert summary(mine / "run")["stages"]["preferred"]["figures"]["pairs"] == 2
    assert len(lines(mine / "run/dataset/preference_trl.jsonl")) == 2


def test_the_shorter_answer_of_a_tie(typed: Typed, mine: Path) -> None:
    """If the recipe wants it."""
    compared(typed, mine, ["tie", "first"], ["tie", "first"], "+pipeline.preferred.ties=shorter")
    found = lines(mine / "run/pairs.jsonl")
    assert len(found) == 2
    assert all(len(one["chosen"]) <= len(one["rejected"]) for one in found)


def test_comparisons_keep_to_the_length_bias(typed: Typed, mine: Path) -> None:
    """No pair with a longer chosen answer is left if none is allowed."""
    verdicts = ["first"] * 8, ["second"] * 8
    compared(typed, mine, *verdicts, "+pipeline.preferred.length_bias=0")
    assert all(len(one["chosen"]) <= len(one["rejected"]) for one in lines(mine / "run/pairs.jsonl"))
    assert {check for check, _ in reasons("preferred").values()} == {"length_bias"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("+pipeline.preferred.verdict=verdcit", "unknown field 'verdcit'"),
        ("+prompts.straight.parse.choices.first.value=A", "'verdict' of stage straight is never first"),
        ("pipeline.pairs.length_bias=0.5", "length_bias needs by"),
    ],
)
def test_slips_in_a_comparison(typed: Typed, mine: Path, given: str, words: str) -> None:
    """Told by check, with the place."""
    script(mine, [BETTER])
    refused(typed("check", "recipe=compared", given), words)
