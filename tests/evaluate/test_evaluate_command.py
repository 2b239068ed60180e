"""`selfinstruct evaluate`: models from a script answer tasks, and what becomes of it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import children
import pytest
from conftest import Typed, lines
from results import refused, summary
from server import ModelServer, text

MODEL = """\
# Answers from a script.
kind: scripted
name: NAME
mode: chat
api_base: null
api_key_env: null
concurrency: 4
timeout: 10
retries: 0
sampling: {}
options:
  rules:
    all: {match: '(?s)Say (.*?)\\.', reply: "REPLY"}
"""
MODELS = {"good": "{{ match[0] }} is the answer", "poor": "no idea at all", "half": "{{ match[0] }} perhaps"}
EVAL = ("eval=general_en", "eval.path=tasks.jsonl", "eval.resamples=200")


def rows(count: int) -> list[dict[str, Any]]:
    """Tasks, each with an instruction of its own."""
    return [
        {
            "id": f"t{place}",
            "instruction": f"Say {place} in words number {place * 7}.",
            "references": [f"{place} in words number {place * 7} is the answer", "another"],
            "category": ("first", "second")[place % 2],
        }
        for place in range(count)
    ]


def write(path: Path, found: list[dict[str, Any]]) -> None:
    """Write a JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")


@pytest.fixture
def folder(project: Path) -> Path:
    """A user's folder with twelve tasks and three models."""
    (project / "conf/model").mkdir(parents=True)
    for name, reply in MODELS.items():
        content = MODEL.replace("NAME", name).replace("REPLY", reply)
        (project / f"conf/model/{name}.yaml").write_text(content, encoding="utf-8")
    write(project / "tasks.jsonl", rows(12))
    return project


def result(folder: Path, name: str = "evaluations/general_en") -> dict[str, Any]:
    """What evaluation.json has."""
    return dict(json.loads((folder / name / "evaluation.json").read_text(encoding="utf-8")))


def test_models_side_by_side(typed: Typed, folder: Path) -> None:
    """Each has a run; the scores, the difference and its interval are printed and written."""
    status, out, err = typed("evaluate", "model=good,poor", *EVAL)
    assert status == 0, err
    made = result(folder)
    assert (made["tasks"], list(made["models"]), made["failed"]) == (12, ["good", "poor"], {})
    assert made["models"]["good"]["scores"]["rouge_l"]["mean"] == 100
    assert made["models"]["good"]["run"] == "good"
    one = made["differences"][0]
    assert (one["before"], one["after"], one["shown"]) == ("good", "poor", True)
    assert f"poor - good  {one['mean']:.1f} (" in out and "  shown  " in out
    assert "evaluation: evaluations/general_en/evaluation.json" in out
    refused(typed("evaluate", "evaluations"), "has no evaluation", "did you mean", "evaluations/general_en?")
    assert [row["answer"] for row in lines(folder / "evaluations/general_en/poor/answers.jsonl")] == [
        "no idea at all"
    ] * 12
    assert "poor, model 2 of 2" in err

    status, out, _ = typed("evaluate", "model=good,poor", *EVAL, "eval.metrics=[chrf]", "cache=off")
    assert (status, result(folder)["metrics"]) == (0, ["chrf"])
    assert "chrF, 0 to 100" in out
    asked = summary(folder / "evaluations/general_en/poor")["stages"]["answers"]
    assert asked["requests"] == 12  # the same answers were scored again

    replayed = typed("replay", "evaluations/general_en/good", "run_dir=again")
    assert replayed[0] == 0, replayed[2]
    assert lines(folder / "again/answers.jsonl") == lines(
        folder / "evaluations/general_en/good/answers.jsonl"
    )


def test_files_of_others_are_not_replaced(typed: Typed, folder: Path) -> None:
    """Neither those of the user, nor those of a run; a folder with other settings names the remedy."""
    (folder / "answers.jsonl").write_text("mine")
    refused(typed("evaluate", "model=good", *EVAL, "to=."), "would be replaced: answers.jsonl", "to=DIR")
    assert (folder / "answers.jsonl").read_text() == "mine" and not (folder / "good").exists()
    assert typed("evaluate", "model=good", *EVAL, "to=ev")[0] == 0
    before = (folder / "ev/good/answers.jsonl").read_text()
    refused(typed("evaluate", "model=poor", *EVAL, "to=ev/good"), "is the folder of a run", "to=DIR")
    assert (folder / "ev/good/answers.jsonl").read_text() == before
    other = typed("evaluate", "model=good", *EVAL, "to=ev", "eval.max_tokens=7")
    refused(other, "Choose another folder: to=DIR")


