"""What a label stage rejects later takes with it what was made of it before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file
from results import summary

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
target: 4
pipeline:
  tasks: {kind: bootstrap}
  answers: {kind: expand}
  comments: {kind: expand}
  some: {kind: sample, share: 1}
  marks: {kind: label, of: tasks}
prompts:
  tasks: {style: chat, template: "{{ examples[0].instruction }}", parse: {kind: text, field: instruction}}
  answers: {style: chat, template: "{{ instruction }}", parse: {kind: text, field: output}}
  comments: {style: chat, template: "{{ output }}", parse: {kind: text, field: comment}}
  marks:
    style: chat
    template: "{{ instruction }}"
    parse: {kind: choice, field: good, choices: {"yes": {}, "no": {}}}
filters:
  marks: {bad: {kind: has_value, field: good, values: ["no"]}}
schema:
  tasks: {properties: {instruction: {type: string}}}
  answers: {properties: {instruction: {type: string}, output: {type: string}}}
  comments: {properties: {instruction: {type: string}, output: {type: string}, comment: {}, input: {}}}
  marks: {properties: {good: {}}}
"""
FAMILY = ("tasks", "answers", "comments", "some")


@pytest.fixture
def mine(project: Path) -> Path:
    """A folder with the recipe; the label of the second task rejects it, and that of the fourth is unread."""
    seed_file(project / "seeds/mine.jsonl")
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(RECIPE, encoding="utf-8")
    rows: list[dict[str, Any]] = [{"stage": "comments", "reply": "Well said."}]
    for number, verdict in enumerate(["yes", "no", "yes", "perhaps", "yes", "no", *["yes"] * 9], 1):
        rows.append({"stage": "tasks", "number": number, "reply": f"Task {number}"})
        rows.append({"stage": "answers", "number": number, "reply": f"Answer {number}"})
        rows.append({"stage": "marks", "number": number, "reply": verdict})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (project / "replies.jsonl").write_text(text, encoding="utf-8")
    return project


def made(run: Path, name: str) -> list[str]:
    """The numbers of the tasks from which the records of a file come."""
    return [str(record["instruction"])[-1] for record in lines(run / name)]


@pytest.mark.parametrize(
    "more", [(), ("+pipeline.marks.where={instruction: [Task 1, Task 2, Task 3, Task 4]}",)]
)
def test_a_label_after_the_children(typed: Typed, mine: Path, more: tuple[str, ...]) -> None:
    """The record, its children and theirs are gone from the dataset; the others have the label."""
    status, out, err = typed("recipe=mine", "run_dir=run", *more)
    assert status == 0, out + err
    for name in (*FAMILY, "dataset/alpaca"):
        assert made(mine / "run", f"{name}.jsonl") == ["1", "3"]
    assert {record["good"] for name in FAMILY for record in lines(mine / f"run/{name}.jsonl")} == {"yes"}
    figures = summary(mine / "run")["stages"]
    assert [(figures[name]["accepted"], figures[name]["left"]) for name in FAMILY] == [(4, 2)] * 4
    gone = {row["parent"]: row["check"] for row in lines(mine / "run/rejected.jsonl")}
    assert gone == {"tasks-000002-0": "bad", "tasks-000004-0": "undecided"}


def test_a_label_of_the_children(typed: Typed, mine: Path) -> None:
    """It takes away what was made of them, and leaves what they were made of."""
    status, out, err = typed("recipe=mine", "run_dir=run", "pipeline.marks.of=answers")
    assert status == 0, out + err
    assert [made(mine / "run", f"{name}.jsonl") for name in FAMILY] == [list("1234"), *[["1", "3"]] * 3]


def test_a_run_that_grows(typed: Typed, mine: Path) -> None:
    """What was made of the rejected stays out, and the bytes are those of a run straight to that target."""
    for target, run in ((4, "run"), (6, "run"), (6, "straight")):
        status, out, err = typed("recipe=mine", f"run_dir={run}", f"target={target}")
        assert status == 0, out + err
    for name in (*FAMILY, "rejected", "dataset/alpaca"):
        grown, straight = (mine / f"{run}/{name}.jsonl" for run in ("run", "straight"))
        assert grown.read_bytes() == straight.read_bytes()
    assert made(mine / "run", "comments.jsonl") == ["1", "3", "5"]
