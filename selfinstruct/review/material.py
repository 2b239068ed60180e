"""The records to review: the accepted ones of the last stage that makes records, with their labels.

They are read once, one by one, when the review begins: putting the labels on all records of a large run takes
seconds. Only the records of the sample are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.records import Record
from selfinstruct.review.sample import sample_of
from selfinstruct.review.store import Given
from selfinstruct.run_folder.opened import OpenedRun

FIRST = ("instruction", "input", "output")  # these fields come first, in this order


@dataclass(frozen=True)
class Task:
    """A record as a reviewer sees it.

    Attributes:
        id: its id.
        texts: its fields; those that are text can be edited.
        labels: the fields that label stages have set.
    """

    id: str
    texts: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Material:
    """What there is to review.

    Attributes:
        stage: the stage that made the records.
        sample: the ids of the sample, in order.
        tasks: the records of the sample by id.
    """

    stage: str
    sample: list[str]
    tasks: dict[str, Task]


def read_material(run: OpenedRun, given: Given, size: int) -> Material:
    """Read the records of a run and draw the sample.

    Raises:
        UserError: if there is no record yet.
    """
    stage = run.outline.makers[-1].name
    sample = sample_of(run.outline.seed, run.records(stage), given, size)
    if not sample:
        raise UserError(
            f"{run.path}: the stage {stage} has no accepted record yet; there is nothing to review"
        )
    labels = {name for one in run.outline.stages if one.labels for name in one.own}
    return Material(stage, [record.id for record in sample], {one.id: task_of(one, labels) for one in sample})


def task_of(record: Record, labels: set[str]) -> Task:
    """A record as a reviewer sees it; `labels` are the fields that label stages set."""
    texts = {name: value for name, value in record.data.items() if name not in labels}
    places = {name: place for place, name in enumerate(FIRST)}
    names = sorted(texts, key=lambda name: places.get(name, len(FIRST)))
    return Task(
        record.id,
        {name: texts[name] for name in names},
        {name: value for name, value in record.data.items() if name in labels},
    )
