"""The task for lm-evaluation-harness: what it has, and that the harness itself loads and scores it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed
from results import refused

from selfinstruct.evaluate.metrics import chrf, exact_match, rouge_l

ROWS = [
    {
        "id": f"t{n}",
        "instruction": "Is it so?" if n < 8 else f"Say {n}.\u2028Twice.",
        "input": f"It is {n}." if n < 8 else "",
        "output": ("yes", "no")[n % 2] if n < 8 else f"{n} and {n}",
        "references": [] if n < 8 else ["twice"],
    }
    for n in range(12)
]
ANSWER = "Yes, 8 and 8."
TEMPLATE = "eval.template='Task: {{ instruction }} {{ input }}'"


@pytest.fixture
def written(typed: Typed, project: Path) -> Path:
    """The folder that the command writes."""
    path = project / "tasks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    keys = ("eval.max_tokens=64", "eval.metrics=[rouge_l,chrf,exact_match]", TEMPLATE)
    status, out, err = typed("evaluate", "harness=h", "eval.path=tasks.jsonl", *keys)
    assert status == 0, err
    *files, run = out.splitlines()
    assert files == ["h/tasks.yaml", "h/tasks.jsonl", "h/utils.py"]
    assert "lm_eval --include_path h --tasks tasks " in run
    return project / "h"


def loaded(folder: Path) -> Any:
    """The module utils.py."""
    spec = importlib.util.spec_from_file_location("utils_of_a_task", folder / "utils.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_written(written: Path) -> None:
    """Filled prompts, and scores equal to ours; exact_match only for the tasks that ask for a label."""
    text = (written / "tasks.yaml").read_text(encoding="utf-8")
    for line in ("task: tasks", "output_type: generate_until", "  max_gen_toks: 64", "  do_sample: false"):
        assert f"\n{line}\n" in text
    assert "custom_dataset: !function utils.documents" in text
    rows = [
        json.loads(one) for one in (written / "tasks.jsonl").read_text(encoding="utf-8").split("\n") if one
    ]
    assert rows[0]["prompt"] == "Task: Is it so? It is 0."
    assert (rows[0]["metrics"], rows[8]["metrics"]) == (
        ["rouge_l", "chrf", "exact_match"],
        ["rouge_l", "chrf"],
    )
    pytest.importorskip("sacrebleu")
    utils = loaded(written)
    answered = utils.process_results(rows[8], [f" {ANSWER}\n"])
    assert answered["rouge_l"] == max(rouge_l(ANSWER, one) for one in ("twice", "8 and 8"))
    assert utils.exact_match(ANSWER, "yes 8 and 8") == exact_match(ANSWER, "yes 8 and 8") == 100
    assert answered["chrf"] == pytest.approx(max(chrf(ANSWER, one) for one in ("twice", "8 and 8")))
    assert len(utils.documents()["test"]) == 12


def test_the_harness_loads_it(written: Path) -> None:
    """By its own loader of tasks, and its own way from a document to a prompt and to scores."""
    tasks = pytest.importorskip("lm_eval.tasks")
    manager = tasks.TaskManager(include_path=str(written), include_defaults=False)
    task = tasks.get_task_dict(["tasks"], manager)["tasks"]
    documents = list(task.test_docs())
    assert [one["id"] for one in documents] == [row["id"] for row in ROWS]
    assert task.doc_to_text(documents[9]) == "Task: Say 9.\u2028Twice. "
    assert task.doc_to_target(documents[9]) == "twice"
    assert task.process_results(documents[1], ["no"]) == {"rouge_l": 100, "chrf": 100, "exact_match": 100}
    assert (task.config.generation_kwargs["max_gen_toks"], task.OUTPUT_TYPE) == (64, "generate_until")
    assert set(task.aggregation()) == {"rouge_l", "chrf", "exact_match"}


def test_a_metric_that_it_cannot_have(typed: Typed, project: Path) -> None:
    """With those that it can."""
    (project / "tasks.jsonl").write_text('{"instruction": "答え", "output": "はい"}\n', encoding="utf-8")
    found = typed("evaluate", "harness=h", "eval.path=tasks.jsonl", "eval.language=ja")
    refused(found, "rouge_l, chrf, exact_match, not rouge_l_characters", "eval.metrics=[chrf]")