def test_half_a_character_in_the_tasks(typed: Typed, folder: Path) -> None:
    """An unpaired surrogate becomes U+FFFD, in what is asked and in the references."""
    found = [{**row, "instruction": f"{row['instruction']} \ud800"} for row in rows(2)]
    write(folder / "tasks.jsonl", [{**row, "references": ["\udfff", "a"]} for row in found])
    status, _, err = typed("evaluate", "model=good", *EVAL)
    assert status == 0, err
    row = lines(folder / "evaluations/general_en/answers.jsonl")[0]
    assert (row["instruction"][-1], row["references"]) == ("\ufffd", ["\ufffd", "a"])


def test_names_with_commas_and_brackets(typed: Typed, folder: Path) -> None:
    """A comma in quotes belongs to a name, and a bracket at one end too."""
    for name in ("a,b.jsonl", "[c]"):
        write(folder / name, [{"id": f"t{place}", "prediction": "x"} for place in range(12)])
    for value in ("'a,b.jsonl',[c]", '["a,b.jsonl", [c]]'):
        status, _, err = typed("evaluate", f"predictions={value}", *EVAL)
        assert (status, list(result(folder)["models"])) == (0, ["a-b", "c"]), err
    refused(typed("evaluate", "model='x,y/z',good", *EVAL), "there is no file", "x,y/z/model.gguf")
    judge = 'eval.judge.model="x,y/z"'
    refused(typed("evaluate", "model=good", *EVAL, judge), "there is no file", "x,y/z/model.gguf")
    sweep = ("-m", "recipe=quickstart", "target=1")
    refused(typed(*sweep, "model=a.gguf,'b,c.gguf'"), "there is no file", "a.gguf")
    refused(typed(*sweep, "model=a.gguf,good"), "names of conf/model, or over weights")


def test_the_plan(typed: Typed, folder: Path) -> None:
    """It asks nothing; requests, tokens and cost of each model, of all together, and the budget."""
    status, out, _ = typed("evaluate", "model=good,poor", *EVAL, "budget.requests=20", "--plan")
    assert status == 0 and not (folder / "evaluations").exists()
    assert "12 from tasks.jsonl, 12 different instructions" in out
    assert "scored   ROUGE-L" in out and "good: new" in out
    cells = {line.split()[0]: line.split()[1] for line in out.splitlines() if line.startswith("    ")}
    assert (cells["good"], cells["poor"], cells["together"]) == ("12", "12", "24")
    assert "budget.requests=20, for all models, stops the run at about 83%" in out


def test_a_budget_is_for_all_models_together(typed: Typed, folder: Path) -> None:
    """When it is spent, nothing is compared that is not whole; with a larger one the same command goes on."""
    asked = ("evaluate", "model=good,poor", *EVAL)
    status, _, err = typed(*asked, "budget.requests=20")
    assert status == 3
    assert "of all models together (budget.requests=20)" in err and "Not finished: poor" in err
    assert list(result(folder)["models"]) == ["good"]
    assert len(lines(folder / "evaluations/general_en/poor/answers.jsonl")) == 8
    status, _, err = typed(*asked, "budget.requests=12")
    assert (status, list(result(folder)["models"])) == (3, ["good"])
    status, _, err = typed(*asked, "budget.requests=24")
    assert (status, list(result(folder)["models"])) == (0, ["good", "poor"]), err


def test_a_model_that_fails(typed: Typed, folder: Path) -> None:
    """The others are scored, the status is 1, and the same command goes on once the cause is gone."""
    broken = folder / "conf/model/poor.yaml"
    whole = broken.read_text()
    broken.write_text(whole.replace("(?s)Say (.*?)", "(?s)Say 7(.*?)"))
    status, out, err = typed("evaluate", "model=poor,good", *EVAL)
    assert status == 1
    assert "poor failed:" in out and "good" in out
    made = result(folder)
    assert list(made["models"]) == ["good"] and "poor" in made["failed"]
    refused(typed("evaluate", "model=poor", *EVAL, "to=other"), "poor failed")
    broken.write_text(whole)
    status, _, err = typed("evaluate", "model=poor,good", *EVAL, "fresh=true")
    assert (status, list(result(folder)["models"])) == (0, ["poor", "good"]), err


