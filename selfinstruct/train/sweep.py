"""`selfinstruct finetune -m`: a model for each combination of values, and their comparison.

    finetune -m RUN finetune.examples=100,200,400 train.learning_rate=1e-4,2e-4

Hydra's grammar expands the values. The jobs run one after the other, each in a folder of its own. A job that
is finished is not run again, also if there are more values now. `comparison.json` is written after each job:
{"jobs": [{"run", "overrides", "folder", "state", "error", "examples", "evaluation"}]}, the evaluation as in
`evaluation.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfinstruct.errors import Interrupted, UserError
from selfinstruct.monitor.progress import Progress
from selfinstruct.recipe.overrides import meant
from selfinstruct.report.writing import short
from selfinstruct.run_folder.folder import write_json
from selfinstruct.run_folder.opened import opened, run_of
from selfinstruct.train import ending, log
from selfinstruct.train.settings import settings_of
from selfinstruct.train.tuning import OWN_KEYS, Asked, tune

COMPARISON, JOBS = "comparison.json", "jobs"
FAILED = "failed"


@dataclass
class Job:
    """One of the models.

    Attributes:
        run: the run as typed.
        overrides: the values of this job, and those that all jobs share.
        folder: the name of its folder.
        state: `finished`, `failed` or `stopped`.
        error: why it failed.
        examples: how many examples it was tuned on.
        evaluation: the scores and differences; see `evaluate.results`.
    """

    run: str
    overrides: list[str]
    folder: str
    state: str = log.STOPPED
    error: str | None = None
    examples: int | None = None
    evaluation: Mapping[str, Any] = field(default_factory=dict)


def expanded(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each job, in Hydra's order: the last key changes fastest.

    Raises:
        UserError: for an override that cannot be read.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    try:
        for one in overrides:
            parser.parse_override(one)
    except HydraException as error:
        raise UserError(f"{one!r} cannot be read as an override: {meant(one)}") from error
    try:
        batches = BasicSweeper.split_arguments(parser.parse_overrides(list(overrides)), None)
    except HydraException as error:
        raise UserError(
            f"finetune -m takes lists of values, such as finetune.examples=100,200: {error}"
        ) from error
    return [list(job) for batch in batches for job in batch]


def sweep(asked: Asked, project: Path, progress: Progress) -> int:
    """Tune a model for each combination, and compare them; return the exit status: 1 if one failed.

    Args:
        asked: what the user asks for, with several runs or several values for some keys.
        project: the user's folder.
        progress: shows the progress.

    Raises:
        UserError: for a fault of any job, before the first one begins.
        Interrupted: if the user stops it.
    """
    paths = {run: run_of(run, project, "finetune") for run in asked.run.split(",")}
    first = next(iter(paths.values()))
    if len(paths) > 1 and asked.folder is None:
        raise UserError("models of several runs need a folder for their comparison: to=DIR")
    folder = asked.folder or first / "models"
    every = [(run, tuple(one)) for run in paths for one in expanded(asked.overrides)]
    combined = [(run, [*one]) for run, one in dict.fromkeys(every)]  # a value typed twice makes one model
    for run, values in combined:
        with opened(paths[run], project) as found:
            settings_of(found, values, OWN_KEYS)
    jobs = _placed(combined, _read(folder))
    for number, job in enumerate(jobs, 1):
        progress.say(f"model {number} of {len(jobs)}: {' '.join([job.run, *job.overrides])}")
        one = replace(
            asked,
            run=job.run,
            path=paths[job.run],
            overrides=tuple(job.overrides),
            folder=folder / job.folder,
        )
        try:
            _do(job, one, project, progress)
        finally:
            if not asked.plan_only:
                _write(folder, jobs)
    if not asked.plan_only:
        ending.show(folder, project)
        if page := ending.write_report(first, folder, project, progress):
            print(f"report: {short(page, project)}")
    return int(any(job.state == FAILED for job in jobs))


def _do(job: Job, asked: Asked, project: Path, progress: Progress) -> None:
    """Tune one model; an error of its own does not end the others."""
    try:
        job.evaluation = tune(asked, project, progress) or {}
        job.state, job.error = log.FINISHED, None
    except Interrupted:
        job.state = log.STOPPED
        raise
    except UserError as error:
        job.state, job.error = FAILED, str(error)
        progress.say(f"this model failed: {error}")
    finally:
        assert asked.folder
        job.examples = log.read(asked.folder).get("examples")


def _placed(combined: Sequence[tuple[str, list[str]]], before: Sequence[Job]) -> list[Job]:
    """A job for each combination: the one of before, or a new one in the next free folder."""
    known = {(job.run, *job.overrides): job for job in before}
    free = 1 + max((int(job.folder) for job in before), default=-1)
    found = []
    for run, overrides in combined:
        job = known.get((run, *overrides))
        if job is None:
            job, free = Job(run, overrides, str(free)), free + 1
        found.append(job)
    return found


def _read(folder: Path) -> list[Job]:
    try:
        return [Job(**one) for one in json.loads((folder / COMPARISON).read_text(encoding="utf-8"))[JOBS]]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _write(folder: Path, jobs: Sequence[Job]) -> None:
    """Write the comparison: these jobs, and the earlier ones that are not among them."""
    mine = {job.folder for job in jobs}
    whole = [*(job for job in _read(folder) if job.folder not in mine), *jobs]
    ordered = sorted(whole, key=lambda job: int(job.folder))
    write_json(folder / COMPARISON, {JOBS: [vars(job) for job in ordered]})
