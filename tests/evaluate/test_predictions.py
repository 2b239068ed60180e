"""Files of answers that others have collected: how they are matched, and what is wrong with them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from conftest import Typed
from pyarrow import parquet
from results import refused

from selfinstruct.errors import Fault
from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.names import names_of
from selfinstruct.evaluate.predictions import BY_ID, BY_ORDER, BY_TEXT, AllTasks, read_predictions

Rows = list[dict[str, Any]]
ASKED = [("Add.", "1, 2"), ("Add.", "3, 4"), ("Greet.", ""), ("Name a colour.", "")]
TASKS = [
    Task(f"tasks-{place}-0", instruction, input, ("right",), "", f"t{place}")
    for place, (instruction, input) in enumerate(ASKED)
]
BY_TASK = [f"answer {place}" for place in range(4)]


def write(path: Path, rows: Rows) -> None:
    """Write rows in the format of the suffix."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    elif path.suffix == ".parquet":
        parquet.write_table(arrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read(
    path: Path, rows: Rows, tasks: list[Task] = TASKS, chosen: slice = slice(None)
) -> tuple[Answers | None, list[Fault]]:
    """What comes of a file with these rows."""
    faults: list[Fault] = []
    write(path, rows)
    found = read_predictions(path.name, "theirs", AllTasks(tasks, tasks[chosen]), path.parent, faults)
    return found, faults


def asked(place: int) -> dict[str, str]:
    """Instruction and input of a task."""
    return dict(zip(("instruction", "input"), ASKED[place], strict=True))


Row = Callable[[int], dict[str, Any]]
FORMS: dict[str, tuple[Row, str]] = {
    "id": (lambda n: {"id": f"t{n}", "prediction": BY_TASK[n]}, BY_ID),
    "tk-instruct": (
        lambda n: {"Task": "task1", "Instance": {"id": f"t{n}"}, "Target": "x", "Prediction": BY_TASK[n]},
        BY_ID,
    ),
    "api": (
        lambda n: {"id": f"t{n}", "response": {"choices": [{"text": BY_TASK[n]}]}},
        BY_ID,
    ),
    "chat api": (
        lambda n: {"task_id": f"t{n}", "response": {"choices": [{"message": {"content": BY_TASK[n]}}]}},
        BY_ID,
    ),
    "text": (lambda n: {**asked(n), "output": BY_TASK[n]}, BY_TEXT),
    "own ids": (lambda n: {"id": str(n + 100), **asked(n), "response": BY_TASK[n]}, BY_TEXT),
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_in_any_order_find_their_task(tmp_path: Path, form: str) -> None:
    """By the id of the task, or by what was asked."""
    row, how = FORMS[form]
    found, faults = read(tmp_path / "p.jsonl", [row(place) for place in (2, 0, 3, 1)])
    assert faults == [] and found
    assert (found.texts, found.matched, found.model) == (BY_TASK, how, "theirs")


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.json", "p.txt"])
def test_files_of_any_format(tmp_path: Path, name: str) -> None:
    """A file of texts, or rows without an id or an instruction, have the order of the tasks."""
    rows: Rows = [{"generated_text": one} for one in BY_TASK]
    if name == "p.txt":
        (tmp_path / "p.txt").write_text("\n".join(BY_TASK))
        faults: list[Fault] = []
        found = read_predictions(name, "theirs", AllTasks(TASKS, TASKS[1:3]), tmp_path, faults)
        assert found and (found.texts, found.matched) == (BY_TASK[1:3], BY_ORDER)
        return
    found, faults = read(tmp_path / name, rows)
    assert faults == [] and found and (found.texts, found.matched) == (BY_TASK, BY_ORDER)


def test_missing_predictions_are_none_and_those_of_other_tasks_of_the_file_are_passed_over(
    tmp_path: Path,
) -> None:
    """An empty prediction is an answer; null is none."""
    rows: Rows = [
        {"id": "t0", "prediction": ""},
        {"id": "t1", "prediction": None},
        {"id": "t3", "prediction": "x"},
    ]
    found, _ = read(tmp_path / "p.jsonl", rows, chosen=slice(0, 3))
    assert found and found.texts == ["", None, None]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": "t0", "prediction": "a"}, {"id": "x9", "prediction": "b"}], ["p.jsonl line 2", "'x9'"]),
        (
            [
                {"id": "t0", "prediction": "a"},
                {"id": "t1", "prediction": "b"},
                {"id": "t0", "prediction": "c"},
            ],
            ["p.jsonl line 3", "another prediction for the task of line 1", "leave one of them"],
        ),
        ([{**asked(2), "response": "a"}] * 2, ["another prediction for the task of line 1"]),
        ([{"id": "x", "prediction": "a"}], ["none of its 1 predictions fits a task", "id 'x'", "id 't0'"]),
        ([{"prediction": "a"}] * 3, ["3 predictions without an id", "4 tasks", "the id of its task"]),
        ([{"id": "t0", "reply": "a"}], ["no column with the predictions: id, reply", "name it prediction"]),
        ([{"id": "t0", "prediction": "a"}, {}], ["line 2", "not an object with columns"]),
    ],
)
def test_what_does_not_fit_is_a_fault_with_its_place(tmp_path: Path, rows: Rows, words: list[str]) -> None:
    """Nothing is scored then."""
    found, faults = read(tmp_path / "p.jsonl", rows)
    assert found is None and len(faults) == 1
    assert all(word in str(faults[0]) for word in words), str(faults[0])


