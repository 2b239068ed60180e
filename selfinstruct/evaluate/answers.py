"""The tasks of an evaluation, and a model's answers to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selfinstruct.records import Record
from selfinstruct.run_folder.opened import opened

TASKS, ANSWERS = "tasks", "answers"  # the stages of the recipe


@dataclass(frozen=True)
class Task:
    """What models are asked.

    Attributes:
        id: the id of its record.
        instruction: the instruction.
        input: its input, or ''.
        references: right answers.
        category: the group in which it is counted, or ''.
    """

    id: str
    instruction: str
    input: str
    references: tuple[str, ...]
    category: str


@dataclass(frozen=True)
class Answers:
    """A model's answers.

    Attributes:
        model: its name in tables.
        texts: an answer for each task, in order; None where there is none, which scores 0.
        run: the folder of its run; None for predictions from a file.
    """

    model: str
    texts: list[str | None]
    run: Path | None = None


def answers_of(model: str, run: Path) -> tuple[list[Task], Answers]:
    """The tasks and the answers in the folder of a run.

    Args:
        model: the model's name in tables.
        run: a run of the recipe `evaluate`.

    Raises:
        UserError: if it is not the folder of a run.
    """
    with opened(run) as found:
        tasks = found.records(TASKS)
        texts = {record.parent: str(record.data["answer"]) for record in found.records(ANSWERS)}
    return [_task(record) for record in tasks], Answers(model, [texts.get(one.id) for one in tasks], run)


def _task(record: Record) -> Task:
    data = record.data
    references = tuple(str(one) for one in data.get("references") or ())
    return Task(
        record.id,
        str(data["instruction"]),
        str(data.get("input") or ""),
        references,
        str(data.get("category") or ""),
    )