def test_every_fault_of_all_models_is_found_before_the_first_request(typed: Typed, folder: Path) -> None:
    """One that all have is reported once; nothing is written."""
    found = typed("evaluate", "model=good,goood,none.gguf", *EVAL, "eval.tempreature=1")
    refused(found, "tempreature")
    found = typed("evaluate", "model=good,goood,none.gguf", *EVAL)
    named = ("model=goood: unknown model config", "did you mean 'good'", "model=none model.options.weights")
    refused(found, "2 faults", *named, "there is no file")
    (folder / "tasks.jsonl").write_text("")
    found = typed("evaluate", "model=good,poor", *EVAL)
    refused(found, "1 fault\n", "tasks.jsonl: is empty")
    assert not (folder / "evaluations").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["model=A,B", "predictions=FILE"]),
        (["model=good,good"], ["good is named twice"]),
        (["model=local,embedded"], ["embedded is named twice (local means it too)"]),
        (["model=good,"], ["a name is missing"]),
        (["model=good", "--plann"], ["--plann", "did you mean '--plan'"]),
        (["model=good", "poor"], ["'poor'", "model=A,B"]),
        (["model=good,poor", "model.name=openai/x"], ["the name of every model", "conf/model"]),
        (["model=good", "run_dir=x"], ["to=DIR"]),
        (["model=good", "eval.path=none.jsonl"], ["no file none.jsonl"]),
        (["model=good", "eval.tasks=0"], ["eval.tasks", "greater than or equal to 1"]),
        (["model=good", "recipe=quickstart"], ["stages are not tasks and answers"]),
    ],
)
def test_faults_of_the_command(typed: Typed, folder: Path, arguments: list[str], words: list[str]) -> None:
    """Each has a remedy."""
    refused(typed("evaluate", *EVAL, *arguments), *words)


@pytest.mark.parametrize(
    ("change", "overrides", "words"),
    [
        (
            {3: {"instruction": " "}, 5: {"instruction": None}},
            [],
            ["tasks.jsonl lines 4, 6: has no instruction"],
        ),
        ({4: {"id": "t2"}}, [], ["several tasks have the same id: t2", "eval.columns.task=null"]),
        (
            {4: {"references": []}, 9: {"references": ""}},
            [],
            [
                "2 of 12 tasks have no reference",
                "t4, t9",
                "eval.columns.references=COLUMN",
                "eval.metrics=null",
            ],
        ),
        (
            {place: {"references": ["Москва"]} for place in range(8)},
            [],
            ["ROUGE-L reads only the letters a to z", "in 8 of 12 tasks", "eval.language"],
        ),
        ({}, ["eval.columns.instruction=question"], ["no row has a column question"]),
    ],
)
def test_faults_of_the_tasks(
    typed: Typed, folder: Path, change: dict[int, Any], overrides: list[str], words: list[str]
) -> None:
    """With their places, and before anything is asked."""
    found = rows(12)
    for place, fields in change.items():
        found[place] |= fields
    write(folder / "tasks.jsonl", found)
    refused(typed("evaluate", "model=good", *EVAL, *overrides), *words)
    assert not (folder / "evaluations").exists()


def test_some_of_the_tasks(typed: Typed, folder: Path) -> None:
    """Drawn with the seed; more than there are is a note."""
    plan = ("evaluate", "model=good", *EVAL, "--plan")
    assert "5 from tasks.jsonl" in typed(*plan, "eval.tasks=5")[1]
    assert "note: eval.tasks=99, but there are only 12" in typed(*plan, "eval.tasks=99")[1]
    status, _, err = typed("evaluate", "model=good,poor", *EVAL, "eval.tasks=5", "to=five")
    made = result(folder, "five")
    assert (status, made["tasks"]) == (0, 5), err
    assert "fewer than 10 tasks" in made["notes"][0]
    refused(typed("evaluate", "model=good", *EVAL, "eval.tasks=6", "to=five"), "other settings", "five")