def test_equal_tasks_take_equal_predictions_in_order(tmp_path: Path) -> None:
    """If a file asks the same twice, without ids."""
    tasks = [Task(f"tasks-{place}-0", "Greet.", "", ("x",), "") for place in range(2)]
    found, faults = read(tmp_path / "p.jsonl", [{**asked(2), "response": one} for one in "ab"], tasks)
    assert faults == [] and found and found.texts == ["a", "b"]


def test_names() -> None:
    """Short, and different without regard to case, which some file systems do not know."""
    assert names_of(["embedded", "runs/quickstart/model", "/tmp/exp/ps-lora.gguf"]) == [
        "embedded",
        "quickstart",
        "ps-lora",
    ]
    assert names_of(["runs/a/model", "runs/b/model/", "a.gguf"]) == ["a-1", "b", "a-3"]
    assert names_of(["runs/s/models/0", "runs/s/models/1"]) == ["s-0", "s-1"]
    assert names_of(["x/preds.jsonl", "y/Preds.jsonl"]) == ["x-preds", "y-Preds"]
    assert names_of(["model.gguf", "../..", "a b/c: d!.jsonl"]) == ["model-1", "model-2", "c-d"]
    assert len(set(names_of(["m.gguf", "./m.gguf", "m.jsonl"]))) == 3


def test_the_command_scores_them_beside_models(typed: Typed, project: Path) -> None:
    """ROUGE-L from 0 to 100 with one decimal; missing predictions count 0; all faults of all files."""
    rows = [{"id": f"t{n}", "instruction": f"Ask {n}.", "output": f"number {n} it is"} for n in range(12)]
    write(project / "tasks.jsonl", rows)
    write(project / "right.jsonl", [{"id": row["id"], "prediction": row["output"]} for row in rows])
    write(project / "half.jsonl", [{"id": row["id"], "prediction": row["output"]} for row in rows[:6]])
    command = ("evaluate", "eval.path=tasks.jsonl", "eval.resamples=200")
    status, out, err = typed(*command, "predictions=right.jsonl,half.jsonl")
    assert status == 0, err
    assert [line.split()[:2] for line in out.splitlines()[5:7]] == [["right", "100.0"], ["half", "50.0"]]
    assert "half has no prediction for 6 of 12 tasks; these count 0" in " ".join(out.split())
    made = json.loads((project / "evaluations/tasks/evaluation.json").read_text(encoding="utf-8"))
    assert (made["models"]["half"]["missing"], made["models"]["half"]["matched"]) == (6, BY_ID)
    assert made["differences"][0]["at_equal_length"]["tasks"] == 6
    write(project / "wrong.jsonl", [{"id": "x", "prediction": "a"}])
    found = typed(*command, "predictions=right.jsonl,wrong.jsonl,none.jsonl")
    refused(found, "2 faults", "none of its 1 predictions fits", "there is no file none.jsonl")
