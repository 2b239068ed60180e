"""`selfinstruct report RUN`: writes the page that explains a run, or one that compares several."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfinstruct.config import ReportConfig
from selfinstruct.errors import RecipeError, UserError
from selfinstruct.monitor.progress import Progress
from selfinstruct.project.layout import path_below
from selfinstruct.project.resolving import plain_list
from selfinstruct.recipe.again import sections
from selfinstruct.registry import validate
from selfinstruct.report.numbers.tuning import is_tuning
from selfinstruct.report.writing import (
    Report,
    Tell,
    at,
    in_folder,
    short,
    write_comparison,
    write_run,
    write_tuned,
)
from selfinstruct.run_folder.folder import JOURNAL
from selfinstruct.run_folder.opened import CONFIG, opened, run_of

HELP = """\
selfinstruct report: write the page that explains a run, or a page that compares runs

  selfinstruct report RUN                          report.html and stats.json in the run's folder
  selfinstruct report RUN RUN …                    a comparison, beside the first run
  selfinstruct report SWEEP                        a comparison of its jobs, in the sweep's folder
  selfinstruct report EVALUATION                   scores, differences and answers, in the evaluation's folder

  RUN is the folder of a run, finished or not, also while it runs. The page is one file; it opens from the
  disk, in any browser, and loads nothing. stats.json has the same numbers.

  to=FILE.html           write the page there, and the other files beside it
  report.figures=svg     also write each figure as a file, to figures/; or png
  report.rows=5000       how many records, and how many rejections, are in the page's tables (2000)

  selfinstruct report runs/chat report.figures=svg
  selfinstruct report runs/chat runs/alpaca to=compared.html

A run writes its report itself when it ends. report=off turns that off, and so does SELFINSTRUCT_REPORT=off
in the environment.
"""


def main(arguments: list[str], project: Path) -> int:
    """Write a report; return the exit status.

    Raises:
        UserError: if the arguments name no run, or the report cannot be made.
    """
    runs, overrides, to = _parsed(arguments, project)
    one = path_below(project, runs[0]) if len(runs) == 1 else None
    jobs = jobs_of(one) if one else []
    if one and is_tuning(one) and not (one / JOURNAL).is_file():
        report = to or in_folder(one)
        write_tuned(one, _bound({}, overrides, project), project, report, Progress().say)
    elif one and not jobs:
        path = run_of(runs[0], project, "report")
        report = to or in_folder(path)
        write_run(path, options_of(path, overrides, project), project, report, Progress().say)
    else:
        report = _compare(runs, jobs, overrides, project, to)
    print(f"report: {short(report.page, project)}, {short(report.numbers, project)}")
    return 0


def options_of(path: Path, overrides: Sequence[str], project: Path) -> ReportConfig:
    """The options that the run has saved, changed by those typed; its report may have been off."""
    saved: Any = None
    with opened(path, project) as run:
        if (run.path / CONFIG).is_file():
            saved = run.config.get("report")
    return _bound(saved if isinstance(saved, dict) else {}, overrides, project)


def jobs_of(folder: Path) -> list[Path]:
    """The jobs of a sweep that have a journal, in order; none for another folder."""
    if not folder.is_dir() or (folder / JOURNAL).is_file():
        return []
    jobs = [path for path in folder.iterdir() if path.name.isdecimal() and (path / JOURNAL).is_file()]
    return sorted(jobs, key=lambda path: int(path.name))


def saved_options(sweep: Path, project: Path) -> ReportConfig | None:
    """The options of a sweep's report, as its first readable job has them; None if there is to be none."""
    for path in jobs_of(sweep):
        try:
            with opened(path, project) as run:
                saved = run.config.get("report")
            return ReportConfig.model_validate(saved) if isinstance(saved, dict) else None  # off
        except (UserError, ValueError):  # a job that failed early; the next one knows
            continue
    return None


