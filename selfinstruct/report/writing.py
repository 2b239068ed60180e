"""Writes the report of a run, or of several: the page, stats.json, and the figures as files if asked for.

The page belongs to its reader, not to the run: `verify` does not check it, and it can be made again at any
time. At the end of a run, a report that fails is a note, and the run is finished all the same.
"""

from __future__ import annotations

import os
import shlex
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.config import ReportConfig
from selfinstruct.errors import UserError
from selfinstruct.report.numbers.stats import TABLES, gather, rounded, stats_text
from selfinstruct.report.numbers.tuning import tuning_of
from selfinstruct.report.page import vega
from selfinstruct.report.page.contents import compared_page, run_page
from selfinstruct.report.page.marks import Figure
from selfinstruct.report.page.tuned import tuned_page
from selfinstruct.run_folder.opened import CONFIG, OpenedRun, opened
from selfinstruct.safety.blot import blotted

PAGE, NUMBERS, FIGURES = "report.html", "stats.json", "figures"
SWITCH = "SELFINSTRUCT_REPORT"  # an environment variable; `off` writes no report at the end of a run
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """Where a report is written.

    Attributes:
        page: the page.
        numbers: the file with the same numbers.
        figures: the folder of the figures, if they are written.
    """

    page: Path
    numbers: Path
    figures: Path


def in_folder(folder: Path) -> Report:
    """The report in a folder of a run or of a sweep."""
    return Report(folder / PAGE, folder / NUMBERS, folder / FIGURES)


def at(page: Path) -> Report:
    """The report with a page that a user has named; its other files have the page's name."""
    return Report(page, page.with_suffix(".json"), page.with_name(f"{page.stem}-{FIGURES}"))


def write_run(path: Path, options: ReportConfig, project: Path, report: Report, tell: Tell) -> None:
    """Write the report of a run.

    Args:
        path: the run folder.
        options: the report's options.
        project: the user's folder.
        report: where to write it.
        tell: gets a line about the step that begins.

    Raises:
        UserError: if the run cannot be read, or the files cannot be written.
    """
    with opened(path, project) as run:
        stats = clean(gather(run, options, tell))
        recipe = _composed(run)
    tell("writing the page")
    typed = shlex.quote(short(path, project))
    command = f"selfinstruct report {typed}"
    text, figures = run_page(stats, typed, command, report.numbers.name, recipe)
    _write(report, text, stats_text(stats), figures, options, tell)


def write_tuned(path: Path, options: ReportConfig, project: Path, report: Report, tell: Tell) -> None:
    """Write the report of a folder of a tuned model, of an evaluation, or of a sweep over trainings.

    Args:
        path: the folder.
        options: the report's options.
        project: the user's folder.
        report: where to write it.
        tell: gets a line about the step that begins.

    Raises:
        UserError: if the files cannot be written.
    """
    stats = clean(rounded(tuning_of(path, options.rows)))
    typed = shlex.quote(short(path, project))
    tell("writing the page")
    text, figures = tuned_page(stats, typed, f"selfinstruct report {typed}", report.numbers.name)
    _write(report, text, stats_text(stats), figures, options, tell)


def write_comparison(
    runs: Mapping[str, Path],
    options: ReportConfig,
    project: Path,
    report: Report,
    tell: Tell,
    title: str,
    command: str,
    notes: Sequence[str] = (),
) -> None:
    """Write a report that compares runs.

    Args:
        runs: their folders by name.
        options: the report's options.
        project: the user's folder.
        report: where to write it.
        tell: gets a line about the step that begins.
        title: the page's title.
        command: the command that makes the page anew.
        notes: what a reader has to know first.

    Raises:
        UserError: if a run cannot be read, or the files cannot be written.
    """
    found = []
    for name, path in runs.items():
        with opened(path, project) as run:
            stats = clean(gather(run, options.model_copy(update={"rows": 0}), lambda step: None))
        found.append({"name": name, "stats": {key: stats[key] for key in stats if key not in TABLES}})
        tell(f"read {name}, {len(found):,} of {len(runs):,}")
    text, figures = compared_page(found, title, command, report.numbers.name, notes)
    _write(report, text, stats_text({"compare": found}), figures, options, tell)


def at_the_end(
    path: Path,
    options: ReportConfig | None,
    project: Path,
    say: Tell,
    write: Callable[..., None] | None = None,
) -> Path | None:
    """Write the report of a run that has just ended; return its page, None if there is none.

    Whatever goes wrong is a note with the command to try again, since the run itself is finished.

    Args:
        path: the run folder.
        options: the report's options; None if the recipe turns it off.
        project: the user's folder.
        say: prints a note.
        write: what writes it, for a report of another kind.
    """
    if options is None or turned_off():
        return None
    report = in_folder(path)
    try:
        (write or write_run)(path, options, project, report, lambda step: None)
    except (Exception, KeyboardInterrupt) as error:
        if not isinstance(error, UserError | OSError | KeyboardInterrupt):
            say(traceback.format_exc())  # a bug, which somebody should see
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        again = f"selfinstruct report {shlex.quote(short(path, project))}"
        say(f"note: there is no report ({why}). The run itself is complete. To try again: {again}")
        return None
    return report.page


def turned_off() -> bool:
    """Whether the environment turns the report at the end of a run off."""
    return os.environ.get(SWITCH, "").strip().lower() in ("off", "0", "false", "no")


def short(path: Path, project: Path) -> str:
    """A path as the user would type it."""
    return str(path.relative_to(project) if path.is_relative_to(project) else path)


def clean(value: Any) -> Any:
    """A value of JSON without secrets."""
    if isinstance(value, str):
        return blotted(value)
    if isinstance(value, Mapping):
        return {clean(key): clean(one) for key, one in value.items()}
    return [clean(one) for one in value] if isinstance(value, list | tuple) else value


def _composed(run: OpenedRun) -> str:
    """The text of the composed recipe; empty if the run has none."""
    path = run.path / CONFIG
    return blotted(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else ""


def _write(
    report: Report,
    text: str,
    numbers: str,
    figures: Sequence[Figure],
    options: ReportConfig,
    tell: Tell,
) -> None:
    try:
        report.page.parent.mkdir(parents=True, exist_ok=True)
        _whole(report.numbers, numbers)
        if options.figures != "page":
            tell(f"writing the figures as {options.figures}")
            vega.write(figures, report.figures, options.figures)
        _whole(report.page, text)
    except OSError as error:
        why = error.strerror or error
        raise UserError(
            f"the report cannot be written to {report.page}: {why}; to=FILE.html writes it elsewhere"
        ) from error


def _whole(path: Path, text: str) -> None:
    """Write a file; readers see the old one or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
