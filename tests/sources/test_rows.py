"""Rows of files as records: evaluation tasks as they are released, and tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from conftest import Typed, lines
from pyarrow import parquet

from selfinstruct.errors import Fault
from selfinstruct.sources.rows import Mapped, read

NATURAL: dict[str, Any] = {
    "Contributors": ["Somebody"],
    "Categories": ["Sentiment Analysis"],
    "Definition": ["Say whether the review is positive.", "Answer with one word."],
    "Positive Examples": [{"input": "Good.", "output": "positive", "explanation": "It is."}],
    "Negative Examples": [],
    "Instances": [
        {"id": f"task9-{place}", "input": f"Review {place}.", "output": ["positive", "Positive"]}
        for place in range(8)
    ],
}
COLUMNS: dict[str, Any] = {
    "instruction": ["Definition", "instruction", "question"],
    "input": "input",
    "references": ["references", "output", "output_2"],
    "category": "Categories",
    "task": "id",
}


def mapped(**keys: Any) -> Mapped:
    """As the recipe `evaluate` reads tasks."""
    columns = {**COLUMNS, **keys.pop("columns", {})}
    return Mapped(columns, ["references"], ["input", "references", "category", "task"], **keys)


def records(path: Path, name: str, how: Mapped | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """The records of a file, and its faults."""
    faults: list[Fault] = []
    found = read(name, how or mapped(), path, "pipeline.tasks", faults)
    assert (found is None) == bool(faults)
    return found or [], list(map(str, faults))


def test_a_file_of_super_natural_instructions(tmp_path: Path) -> None:
    """Each instance is a record; the definition is the instruction; several outputs are references."""
    (tmp_path / "task9.json").write_text(json.dumps(NATURAL))
    found, faults = records(tmp_path, "task9.json")
    assert faults == [] and len(found) == 8
    assert found[3] == {
        "instruction": "Say whether the review is positive.\nAnswer with one word.",
        "input": "Review 3.",
        "references": ["positive", "Positive"],
        "category": "Sentiment Analysis",
        "task": "task9-3",
    }
    assert [one["task"] for one in records(tmp_path, "task9.json", mapped(instances=2))[0]] == [
        "task9-0",
        "task9-1",
    ]


def test_a_folder_of_such_files(tmp_path: Path) -> None:
    """All of its data files, by name; a pattern chooses among them; one that is broken is named."""
    for number in (2, 1):
        rows = [{**one, "id": f"task{number}-{one['input']}"} for one in NATURAL["Instances"]]
        (tmp_path / f"tasks/task{number}.json").parent.mkdir(exist_ok=True)
        (tmp_path / f"tasks/task{number}.json").write_text(json.dumps({**NATURAL, "Instances": rows}))
    found, faults = records(tmp_path, "tasks", mapped(instances=1))
    assert faults == [] and [one["task"] for one in found] == ["task1-Review 0.", "task2-Review 0."]
    assert len(records(tmp_path, "tasks/*2.json")[0]) == 8
    (tmp_path / "tasks/task3.json").write_text("{")
    assert "tasks/task3.json" in records(tmp_path, "tasks")[1][0]
    (tmp_path / "empty").mkdir()
    assert "folder without an evaluation file" in records(tmp_path, "empty")[1][0]


def test_the_paper_s_tasks(shared: Path) -> None:
    """All 252, each with one reference and an id of its own."""
    columns = {"category": "motivation_app"}
    found, faults = records(shared, "user_oriented_instructions.jsonl", mapped(columns=columns))
    assert faults == [] and len(found) == len({one["task"] for one in found}) == 252
    assert all(len(one["references"]) == 1 and one["references"][0] for one in found)
    assert len({one["category"] for one in found}) == 71
    assert found[0]["task"] == "user_oriented_task_0"


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_tables_with_several_references(tmp_path: Path, suffix: str) -> None:
    """In a list, or in several columns; each text once, and empty ones left out."""
    rows: list[dict[str, Any]] = [
        {"question": "Say hello.", "output": ["Hi", "Hello"], "output_2": "Hi"},
        {"question": "Say, bye.", "output": ["Bye"], "output_2": "See [you]"},
        {"question": "Nothing.", "output": [], "output_2": ""},
    ]
    path = tmp_path / f"tasks.{suffix}"
    if suffix == "parquet":
        parquet.write_table(arrow.Table.from_pylist(rows), path)
    elif suffix == "csv":
        cells = [[one["question"], json.dumps(one["output"]), one["output_2"]] for one in rows]
        head = "question,output,output_2\n"
        path.write_text(head + "".join(",".join(map(_cell, row)) + "\n" for row in cells))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found, faults = records(tmp_path, path.name)
    assert faults == []
    assert [one["references"] for one in found] == [["Hi", "Hello"], ["Bye", "See [you]"], []]
    assert [one["instruction"] for one in found] == ["Say hello.", "Say, bye.", "Nothing."]
    assert found[0]["input"] == ""


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def test_several_instances_of_one_row_get_ids_of_their_own(tmp_path: Path) -> None:
    """A number behind that of the row; numbers keep their digits."""
    row = {
        "id": "seed_1",
        "instruction": "Add.",
        "instances": [{"input": 1, "output": 2.50}, {"output": True}],
    }
    (tmp_path / "seeds.jsonl").write_text(json.dumps(row).replace("2.5", "2.50") + "\n")
    found, _ = records(tmp_path, "seeds.jsonl")
    assert [one["task"] for one in found] == ["seed_1/1", "seed_1/2"]
    assert [(one["input"], one["references"]) for one in found] == [("1", ["2.50"]), ("", ["true"])]


def test_without_columns_all_are_fields(tmp_path: Path) -> None:
    """As they are."""
    rows = [{"a": [1], "b": {"c": 2}}, {"d": None}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert records(tmp_path, "rows.jsonl", Mapped({}))[0] == rows


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], ["rows.jsonl: is empty"]),
        (['{"question": "a"}', "{}", "[1]"], ["rows.jsonl lines 2, 3: is not an object with columns"]),
        (['{"question": "a"}', '{"question": " "}', '{"output": "x"}'], ["lines 2, 3: has no instruction"]),
        (['{"prompt": "a"}'], ["columns.instruction: no row has a column Definition or", "known: prompt"]),
        (['{"question": "a"'], ["rows.jsonl", "is not valid JSON"]),
    ],
)
def test_faults(tmp_path: Path, rows: Sequence[str], words: Sequence[str]) -> None:
    """With the file and the rows."""
    (tmp_path / "rows.jsonl").write_text("".join(f"{line}\n" for line in rows))
    found, faults = records(tmp_path, "rows.jsonl")
    assert found == [] and len(faults) == 1
    assert all(word in faults[0] for word in words), faults[0]


RECIPE = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: none
pipeline: {rows: {kind: rows, path: rows.jsonl, most: 9}}
prompts: {}
schema: {rows: {properties: {word: {}}}}
"""


def test_the_stage_takes_some_rows_drawn_with_the_seed(typed: Typed, project: Path) -> None:
    """In the order of the file, unless they are shuffled; the plan says how many."""
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(RECIPE)
    (project / "rows.jsonl").write_text("".join(json.dumps({"word": n}) + "\n" for n in range(30)))

    def taken(run: str, *keys: str) -> list[int]:
        status, out, err = typed("recipe=mine", f"run_dir={run}", *keys)
        assert status == 0, out + err
        return [row["word"] for row in lines(project / run / "rows.jsonl")]

    first, shuffled = taken("first"), taken("shuffled", "+pipeline.rows.shuffle=true")
    assert first == sorted(first) == sorted(shuffled) and len(set(first)) == 9
    assert shuffled != first and taken("other", "seed=1") != first
    plan = typed("check", "recipe=mine", "+pipeline.rows.columns={word: word, other: null, more: null}")[1]
    assert "1 rows (rows path=rows.jsonl most=9 columns={…}): takes 9 of 30 rows, without a model" in plan
