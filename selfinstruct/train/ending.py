"""How a training ended, on the terminal and in the report: the training, before and after, and a verdict.

The numbers are those of the report (`report/numbers/tuning.py`), so the terminal, the page and stats.json say
the same. `show` works on the folder of a tuned model, and on that of a sweep with comparison.json.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.report.numbers.tuning_files import MODEL, MODELS, Score
from selfinstruct.report.numbers.verdict import interval, signed

if TYPE_CHECKING:
    from rich.console import Console

    from selfinstruct.monitor.progress import Progress

Found = Mapping[str, Any]


def show(folder: Path, project: Path, to: Console | None = None) -> None:
    """Print how a training, or a sweep over trainings, ended; nothing if there is nothing to say.

    Args:
        folder: the folder of the tuned model, or of the sweep.
        project: the user's folder.
        to: where to print it; by default standard output.
    """
    from selfinstruct.monitor.terminal import console
    from selfinstruct.report.numbers.tuning import tuning_of

    found = tuning_of(folder, 0).get("tuning")
    if not found:
        return
    to = to or console(sys.stdout)
    lines = [*found["notes"]]
    if found["training"]:
        lines.append(_trained(found["training"]))
    _print(lines, to)
    if found["evaluation"]:
        _evaluated(folder, found, project, to)
    if found["ablation"]:
        _show_jobs(found["ablation"], to)


def write_report(run: Path, folder: Path, project: Path, progress: Progress) -> Path | None:
    """Write the report of the run again, now with its model; that of another folder beside the model.

    Args:
        run: the folder of the run.
        folder: the folder of the tuned model, or of a sweep.
        project: the user's folder.
        progress: shows that it is being written.
    """
    from selfinstruct.report.command import options_of
    from selfinstruct.report.numbers.tuning import tuning_of
    from selfinstruct.report.writing import at_the_end, write_run, write_tuned

    if not tuning_of(folder, 0).get("tuning"):
        return None  # examples and configs for another trainer: there is nothing to show yet
    own = folder in (run / MODEL, run / MODELS)
    options = options_of(run, (), project)
    with progress.busy("writing the report"):
        path, write = (run, write_run) if own else (folder, write_tuned)
        return at_the_end(path, options, project, progress.say, write)


def _trained(found: Found) -> str:
    """The training in a line."""
    from selfinstruct.report.page.formats import duration, number

    text = f"tuned {found['base']} on {number(found['examples'])} examples"
    if found["steps"] is not None:  # a provider does not say
        text += f": {_steps(found['steps'])}"
    if found["seconds"] is not None:
        text += f" in {duration(found['seconds'])}"
    if found["first_loss"] is not None:
        text += f", loss from {found['first_loss']:.2f} to {found['last_loss']:.2f}"
    return text


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number:,} steps"


def _evaluated(folder: Path, found: Found, project: Path, to: Console) -> None:
    """The tables of the evaluation, and the verdict below them."""
    import json

    from selfinstruct.evaluate import table
    from selfinstruct.report.numbers.tuning import evaluation_file
    from selfinstruct.report.writing import short

    path = evaluation_file(folder)
    to.print()
    table.show(json.loads(path.read_bytes()), Path(short(path, project)), to)
    overlap = (found["training"] or {}).get("overlap")
    for one in found["evaluation"]["differences"]:
        _print(["", one["says"], *one["warnings"]], to)
    if overlap and overlap["examples"]:
        _print(
            [f"{overlap['examples']:,} of the examples overlap with the evaluation: the score is too good."],
            to,
        )


def _show_jobs(found: Found, to: Console) -> None:
    """A row for each job of a sweep."""
    from rich.table import Table

    base = f" (base {found['base']['mean']:.1f})" if found["base"] else ""
    title = f"{found['title']} after tuning{base}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("settings", overflow="fold", min_width=20)
    for head in ("examples", "tuned", "difference", "words"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in found["points"]:
        change = one["difference"]
        told = f"{signed(change['mean'])} ({interval(Score.model_validate(change))})"
        words = "" if one["words"] is None else f"{one['words']:g}"
        table.add_row(one["label"], f"{one['examples'] or 0:,}", f"{one['score']['mean']:.1f}", told, words)
    without = [one["label"] for one in found["points"] if not one["difference"]["shown"]]
    if found["points"]:
        to.print()
        to.print(table)
        said = (
            f"No difference is shown for {'; '.join(without)}." if without else "All differences are shown."
        )
        _print(["", said], to)
    _print([f"{one['label']}: {one['error'] or 'not evaluated'}" for one in found["missing"]], to)


def _print(lines: list[str], to: Console) -> None:
    for line in lines:
        to.print(line, markup=False, highlight=False, soft_wrap=True)
