"""What the records of a run show, with their labels: lengths, sizes, and the table of the last ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from selfinstruct.journal import labelled_records
from selfinstruct.records import Record
from selfinstruct.report.numbers.fields import Texts
from selfinstruct.report.numbers.measures import USUAL, Lengths
from selfinstruct.report.numbers.scan import Scan
from selfinstruct.report.numbers.tables import record_table
from selfinstruct.report.numbers.value_counts import LONGEST, described
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import StageOutline

CLASSIFICATION = "is_classification"
ANSWERS = "answers to classification tasks"


@dataclass
class Made:
    """What the records themselves show, with their labels.

    Attributes:
        lengths: the lengths of their fields.
        left: by stage, how many records no label has rejected.
        sizes: the sizes that the paper has in its table 1.
        texts: the texts that verbs and words are counted in.
        records: the table of the last stage's records.
        outputs: how often each answer to a classification task occurs.
        last: the last stage that makes records.
    """

    lengths: Lengths
    left: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    records: dict[str, Any] = field(default_factory=dict)
    outputs: Counter[str] = field(default_factory=Counter)
    last: str = ""

    def answers(self) -> list[dict[str, Any]]:
        """The answers to classification tasks as a class, if there are any."""
        return [described("output", self.last, self.outputs, ANSWERS)] if self.outputs else []

    def measure(self, stage: StageOutline, fields: Sequence[str], records: Sequence[Record]) -> None:
        """Measure the fields of a stage's records."""
        self.left[stage.name] = len(records)
        for name in fields:
            for record in records:
                self.lengths.add(name, record.data.get(name))

    def of_texts(self, name: str, records: Sequence[Record]) -> None:
        """Keep the texts, and count the tasks."""
        self.texts = [str(record.data.get(name, "")) for record in records]
        self.sizes["instructions"] = len(records)
        if any(CLASSIFICATION in record.data for record in records):
            self.sizes["classification"] = sum(record.data.get(CLASSIFICATION) is True for record in records)

    def of_instances(self, records: Sequence[Record]) -> None:
        """Count the instances, and the answers to classification tasks."""
        self.sizes["instances"] = len(records)
        inputs = [record.data["input"] for record in records if isinstance(record.data.get("input"), str)]
        if inputs:
            self.sizes["empty_input"] = sum(not text.strip() for text in inputs)
        for record in records:
            output = record.data.get("output")
            if record.data.get(CLASSIFICATION) is True and isinstance(output, str) and len(output) <= LONGEST:
                self.outputs[output] += 1


def made_of(run: OpenedRun, scan: Scan, texts: Texts | None, most: int) -> Made:
    """Count the records that a scan has kept.

    Args:
        run: the run.
        scan: the records, as read.
        texts: the texts that the report counts.
        most: how many records the table shows.
    """
    found, makers = Made(Lengths(run.outline.language)), run.outline.makers
    owner = {name: stage.name for stage in makers for name in stage.own}  # the last stage that gives it
    made = labelled_records.made(run.outline, scan)
    for stage in makers:
        records = made[stage.name]
        measured = {*USUAL, texts.field} if texts else {*USUAL}
        fields = [name for name in stage.own if owner[name] == stage.name and name in measured]
        found.measure(stage, fields, records)
        if texts and stage == texts.stage:
            found.of_texts(texts.field, records)
        if stage == makers[-1]:
            found.last = stage.name
            found.records = record_table(stage.name, records, most)
            found.of_instances(records)
    return found
