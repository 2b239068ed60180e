"""answers.jsonl: each task with its references, the answer of each model, and its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.metrics import scored

ANSWERS = "answers.jsonl"


def answered(
    metrics: Sequence[str], tasks: Sequence[Task], models: Sequence[Answers]
) -> Iterator[dict[str, Any]]:
    """The lines of the file.

    Args:
        metrics: what is scored.
        tasks: the tasks.
        models: the answers of each model to these tasks.

    Yields:
        {"id", "instruction", "input", "category", "references", "answers": [{"model", "text", "scores":
        {metric: score}}]}; a missing answer is null, and scores 0.
    """
    for place, task in enumerate(tasks):
        answers = [
            {
                "model": one.model,
                "text": one.texts[place],
                "scores": {metric: scored(metric, one.texts[place], task.references) for metric in metrics},
            }
            for one in models
        ]
        yield {
            "id": task.id,
            "instruction": task.instruction,
            "input": task.input,
            "category": task.category,
            "references": list(task.references),
            "answers": answers,
        }