def test_a_model_that_completes_prompts(typed: Typed, folder: Path) -> None:
    """The embedded model is used in chat mode instead, and another one has a note."""
    out = typed("evaluate", "model=local", *EVAL, "--plan")[1]
    assert "note: model=local completes prompts" in out and "embedded: new" in out
    out = typed("evaluate", "model=good", "model.mode=completion", *EVAL, "--plan")[1]
    assert "note: good is used in completion mode" in out


def test_weights_that_are_newer_than_the_answers(typed: Typed, folder: Path) -> None:
    """The model was tuned again, so its earlier answers are set aside; until then they are used."""
    content = MODEL.replace("NAME", "model").replace("REPLY", "old")
    (folder / "conf/model/model.yaml").write_text(content, encoding="utf-8")
    assert typed("evaluate", "model=model", *EVAL)[0] == 0
    weights, plan = folder / "model.gguf", ("evaluate", "model=model.gguf", *EVAL, "--plan")
    weights.write_bytes(b"GGUF")
    os.utime(weights, (1, 1))
    refused(typed(*plan), "evaluations/general_en/model", "other settings")
    os.utime(weights)
    status, out, err = typed(*plan)
    assert status == 0, err
    assert "note: model was tuned again since it answered; its earlier answers are set aside" in out
    assert "model: the run in it will be set aside" in out


def test_over_a_real_server(typed: Typed, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that are cut off are counted; an answer without text counts 0; its key is not written."""
    monkeypatch.setenv("SERVED_KEY", "sk-served-123456789")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    model = MODEL.split("options")[0].replace("scripted", "litellm").replace("NAME", "openai/served")
    with ModelServer(lambda asked: text("" if asked.number % 3 == 0 else "it is", "length")) as server:
        model = model.replace("api_base: null", f"api_base: {server.base}")
        model = model.replace("api_key_env: null", "api_key_env: SERVED_KEY")
        (folder / "conf/model/served.yaml").write_text(model, encoding="utf-8")
        status, out, err = typed("evaluate", "model=served", *EVAL, "cache=off")
    assert status == 0, err
    made = result(folder)["models"]["served"]
    assert (made["empty"], made["missing"]) == (4, 4) and made["cut"] == 8
    assert "8 of 12 answers of served were cut off at eval.max_tokens" in " ".join(out.split())


@pytest.mark.slow
def test_it_goes_on_after_a_kill_and_after_ctrl_c(typed: Typed, folder: Path) -> None:
    """The answers that are there are not asked for again, and finished models are left alone."""
    for name in ("good", "poor"):
        path = folder / f"conf/model/{name}.yaml"
        path.write_text(path.read_text().replace("options:\n", "options:\n  delay: 2\n"), encoding="utf-8")
    asked = ("evaluate", "model=good,poor", *EVAL, "cache=off")
    runs = [folder / "evaluations/general_en" / name for name in ("good", "poor")]
    process = children.start(folder, *asked)
    _await(lambda: _replies(runs[0]) >= 2)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    kept = _replies(runs[0])
    assert 2 <= kept < 12 and not (folder / "evaluations/general_en/evaluation.json").exists()
    process = children.start(folder, *asked)
    _await(lambda: _replies(runs[1]) >= 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Run the same command again" in err
    whole = lines(runs[0] / "answers.jsonl")
    assert len(whole) == 12 and 1 <= _replies(runs[1]) < 12
    status, _, err = typed(*asked)
    assert (status, list(result(folder)["models"])) == (0, ["good", "poor"]), err
    assert lines(runs[0] / "answers.jsonl") == whole
    sent = [summary(run)["stages"]["answers"]["requests"] for run in runs]
    assert 12 <= sent[0] <= 12 + 4 and sent[1] == 12  # a kill loses the requests in flight


def _await(ready: Callable[[], bool]) -> None:
    ends = time.monotonic() + 120
    while not ready():
        assert time.monotonic() < ends
        time.sleep(0.05)


def _replies(run: Path) -> int:
    """The replies in the journal of a run that may be at work."""
    journal = run / "run.sqlite"
    if not journal.is_file():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT COUNT(*) FROM reply").fetchone()[0])
    except sqlite3.OperationalError:  # it is just being made
        return 0
