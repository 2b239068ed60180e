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
        name: its name in the file, by which predictions are matched, or ''.
        classification: whether it is a task of classification; None where the file does not say.
    """

    id: str
    instruction: str
    input: str
    references: tuple[str, ...]
    category: str
    name: str = ""
    classification: bool | None = None


@dataclass(frozen=True)
class Answers:
    """A model's answers.

    Attributes:
        model: its name in tables.
        texts: an answer for each task, in order; None where there is none, which scores 0.
        run: the folder of its run; None for predictions from a file.
        cut: how many answers ended at max_tokens; None where that is not known.
        matched: how predictions were matched to tasks, in words; '' for a run.
    """

    model: str
    texts: list[str | None]
    run: Path | None = None
    cut: int | None = None
    matched: str = ""


def answers_of(model: str, run: Path) -> tuple[list[Task], Answers]:
    """The tasks and the answers in the folder of a run.

    Args:
        model: the model's name in tables.
        run: a run of the recipe `evaluate`.

    Raises:
        UserError: if it is not the folder of a run.
    """
    with opened(run) as found:
        tasks, answers = list(found.records(TASKS)), list(found.records(ANSWERS))
        replies = [found.journal.reply(ANSWERS, record.request) for record in answers]
    cut = sum(reply.finish_reason == "length" for reply in replies if reply)
    texts = {record.parent: str(record.data["answer"]) for record in answers}
    return [task_of(one) for one in tasks], Answers(model, [texts.get(one.id) for one in tasks], run, cut)


def task_of(record: Record) -> Task:
    """The task in a record of the stage `tasks`."""
    data = record.data
    return Task(
        record.id,
        str(data["instruction"]),
        str(data.get("input") or ""),
        tuple(str(one) for one in data.get("references") or ()),
        str(data.get("category") or ""),
        str(data.get("task") or ""),
        _YES.get(str(data.get("classification") or "").strip().lower()),
    )


_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
