"""What the records of a run show, with their labels: lengths, sizes, and the table of the last ones.

They are read one by one, and only those of the table stay in memory.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from selfinstruct.journal import labelled_records
from selfinstruct.records import Record
from selfinstruct.report.numbers.fields import Texts
from selfinstruct.report.numbers.measures import USUAL, Lengths
from selfinstruct.report.numbers.tables import record_table
from selfinstruct.report.numbers.value_counts import LONGEST, described
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.text.on_disk import TextsOnDisk

CLASSIFICATION = "is_classification"
ANSWERS = "answers to classification tasks"


SIZES = ("instructions", "classification", "instances", "empty_input")


@dataclass
class Made:
    """What the records themselves show, with their labels.

    Attributes:
        lengths: the lengths of their fields.
        left: by stage, how many records no label has rejected.
        counts: the sizes, by name.
        texts: the texts that verbs and words are counted in.
        first: the first records of the last stage that makes records, for the table.
        outputs: how often each answer to a classification task occurs.
        last: the last stage that makes records; empty if none does.
    """

    lengths: Lengths
    left: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    texts: TextsOnDisk = field(default_factory=TextsOnDisk)
    first: list[Record] = field(default_factory=list)
    outputs: Counter[str] = field(default_factory=Counter)
    last: str = ""

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that the paper has in its table 1; one that the run does not have is left out."""
        return {name: self.counts[name] for name in SIZES if name in self.counts}

    def answers(self) -> list[dict[str, Any]]:
        """The answers to classification tasks as a class, if there are any."""
        return [described("output", self.last, self.outputs, ANSWERS)] if self.outputs else []

    def table(self) -> dict[str, Any]:
        """The table of the last stage's records; empty if no stage makes records."""
        return record_table(self.last, self.first, self.left[self.last]) if self.last else {}

    def of_text(self, name: str, record: Record) -> None:
        """Keep the text of a record, and count the task."""
        self.texts.append(str(record.data.get(name, "")))
        self.counts["instructions"] += 1
        if CLASSIFICATION in record.data:
            self.counts["classification"] += record.data[CLASSIFICATION] is True

    def of_instance(self, record: Record) -> None:
        """Count an instance, and the answer to a classification task."""
        self.counts["instances"] += 1
        given, output = record.data.get("input"), record.data.get("output")
        if isinstance(given, str):
            self.counts["empty_input"] += not given.strip()
        if record.data.get(CLASSIFICATION) is True and isinstance(output, str) and len(output) <= LONGEST:
            self.outputs[output] += 1


def made_of(run: OpenedRun, texts: Texts | None, most: int) -> Made:
    """Count the accepted records of a run.

    Args:
        run: the run.
        texts: the texts that the report counts.
        most: how many records the table shows.
    """
    makers = run.outline.makers
    owner = {name: stage.name for stage in makers for name in stage.own}  # the last stage that gives it
    measured = {*USUAL, texts.field} if texts else {*USUAL}
    fields = {
        stage.name: [name for name in stage.own if owner[name] == stage.name and name in measured]
        for stage in makers
    }
    found = Made(Lengths(run.outline.language, [name for names in fields.values() for name in names]))
    for stage in makers:
        of_texts, of_last = texts is not None and stage == texts.stage, stage == makers[-1]
        found.left[stage.name] = 0
        found.counts.update({"instructions": 0} if of_texts else {})
        found.counts.update({"instances": 0} if of_last else {})
        for record in labelled_records.one_by_one(run.outline, run.journal, stage.name):
            found.left[stage.name] += 1
            for name in fields[stage.name]:
                found.lengths.add(name, record.data.get(name))
            if texts and of_texts:
                found.of_text(texts.field, record)
            if of_last:
                found.of_instance(record)
                found.first += [record] if len(found.first) < most else []
    found.last = makers[-1].name if makers else ""
    return found
