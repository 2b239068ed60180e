"""Which tasks ask for a label, so that an answer is right or wrong.

The file may say so (`eval.columns.classification`). Otherwise the references show it: tasks that share an
instruction, or else a category, ask for a label if there are at least eight of them and at most one different
reference for four. A hundred reviews with the labels POS and NEG are such tasks; a hundred questions are not.
"""

from __future__ import annotations

from collections.abc import Sequence

from selfinstruct.evaluate.answers import Task
from selfinstruct.evaluate.metrics import plain

FEWEST = 8  # tasks from which the references show it
EACH = 4  # so many tasks have at most one different reference
LONGEST = 5  # words of a label


def labelled(tasks: Sequence[Task]) -> list[bool]:
    """Whether each task asks for a label."""
    shown = _shown([task.instruction for task in tasks], tasks)
    also = _shown([task.category for task in tasks], tasks)
    return [
        task.classification if task.classification is not None else one or other
        for task, one, other in zip(tasks, shown, also, strict=True)
    ]


def _shown(keys: Sequence[str], tasks: Sequence[Task]) -> list[bool]:
    """Whether the references of the tasks with the same key are labels."""
    groups: dict[str, list[Task]] = {}
    for key, task in zip(keys, tasks, strict=True):
        groups.setdefault(key, []).append(task)
    found = {key: bool(key) and _are_labels(there) for key, there in groups.items()}
    return [found[key] for key in keys]


def _are_labels(tasks: Sequence[Task]) -> bool:
    labels = {plain(one) for task in tasks for one in task.references}
    if len(tasks) < FEWEST or not labels:
        return False
    return len(labels) * EACH <= len(tasks) and all(len(one.split()) <= LONGEST for one in labels)
