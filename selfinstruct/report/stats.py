"""The numbers of a run's report, as plain data: what the page shows, and what stats.json has.

All of them come from the journal, so they are the same for the same replies, except seconds and cost. The
journal is read once from start to end; whatever counts its rows has a method `see`. To add a number, write a
module that counts it, and add it to `gather`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from selfinstruct.config import ReportConfig
from selfinstruct.filters.novelty import SIMILAR
from selfinstruct.records import ACCEPTED, WAITING, Record
from selfinstruct.report.check_steps import dataset_files, funnel
from selfinstruct.report.fields import Texts, compared_field, options, saved, texts_of
from selfinstruct.report.measures import USUAL, Lengths, diversity, verbs_or_words
from selfinstruct.report.nearest import Similarity
from selfinstruct.report.paper_figures import beside
from selfinstruct.report.progress_curve import Progress
from selfinstruct.report.review_summary import review_summary
from selfinstruct.report.run_facts import run_facts
from selfinstruct.report.spending import spending, total
from selfinstruct.report.tables import Rejections, quotas, record_table
from selfinstruct.report.value_counts import LONGEST, Values, described, judged
from selfinstruct.run_folder import labelled_records
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import StageOutline
from selfinstruct.safety.blot import blotted
from selfinstruct.text.tokenizers import is_english

Stats = dict[str, Any]
TABLES = ("records", "rejected")  # for the page only
DIGITS = 6  # of fractions
CLASSIFICATION = "is_classification"
ANSWERS = "answers to classification tasks"


class Counts(Protocol):
    """Counts the rows of a stage."""

    def see(self, record: Record) -> None:
        """Count a record."""


def gather(
    run: OpenedRun, options: ReportConfig | None = None, tell: Callable[[str], None] = lambda step: None
) -> Stats:
    """The numbers of a run, finished or not.

    Args:
        run: the run.
        options: how many rows the tables have.
        tell: is told what is done now, for progress.

    Returns:
        The numbers by section; a section that does not apply is missing or empty.
    """
    most = (options or ReportConfig.model_validate({})).rows
    config, missing = saved(run)
    texts = texts_of(run, config)
    tell("reading the records")
    scan = _scanned(run, config, texts, most)
    made = _made(run, scan, texts, most)
    scan.kept.clear()
    facts = run_facts(run)
    tell("comparing texts")
    compared = _compared(run, scan, config)
    rows = spending(run)
    stats: Stats = {
        "run": {**facts, "notes": [*facts["notes"], *missing]},
        "funnel": funnel(run, scan.waiting, made.left),
        "dataset": dataset_files(run),
        **compared,
        "lengths": made.lengths.figures(),
        "classes": [*(one for values in scan.classes() for one in values), *made.answers()],
        "scores": [one for name, values in scan.values.items() for one in values.scores(name)],
        "sizes": made.sizes,
        "spending": rows,
        "total": total(rows),
        "review": review_summary(run, config),
        "records": made.records,
        "rejected": scan.rejections.table(run),
    }
    stats |= _of_texts(run, made.texts, tell)
    stats["paper"] = beside(stats, run.outline.language)
    found: Stats = _rounded(stats)
    return found


def _of_texts(run: OpenedRun, texts: Sequence[str], tell: Callable[[str], None]) -> Stats:
    """`verbs` or `words`, and `diversity`."""
    language = run.outline.language
    if not texts:
        return {"diversity": []}
    tell("measuring diversity")
    found = {"diversity": diversity(texts, language, run.outline.seed)}
    tell("finding verbs" if is_english(language) else "counting words")
    return found | verbs_or_words(texts, language)


def stats_text(stats: Mapping[str, Any]) -> str:
    """The contents of stats.json: sorted, and without the tables of the page."""
    kept = {key: value for key, value in stats.items() if key not in TABLES}
    return blotted(json.dumps(kept, ensure_ascii=False, indent=1, sort_keys=True)) + "\n"


@dataclass
class _Scan:
    """What one pass over the journal counts, by stage.

    Attributes:
        kept: the records that are needed again: accepted ones, and all labels.
    """

    rejections: Rejections
    progress: dict[str, Progress] = field(default_factory=dict)
    similarity: dict[str, Similarity] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)
    kept: dict[str, list[Record]] = field(default_factory=dict)

    def records(self, stage: str, fate: str | None = None) -> Iterator[Record]:
        """The records of a stage, as `labelled_records.rows` asks for them."""
        return (record for record in self.kept.get(stage, []) if fate in (None, record.fate))

    def of(self, stage: StageOutline) -> list[Counts]:
        """What counts the rows of a stage."""
        every = (self.progress, self.similarity, self.values)
        return [self.rejections, *(found[stage.name] for found in every if stage.name in found)]

    def classes(self) -> list[list[dict[str, Any]]]:
        """The classes of each stage."""
        return [values.classes(name) for name, values in self.values.items()]


def _scanned(run: OpenedRun, config: dict[str, Any], texts: Texts | None, most: int) -> _Scan:
    fates = {stage.name: run.journal.fates(stage.name)[1] for stage in run.outline.stages}
    counts = {(stage, check): count for stage, found in fates.items() for check, count in found.items()}
    scan = _Scan(Rejections(quotas(counts, most)))
    similar = any("rouge_l" in stage.checks.values() for stage in run.outline.makers)
    seeds = frozenset(run.seed_tasks)
    for stage in run.outline.stages:
        if not stage.labels and stage.of is None and stage.model:
            scan.progress[stage.name] = Progress()
        of_texts = texts is not None and texts.stage == stage
        if "rouge_l" in stage.checks.values() or (of_texts and not similar):
            name = compared_field(config, stage) or (texts.field if texts else "")
            checks = [check for check, kind in stage.checks.items() if kind in ("rouge_l", "exact_duplicate")]
            scan.similarity[stage.name] = Similarity(name, checks, seeds)
        told = [name for name in stage.tells if name not in SIMILAR]
        fields = [*stage.own, *stage.lines, *told]
        scan.values[stage.name] = judged(fields) if stage.labels else Values(fields)
        counting = scan.of(stage)
        kept = scan.kept.setdefault(stage.name, [])
        for record in run.journal.records(stage.name):
            scan.waiting[stage.name] += record.fate == WAITING
            for one in counting:
                one.see(record)
            if stage.labels or record.fate == ACCEPTED:
                kept.append(record)
    return scan


def _compared(run: OpenedRun, scan: _Scan, config: dict[str, Any]) -> Stats:
    """`similarity` and `progress`: the latter has the mean score of each window."""
    language, similarity = run.outline.language, {}
    for name, found in scan.similarity.items():
        tasks = run.seeds.tasks if run.seeds else []
        seeds = [str(seed.data[found.field]) for seed in tasks if found.field in seed.data]
        scores = found.scores(seeds, language, run.outline.seed)
        similarity[name] = scores.figures(found.rejected, _threshold(run.outline.stage(name), config))
        if name in scan.progress:
            scan.progress[name].scores.update(scores.by_request())
    curves = {name: curve.curve(run.journal.taken(name)) for name, curve in scan.progress.items()}
    return {
        "similarity": similarity,
        "progress": {name: curve for name, curve in curves.items() if curve["points"]},
    }


def _threshold(stage: StageOutline, config: dict[str, Any]) -> float | None:
    found = (options(config, stage.name, check) for check, kind in stage.checks.items() if kind == "rouge_l")
    return next((float(one["threshold"]) for one in found if "threshold" in one), None)


@dataclass
class _Made:
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


def _made(run: OpenedRun, scan: _Scan, texts: Texts | None, most: int) -> _Made:
    found, makers = _Made(Lengths(run.outline.language)), run.outline.makers
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


def _rounded(value: Any) -> Any:
    """All fractions with as many digits as a reader needs, so that they do not differ by a machine's last."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {str(key): _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
