"""The table of the answers in an evaluation: each task with its references, and what each model answered.

The largest gain of the last model over the first one is at the top, and the largest loss at the bottom.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfinstruct.report.numbers.tuning_files import ANSWERS, Answered, read_lines
from selfinstruct.report.numbers.verdict import named


def answers(folder: Path, page: Path, most: int, notes: list[str]) -> dict[str, Any] | None:
    """The table; None if the folder has no answers.

    Args:
        folder: the folder with answers.jsonl.
        page: the folder of the page, to say where that file is.
        most: how many rows it may have.
        notes: gets a note if the file cannot be used.

    Returns:
        `models`, `metric`, `columns`, `rows` and `total`.
    """
    found = read_lines(folder / ANSWERS, Answered, notes)
    models = list(dict.fromkeys(one.model for task in found for one in task.answers))
    metric = next((key for task in found for one in task.answers for key in one.scores), "score")
    if not found or not models:
        return None
    rows = sorted((_row(task, models, metric) for task in found), key=lambda row: -(row[1] or 0.0))
    scored = [part for model in models for part in (model, f"{named(metric)} of {model}")]
    return {
        "models": models,
        "file": (folder / ANSWERS).relative_to(page).as_posix(),
        "columns": ["id", "gain", "category", "task", "references", *scored],
        "rows": _ends(rows, most),
        "total": len(rows),
    }


def _row(task: Answered, models: Sequence[str], metric: str) -> list[Any]:
    own = {one.model: one for one in task.answers}
    scores = [own[model].scores.get(metric) if model in own else None for model in models]
    asked = "\n\n".join(part for part in (task.instruction, task.input) if part)
    cells = [own[model].text if model in own else None for model in models]
    scored = [part for pair in zip(cells, scores, strict=True) for part in pair]
    references = "\n—\n".join(task.references)
    return [task.id, _gain(scores), task.category or None, asked, references, *scored]


def _gain(scores: Sequence[float | None]) -> float | None:
    """By how much the last model is better than the first one."""
    first, last = scores[0], scores[-1]
    return None if len(scores) < 2 or first is None or last is None else last - first


def _ends(rows: list[list[Any]], most: int) -> list[list[Any]]:
    """The first and the last rows, where there is no room for all."""
    return rows if len(rows) <= most else [*rows[: most - most // 2], *rows[len(rows) - most // 2 :]]
