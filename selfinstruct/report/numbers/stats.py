"""The numbers of a run's report, as plain data: what the page shows, and what stats.json has.

All of them come from the journal, so they are the same for the same replies, except seconds and cost. The
journal is read once from start to end (`scan.py`), and the accepted records once more, with their labels
(`made_records.py`). No record stays in memory; texts that are needed again are on the disk. To add a number,
write a module that counts it, and add it to `gather`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selfinstruct.config import ReportConfig
from selfinstruct.dataset.merged import merged
from selfinstruct.report.coverage import COVERAGE
from selfinstruct.report.numbers.check_steps import dataset_files, funnel
from selfinstruct.report.numbers.fields import options, saved, texts_of
from selfinstruct.report.numbers.made_records import made_of
from selfinstruct.report.numbers.measures import diversity, verbs_or_words
from selfinstruct.report.numbers.paper_figures import beside
from selfinstruct.report.numbers.review_summary import review_summary
from selfinstruct.report.numbers.run_facts import run_facts
from selfinstruct.report.numbers.scan import Scan, scanned
from selfinstruct.report.numbers.spending import spending, total
from selfinstruct.report.numbers.tuning import tuning_of_run
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import StageOutline
from selfinstruct.safety.blot import blotted
from selfinstruct.text.tokenizers import is_english

Stats = dict[str, Any]
TABLES = ("records", "rejected", "answers")  # for the page only
DIGITS = 6  # of fractions


def gather(
    run: OpenedRun,
    options: ReportConfig | None = None,
    tell: Callable[[str], None] = lambda step: None,
    questions: Mapping[str, Any] | None = None,
) -> Stats:
    """The numbers of a run, finished or not.

    Args:
        run: the run.
        options: how many rows the tables have.
        tell: gets the name of the step that begins, to show progress.
        questions: the questions of its reviews, if they are not those of its saved config.

    Returns:
        The numbers by section; a section that does not apply is missing or empty.
    """
    most = (options or ReportConfig.model_validate({})).rows
    config, missing = saved(run)
    if questions is None:
        questions = (config.get("review") or {}).get("questions") or {}
    texts = texts_of(run, config)
    tell("reading the records")
    scan = scanned(run, config, texts, most)
    made = made_of(run, texts, most)
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
        "review": review_summary(run, questions),
        "records": made.table(),
        "rejected": scan.rejections.table(run),
    }
    stats |= {"merged": parts} if (parts := merged(run.journal)) else {}
    stats |= {COVERAGE: covered} if (covered := run.journal.meta(COVERAGE)) else {}
    stats |= _of_texts(run, made.texts, tell)
    stats |= tuning_of_run(run.path, most)
    stats["paper"] = beside(stats, run.outline.language)
    found: Stats = rounded(stats)
    return found


def _of_texts(run: OpenedRun, texts: Sequence[str], tell: Callable[[str], None]) -> Stats:
    """`verbs` or `words`, and `diversity`."""
    language = run.outline.language
    if not texts:
        return {"diversity": []}
    tell("measuring diversity")
    found = {"diversity": diversity(texts, language, run.outline.seed)}
    tell("finding verbs" if is_english(language) else "counting words")
    return found | verbs_or_words(texts, language, run.outline.seed)


def stats_text(stats: Mapping[str, Any]) -> str:
    """The contents of stats.json: sorted, and without the tables of the page."""
    kept = {key: value for key, value in stats.items() if key not in TABLES}
    return blotted(json.dumps(kept, ensure_ascii=False, indent=1, sort_keys=True)) + "\n"


def _compared(run: OpenedRun, scan: Scan, config: dict[str, Any]) -> Stats:
    """`similarity` and `progress`: the latter has the mean score of each window."""
    language, similarity = run.outline.language, {}
    for name, found in scan.similarity.items():
        tasks = run.seeds.tasks if run.seeds else []
        seeds = [str(seed.data[found.field]) for seed in tasks if found.field in seed.data]
        scores = found.scores(seeds, language, run.outline.seed)
        similarity[name] = scores.figures(found.rejected, _threshold(run.outline.stage(name), config))
        if name in scan.progress:
            scan.progress[name].scores = scores.between
    curves = {name: curve.curve(run.journal.taken(name)) for name, curve in scan.progress.items()}
    return {
        "similarity": similarity,
        "progress": {name: curve for name, curve in curves.items() if curve["points"]},
    }


def _threshold(stage: StageOutline, config: dict[str, Any]) -> float | None:
    found = (options(config, stage.name, check) for check, kind in stage.checks.items() if kind == "rouge_l")
    return next((float(one["threshold"]) for one in found if "threshold" in one), None)


def rounded(value: Any) -> Any:
    """All fractions with as many digits as a reader needs, so that they do not differ by a machine's last."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {str(key): rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list | tuple) else value
