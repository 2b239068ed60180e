"""The kind `records`, `from_run` of a bootstrap, and `seeds.from_run`: what a finished run gives another one.

The recipe `first` makes tasks and judges them; `second` takes them and answers them. A script answers both.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file
from results import done, refused, requests_of, row, summary

from selfinstruct.journal.checksums import checksum
from selfinstruct.journal.store import Journal

FIRST = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: none
seeds: {path: seeds/mine.jsonl}
model: {mode: chat, options: {replies: replies.jsonl}}
mix: {examples: 1, generated: 0}
target: 6
pipeline:
  tasks: {kind: bootstrap, patience: 3, window: 1, from_run: null}
  marks: {kind: label}
prompts:
  tasks: {style: chat, template: "{{ examples[0].instruction }}", parse: {kind: text, field: instruction}}
  marks:
    style: chat
    template: "{{ instruction }}"
    parse: {kind: json, single: true, fields: {score: {scale: {lowest: 1, highest: 5}}}}
schema:
  tasks: {type: object, properties: {instruction: {type: string}}, additionalProperties: false}
  marks: {type: object, properties: {score: {}}}
"""
SECOND = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: alpaca
seeds: {path: seeds/mine.jsonl}
model: {mode: chat, options: {replies: replies.jsonl}}
pipeline:
  originals: {kind: records, run: runs/first}
  answers: {kind: expand}
prompts:
  answers: {style: chat, template: "{{ instruction }} {{ score }}", parse: {kind: text, field: output}}
filters: {originals: {}}
schema:
  originals:
    type: object
    required: [instruction, score]
    properties: {instruction: {type: string}, score: {}}
    additionalProperties: false
  answers:
    type: object
    required: [instruction, output]
    properties: {instruction: {type: string}, score: {}, output: {type: string}, input: {}}
