"""One pass over the journal of a run, for all parts of its report that count the candidates themselves.

Whatever counts them has a method `see`; to add one, give it to the stages that it is about in `scanned`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from selfinstruct.filters.novelty import SIMILAR
from selfinstruct.records import WAITING, Record
from selfinstruct.report.numbers.fields import SIMILAR as COMPARING
from selfinstruct.report.numbers.fields import Texts, compared_field
from selfinstruct.report.numbers.nearest import Similarity
from selfinstruct.report.numbers.progress_curve import Progress
from selfinstruct.report.numbers.tables import Rejections, quotas
from selfinstruct.report.numbers.value_counts import Values, judged
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import StageOutline


class Counts(Protocol):
    """Counts the rows of a stage."""

    def see(self, record: Record) -> None:
        """Count a record."""


@dataclass
class Scan:
    """What one pass over the journal counts, by stage."""

    rejections: Rejections
    progress: dict[str, Progress] = field(default_factory=dict)
    similarity: dict[str, Similarity] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)

    def of(self, stage: StageOutline) -> list[Counts]:
        """What counts the rows of a stage."""
        every = (self.progress, self.similarity, self.values)
        return [self.rejections, *(found[stage.name] for found in every if stage.name in found)]

    def classes(self) -> list[list[dict[str, Any]]]:
        """The classes of each stage."""
        return [values.classes(name) for name, values in self.values.items()]


def scanned(run: OpenedRun, config: dict[str, Any], texts: Texts | None, most: int) -> Scan:
    """Read the journal once.

    Args:
        run: the run.
        config: its saved config.
        texts: the texts that the report counts.
        most: how many rejected records to collect.
    """
    fates = {stage.name: run.journal.fates(stage.name)[1] for stage in run.outline.stages}
    counts = {(stage, check): count for stage, found in fates.items() for check, count in found.items()}
    scan = Scan(Rejections(quotas(counts, most)))
    similar = any("rouge_l" in stage.checks.values() for stage in run.outline.makers)
    seeds = frozenset(run.seed_tasks)
    for stage in run.outline.stages:
        if not stage.labels and stage.of is None and stage.model:
            scan.progress[stage.name] = Progress()
        of_texts = texts is not None and texts.stage == stage
        if "rouge_l" in stage.checks.values() or (of_texts and not similar):
            name = compared_field(config, stage) or (texts.field if texts else "")
            checks = [check for check, kind in stage.checks.items() if kind in COMPARING]
            scan.similarity[stage.name] = Similarity(name, checks, seeds)
        told = [name for name in stage.tells if name not in SIMILAR]
        fields = [*stage.own, *stage.lines, *told]
        scan.values[stage.name] = judged(fields) if stage.labels else Values(fields)
        counting = scan.of(stage)
        for record in run.journal.records(stage.name):
            scan.waiting[stage.name] += record.fate == WAITING
            for one in counting:
                one.see(record)
    return scan
