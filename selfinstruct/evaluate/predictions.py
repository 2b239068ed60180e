"""Answers that others have collected: a file of predictions, matched to the tasks.

    {"id": "user_oriented_task_0", "prediction": "…"}
    {"instruction": "…", "input": "…", "response": "…"}
    {"Task": "…", "Instance": {"id": "task1-7", …}, "Target": "…", "Prediction": "…"}      # Tk-Instruct
    {"id": "…", "response": {"choices": [{"text": "…"}]}}                                  # replies of an API

Rows are matched by the id of the tasks, else by instruction and input, else by their order. To read another
form, add its column to `ANSWERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.project.layout import locate, no_path
from selfinstruct.sources.row_faults import RowFaults
from selfinstruct.sources.rows import FoundRow, find_column, rows_of, text_of
from selfinstruct.sources.seed_files import KINDS
from selfinstruct.sources.seed_table import TEXT_LINES

# The columns that may have the answer; the first that a file has is read.
ANSWERS = (
    *("prediction", "predictions", "response", "model_output", "completion", "generated_text", "generation"),
    *("answer", "output", "text"),
)
IDS = ("id", "task_id", "task")
BY_ID, BY_TEXT, BY_ORDER = "by id", "by instruction and input", "by order"
Key = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class AllTasks:
    """The tasks of an evaluation file, and those of them that are evaluated.

    Attributes:
        there: all tasks of the file, in its order.
        chosen: those that are evaluated.
    """

    there: Sequence[Task]
    chosen: Sequence[Task]


def read_predictions(
    path: str, name: str, tasks: AllTasks, project: Path, faults: list[Fault]
) -> Answers | None:
    """The predictions in a file, as a model's answers.

    Args:
        path: JSONL, JSON, CSV, TSV or Parquet, or text with one prediction per line.
        name: its name in tables.
        tasks: the tasks.
        project: the user's folder.
        faults: receives every fault: predictions that fit no task, or several that fit one.

    Returns:
        The answers; None if there was a fault. A task without a prediction has none, which scores 0.
    """
    found = None if no_path(path) else locate(path, project)
    if found is None or not found.is_file():
        what = f"{path[:40]!r} {no_path(path)}" if no_path(path) else f"there is no file {path}"
        faults.append(Fault("predictions", what, f"name a file ({KINDS})"))
        return None
    before = len(faults)
    rows = rows_of(found, faults)
    column = _column(rows)
    if len(faults) > before:
        return None
    if column is None:
        there = ", ".join(rows[0].fields)
        what = f"has no column with the predictions: {there}"
        faults.append(Fault(str(found), what, f"name it {' or '.join(ANSWERS[:3])}"))
        return None
    matched = _matched(found, rows, tasks, faults)
    if matched is None:
        return None
    by_task = {place: _answer(row.fields[key]) for place, row in matched[1].items() if (key := column(row))}
    texts = [by_task.get(task.id) for task in tasks.chosen]
    return Answers(name, texts, matched=matched[0])


def _column(rows: Sequence[FoundRow]) -> Callable[[FoundRow], str | None] | None:
    """What finds the column with the prediction in a row; None if no row has one."""
    if rows and rows[0].table.format == TEXT_LINES:
        return lambda row: "instruction"
    there = dict.fromkeys(key for row in rows for key in row.fields)
    name = next((name for name in ANSWERS if find_column(there, name)), None)
    return (lambda row: find_column(row.fields, name)) if name else None


def _matched(
    path: Path, rows: Sequence[FoundRow], tasks: AllTasks, faults: list[Fault]
) -> tuple[str, dict[str, FoundRow]] | None:
    """How rows were matched, and the row for each task's id; None after a fault."""
    lines = bool(rows) and rows[0].table.format == TEXT_LINES
    ways: dict[str, tuple[dict[str, list[str]], Key]] = {}
    if not lines:
        ways[BY_ID] = (_places(tasks.there, lambda task: task.name), _id)
        ways[BY_TEXT] = (_places(tasks.there, lambda task: _joined(task.instruction, task.input)), _asked)
    named = False
    for how, (places, key) in ways.items():
        keys = [key(row.fields) for row in rows]
        named |= any(keys)
        if any(one in places for one in keys if one):
            found = _by_key(path, rows, keys, places, how, faults)
            return None if found is None else (how, found)
    if not named:
        return _in_order(path, rows, tasks, faults)
    what = f"none of its {len(rows)} predictions fits a task, neither {BY_ID} nor {BY_TEXT}"
    remedy = f"the first has {_shown(rows[0])}; the first task has {_first(tasks)}"
    faults.append(Fault(str(path), what, remedy))
    return None