def write_sweep(sweep: Path, options: ReportConfig, project: Path, report: Report, tell: Tell) -> None:
    """Write the comparison of a sweep's jobs; one that cannot be read is only named."""
    readable, notes = [], []
    for path in jobs_of(sweep):
        try:
            with opened(path, project):
                readable.append(path)
        except UserError as error:
            notes.append(f"Job {path.name} is left out: {error}")
    if not readable:
        raise UserError("\n  ".join(["no job of the sweep can be read", *notes]))
    runs = dict(zip(_of_jobs(readable), readable, strict=True))
    command = shlex.join(["selfinstruct", "report", short(sweep, project)])
    write_comparison(runs, options, project, report, tell, f"Sweep {sweep.name}", command, notes)


def _compare(
    typed: Sequence[str], jobs: Sequence[Path], overrides: Sequence[str], project: Path, to: Report | None
) -> Report:
    """Write the comparison of a sweep's jobs, or of the runs as typed; return where it is."""
    if jobs:
        sweep = path_below(project, typed[0])
        report = to or in_folder(sweep)
        write_sweep(sweep, options_of(jobs[0], overrides, project), project, report, Progress().say)
        return report
    paths = [run_of(name, project, "report") for name in typed]
    report = to or _beside(paths)
    names = [short(path, project) for path in paths]
    command = shlex.join(["selfinstruct", "report", *names])
    runs, options = dict(zip(names, paths, strict=True)), options_of(paths[0], overrides, project)
    title = f"{len(paths)} runs compared"
    write_comparison(runs, options, project, report, Progress().say, title, command)
    return report


def _parsed(arguments: Sequence[str], project: Path) -> tuple[list[str], list[str], Report | None]:
    """The names of runs, the overrides, and where to write, as typed."""
    runs: list[str] = []
    overrides: list[str] = []
    to, rest = "", list(arguments)
    while rest:
        part = rest.pop(0)
        key, equals, value = part.partition("=")
        if key in ("to", "--to"):
            to = value if equals else rest.pop(0) if rest else ""
            if not to.endswith(".html"):
                raise UserError("report: give the name of the page with its ending: to=FILE.html")
        elif equals and not path_below(project, part).exists():
            overrides.append(part)
        elif part.startswith("-"):
            raise UserError(f"report: {part} is not an option; see selfinstruct report --help")
        else:
            runs.append(part)
    if not runs:
        raise UserError("report takes the folder of a run: selfinstruct report runs/NAME")
    if len({path_below(project, run).resolve() for run in runs}) < len(runs):
        raise UserError("report: the same run is named twice; give different runs to compare")
    return runs, overrides, at(path_below(project, to)) if to else None


def _bound(saved: dict[str, Any], overrides: Sequence[str], project: Path) -> ReportConfig:
    """Saved options, changed by those typed."""
    kept = {"report": saved}
    found = sections(kept, overrides, project, ("report",), ("to",))["report"]
    if not isinstance(found, dict):
        raise UserError(f"report={found}: write report.KEY=VALUE; report=off is for the command of a run")
    bound, faults = validate(ReportConfig, found, "report")
    if faults:
        raise RecipeError(faults)
    options: ReportConfig = bound
    return options


def _beside(paths: Sequence[Path]) -> Report:
    """The comparison beside the first run, named after all of them."""
    name = "-and-".join(path.name for path in paths[:4])
    return at(paths[0].with_name(f"{name}.html"))


def _of_jobs(paths: Sequence[Path]) -> list[str]:
    """The names of a sweep's jobs: the number, and what was set differently."""
    typed = [plain_list(file) if (file := path / ".hydra/overrides.yaml").is_file() else [] for path in paths]
    common = set(typed[0]).intersection(*typed[1:]) if len(typed) > 1 else set()
    return [
        " ".join(
            [f"job {path.name}", *(part for part in own if part not in common and "run_dir=" not in part)]
        )
        for path, own in zip(paths, typed, strict=True)
    ]