export: {alpaca: {columns: [source, source_id]}}
"""
SCORES = [5, 3, "none", 4, 2, 5]  # by the number of the task; the third reply is rejected, and so is the task
LEFT = [1, 2, 4, 5, 6]
FROM = "pipeline.originals.run"
NEWER = checksum("meta", ("format", "99"))


@pytest.fixture
def made(typed: Typed, project: Path) -> Path:
    """A folder with both recipes and a finished run of the first."""
    seed_file(project / "seeds/mine.jsonl")
    (project / "recipes").mkdir()
    (project / "recipes/first.yaml").write_text(FIRST, encoding="utf-8")
    (project / "recipes/second.yaml").write_text(SECOND, encoding="utf-8")
    rows: list[dict[str, Any]] = []
    for number, score in enumerate(SCORES, 1):
        rows.append({"stage": "tasks", "number": number, "reply": f"Do thing number {number}."})
        rows.append({"stage": "marks", "number": number, "reply": json.dumps({"score": score})})
    rows.append({"stage": "answers", "reply": "It is done."})
    rows.append({"stage": "again", "reply": "Said otherwise."})
    (project / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done(typed, "recipe=first")
    return project


def texts(run: Path, stage: str = "originals") -> list[str]:
    """The instructions of a stage, in order."""
    return [row["instruction"] for row in lines(run / f"{stage}.jsonl")]


def tasks(*numbers: int) -> list[str]:
    """The tasks with these numbers."""
    return [f"Do thing number {number}." for number in numbers]


# The kind `records`


def test_a_run_answers_what_another_one_made(typed: Typed, made: Path) -> None:
    """Accepted records with their labels, in their order; each says where it is from, in all later places."""
    out = done(typed, "check", "recipe=second")
    assert "takes all 5 records of tasks in runs/first, without a model" in out
    assert row(out, "answers")[0] == "5"
    done(typed, "recipe=second")
    assert texts(made / "runs/second") == tasks(*LEFT), "a task whose label was rejected is left out"
    first = lines(made / "runs/second/originals.jsonl")[0]
    assert (first["score"], first["source"], first["source_id"]) == (5, "first", "tasks-000001-0")
    rows = lines(made / "runs/second/dataset/alpaca.jsonl")
    assert [row["source_id"] for row in rows] == [f"tasks-{number:06d}-0" for number in LEFT]
    assert {row["source"] for row in rows} == {"first"}
    story = done(typed, "show", "runs/second", "answers-000001-0")
    assert "originals-000001-0" in story
    assert "tasks-000001-0" in done(typed, "show", "runs/second", "originals-000001-0")
    with closing(sqlite3.connect(made / "runs/second/run.sqlite")) as journal:
        asked = journal.execute("SELECT DISTINCT stage FROM request").fetchall()
    assert asked == [("answers",)], "nothing is asked again that the first run has"


def test_which_records_and_fields(typed: Typed, made: Path) -> None:
    """Conditions, other names, and an id as a field; `target` takes the first ones, or drawn ones."""
    where, named = (
        "+pipeline.originals.where.score={at_least: 4}",
        "+pipeline.originals.columns={instruction: instruction, score: score}",
    )
    done(typed, "recipe=second", "run_dir=a", where, named)
    assert texts(made / "a") == tasks(1, 4, 6)
    out = done(typed, "recipe=second", "run_dir=b", "target=2")
    assert "3 of 5 records are left; a larger target takes more" in out
    assert texts(made / "b") == tasks(1, 2)
    done(typed, "recipe=second", "run_dir=b", "target=4")
    assert texts(made / "b") == tasks(1, 2, 4, 5), "a larger target keeps the first ones"
    done(typed, "recipe=second", "run_dir=c", "+pipeline.originals.shuffle=true")
    assert sorted(texts(made / "c")) == tasks(*LEFT)
    assert texts(made / "c") != tasks(*LEFT)
    open_schema = "+schema.originals.properties.was={type: string}"
    done(typed, "recipe=second", "run_dir=d", "+pipeline.originals.id_field=was", open_schema)
    assert lines(made / "d/answers.jsonl")[0]["was"] == "tasks-000001-0"


def test_the_same_bytes_after_a_stop(typed: Typed, made: Path) -> None:
    """A budget stops it, and the rest goes on from there, with one record for each."""
    done(typed, "recipe=second", "run_dir=whole")
    assert typed("recipe=second", "budget.requests=2")[0] == 3
    done(typed, "recipe=second")
    for name in ("originals.jsonl", "answers.jsonl", "dataset/alpaca.jsonl"):
        assert (made / "runs/second" / name).read_bytes() == (made / "whole" / name).read_bytes()
    assert summary(made / "runs/second")["stages"]["answers"]["replies"] == 5


def test_the_run_may_move_but_not_change(typed: Typed, made: Path) -> None:
    """Its records are pinned by a digest; with other records the second run is refused, and says why."""
    done(typed, "recipe=second")
    shutil.move(made / "runs/first", made / "elsewhere")
    refused(typed("recipe=second"), f"{FROM}: there is no folder runs/first", f"{FROM}=runs/chat")
    done(typed, "recipe=second", f"{FROM}=elsewhere")
    done(typed, "recipe=first", "run_dir=elsewhere", "fresh=true", "target=5")
    refused(typed("recipe=second", f"{FROM}=elsewhere"), "pipeline.originals (contents)", "fresh=true")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (f"{FROM}=runs/none", ["there is no folder runs/none", "name the folder of a finished run"]),
        (f"{FROM}=first", ["there is no folder first", f"did you mean {FROM}=runs/first?"]),
        (f"{FROM}=seeds", ["seeds holds no run (run.sqlite is missing)"]),
        (f"{FROM}=null", ["pipeline.originals", "needs run=RUN", "or path=FILE"]),
        (
            "+pipeline.originals.stage=task",
            ["originals.stage: unknown stage 'task'", "did you mean 'tasks'?"],
        ),
        ("+pipeline.originals.where.scor=5", ["originals.where.scor: unknown field 'scor'", "'score'"]),
        (
            "+pipeline.originals.where.score=1",
            ["originals.where.score: 'score' is never 1", "there are: 5, 3"],
        ),
        ("+pipeline.answers.where.score=1", ["answers.where.score: 'score' is never 1", "there are: 5, 3"]),
        ("+pipeline.originals.columns={instruction: task}", ["columns.instruction: unknown field 'task'"]),
        ("~schema.originals.properties.score", ["pipeline.originals: unknown field 'score'"]),
        ("prompts.answers.template='{{ topic }}'", ["prompts.answers.template", "topic"]),
    ],
)
def test_faults_before_anything_is_asked(typed: Typed, made: Path, override: str, words: list[str]) -> None:
    """Each has its place and a remedy, from `check` as from a run."""
    for verb in ("check", "run"):
        result = typed(verb, "recipe=second", override)
        assert any(word in result[2] for word in words), result[2]
        refused(result, words[0])
    assert not (made / "runs/second").exists()


def test_an_unfinished_run_is_a_fault_until_allowed(typed: Typed, made: Path) -> None:
    """The remedy names the key that takes what there is."""
    status, _, _ = typed("recipe=first", "run_dir=half", "budget.requests=8", "cache=off")
    assert status == 3
    result = typed("check", "recipe=second", f"{FROM}=half")
    refused(result, f"{FROM}: the run in", "is not finished", "pipeline.originals.unfinished=true")
    allowed = "+pipeline.originals.unfinished=true"
    out = done(
        typed,
        "check",
        "recipe=second",
        f"{FROM}=half",
        allowed,
        "prompts.answers.template='{{ instruction }}'",
        "schema.originals.required=[instruction]",
    )
    assert "records of tasks in half" in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "UPDATE record SET data = '{}' WHERE id = 'tasks-000002-0'",
            ["run.sqlite is damaged", "repair=true"],
        ),
        (f"UPDATE meta SET value = '99', sum = {NEWER} WHERE key = 'format'", ["is a journal of format 99"]),
        ("DELETE FROM record WHERE id = 'tasks-000002-0'", ["records of tasks: 1 missing", "repair=true"]),
    ],
)
def test_a_journal_that_cannot_be_used(typed: Typed, made: Path, change: str, words: list[str]) -> None:
    """A changed row, a newer format and a missing row are faults of the key that names the run."""
    with closing(sqlite3.connect(made / "runs/first/run.sqlite")) as db:
        db.execute(change)
        db.commit()
    refused(typed("check", "recipe=second"), f"{FROM}: ", *words)


def test_a_run_of_an_earlier_version(typed: Typed, made: Path) -> None:
    """It did not keep the outline of its stages; the message says how to bring it up to date."""
    with closing(Journal(made / "runs/first/run.sqlite")) as journal:
        journal.set_meta("outline", None)
    words = ("of an earlier version", "run its own command once more")
    refused(typed("check", "recipe=second"), f"{FROM}: ", *words)


def test_a_file_that_is_not_a_journal(typed: Typed, made: Path) -> None:
    """It is called damaged, with its path."""
    (made / "broken").mkdir()
    (made / "broken/run.sqlite").write_bytes(b"not SQLite at all" * 99)
    refused(typed("check", "recipe=second", f"{FROM}=broken"), f"{FROM}: ", "broken/run.sqlite")


def test_a_dataset_file_as_the_source(typed: Typed, made: Path) -> None:
    """Its columns become fields, and the row's id, or its number, is kept."""
    rows = [{"question": "Why?", "rank": 1, "id": "a"}, {"question": "How?", "rank": 2}]
    (made / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    file = (f"{FROM}=null", "+pipeline.originals.path=data.jsonl")
    names = "+pipeline.originals.columns={instruction: question, score: rank}"
    done(typed, "recipe=second", *file, names)
    found = lines(made / "runs/second/originals.jsonl")
    assert [(row["instruction"], row["source"], row["source_id"]) for row in found] == [
        ("Why?", "data.jsonl", "a"),
        ("How?", "data.jsonl", "row 2"),
    ]
    refused(
        typed("check", "recipe=second", *file, names, "+pipeline.originals.where.rnk=1"),
        "unknown field 'rnk'",
    )
    gone = typed("check", "recipe=second", f"{FROM}=null", "+pipeline.originals.path=gone.jsonl")
    refused(gone, "pipeline.originals.path", "gone.jsonl")


# `from_run` of a bootstrap


def test_a_bootstrap_takes_its_records_from_a_run(typed: Typed, made: Path) -> None:
    """One override in any recipe: the prompt is not used, and the later stages ask as ever."""
    again = (
        "+pipeline.again={kind: expand}",
        "+prompts.again={style: chat, template: '{{ instruction }}', parse: {kind: text, field: output}}",
        "+schema.again={properties: {instruction: {}, score: {}, output: {}}}",
    )
    mine = ("recipe=first", "run_dir=second", "pipeline.tasks.from_run=runs/first", *again)
    out = done(typed, "check", *mine)
    assert "takes all 5 records of tasks in runs/first, without a model" in out
    done(typed, *mine)
    assert texts(made / "second", "tasks") == tasks(1, 2, 5, 6), "the third one's new mark cannot be read"
    with closing(sqlite3.connect(made / "second/run.sqlite")) as journal:
        asked = {stage for (stage,) in journal.execute("SELECT DISTINCT stage FROM request")}
    assert asked == {"marks", "again"}
    wrong = typed("check", "recipe=first", "run_dir=third", "pipeline.tasks.from_run=runs/none")
    refused(wrong, "pipeline.tasks.from_run: there is no folder runs/none")


def test_a_run_without_such_a_stage(typed: Typed, made: Path) -> None:
    """The stages that it has are named."""
    (made / "recipes/third.yaml").write_text(FIRST.replace("tasks", "ideas"), encoding="utf-8")
    result = typed("check", "recipe=third", "pipeline.ideas.from_run=runs/first")
    refused(result, "pipeline.ideas.from_run: unknown stage 'ideas'", "tasks")


# `seeds.from_run`


def test_the_records_of_a_run_as_seeds(typed: Typed, made: Path) -> None:
    """Those that fit, in prompts and in the plan; ids tell them from records of the run itself."""
    take = ("seeds.from_run=runs/first", "seeds.where={score: {at_least: 4}}")
    out = done(typed, "check", "recipe=first", "run_dir=second", *take)
    assert f"3 of 5 tasks from {made / 'runs/first'}, records of tasks" in out
    done(typed, "recipe=first", "run_dir=second", *take)
    asked = requests_of(made / "second", "tasks")
    assert {one.prompt for one in asked.values()} <= set(tasks(1, 4, 6))
    assert asked[1].examples[0].startswith("first/tasks-")
    story = done(typed, "show", "second", "tasks-000001-0")
    assert "first/tasks-" in story


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["seeds.from_run=runs/none"], "seeds.from_run: there is no folder runs/none"),
        (["seeds.from_run=runs/first", "seeds.from_stage=marks"], "seeds.from_stage: unknown stage 'marks'"),
        (["seeds.from_run=runs/first", "seeds.where={score: 1}"], "the values of 'score' are: 5, 3"),
        (
            ["seeds.from_run=runs/first", "mix.examples=8"],
            "take a larger run than runs/first, loosen seeds.wh",
        ),
    ],
)
def test_faults_of_seeds_from_a_run(typed: Typed, made: Path, overrides: list[str], words: str) -> None:
    """With the key and what there is."""
    refused(typed("check", "recipe=first", "run_dir=second", *overrides), words)