def _places(tasks: Sequence[Task], key: Callable[[Task], str]) -> dict[str, list[str]]:
    """The ids of the tasks with each key, in order."""
    found: dict[str, list[str]] = {}
    for task in tasks:
        if key(task):
            found.setdefault(key(task), []).append(task.id)
    return found


def _by_key(
    path: Path,
    rows: Sequence[FoundRow],
    keys: Sequence[str],
    places: Mapping[str, Sequence[str]],
    how: str,
    faults: list[Fault],
) -> dict[str, FoundRow] | None:
    """The row for each task; of tasks with the same key, the first gets the first row with it."""
    found: dict[str, FoundRow] = {}
    wrong = RowFaults(path, rows[0].table.unit)
    for row, key in zip(rows, keys, strict=True):
        left = [place for place in places.get(key, ()) if place not in found]
        if not places.get(key):
            wrong.add(row.row.place, f"no task has its {how[3:]}: {key[:60]!r}", "take it out", how)
        elif not left:
            first = found[places[key][0]].row.place
            what = f"is another prediction for the task of {row.table.unit} {first}"
            wrong.add(row.row.place, what, "leave one of them", "twice")
        else:
            found[left[0]] = row
    faults += wrong.faults()
    return None if wrong else found


def _in_order(
    path: Path, rows: Sequence[FoundRow], tasks: AllTasks, faults: list[Fault]
) -> tuple[str, dict[str, FoundRow]] | None:
    for some in (tasks.there, tasks.chosen):
        if len(rows) == len(some):
            return BY_ORDER, {task.id: row for task, row in zip(some, rows, strict=True)}
    what = (
        f"has {len(rows)} predictions without an id or an instruction, but there are {len(tasks.there)} tasks"
    )
    faults.append(Fault(str(path), what, "give each prediction the id of its task"))
    return None


def _id(fields: Mapping[str, Any]) -> str:
    inner = fields.get(find_column(fields, "instance") or "")
    for holder in [inner, fields] if isinstance(inner, dict) else [fields]:
        key = next((key for name in IDS if (key := find_column(holder, name))), None)
        if key:
            return text_of(holder[key])
    return ""


def _asked(fields: Mapping[str, Any]) -> str:
    values = [fields.get(find_column(fields, name) or "") for name in ("instruction", "input")]
    return _joined(*(text_of(value) for value in values)) if values[0] else ""


def _joined(instruction: str, input: str) -> str:
    return " ".join(f"{instruction}\n{input}".split())


def _answer(value: Any) -> str | None:
    """The text of a prediction; also that of an API's whole reply. None if there is none."""
    if isinstance(value, dict):
        choices = value.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else value
        inner = first.get("message", first) if isinstance(first, dict) else {}
        value = next((inner[key] for key in ("text", "content") if key in inner), None) if inner else None
    return None if value is None else text_of(value)


def _shown(row: FoundRow) -> str:
    return f"id {_id(row.fields)!r}" if _id(row.fields) else f"instruction {_asked(row.fields)[:40]!r}"


def _first(tasks: AllTasks) -> str:
    first = tasks.there[0]
    return f"id {first.name!r}" if first.name else f"instruction {first.instruction[:40]!r}"
