"""The comparison of a sweep's jobs: a table on the terminal, `sweep.csv` and `sweep.json`.

Each row is a job. The rows are sorted by the objective, the best first. Since that order does not show the
reason, further tables compare the jobs that differ in only one axis side by side.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct import sweeps
from selfinstruct.safety.blot import blotted
from selfinstruct.sweeps import Outcome, axes, split

if TYPE_CHECKING:
    from rich.console import Console

# On the terminal: a figure's name, the column's heading, and its format.
# On a narrow terminal, the last of them are left out.
COLUMNS = (
    ("accepted", "accepted", "{:,}"),
    ("acceptance_rate", "rate", "{:.1%}"),
    ("main_reason", "main reason", "{}"),
    ("distinct_openings", "openings", "{:,}"),
    ("mean_novelty", "novelty", "{:.3f}"),
    ("records", "records", "{:,}"),
    ("cost_usd", "cost", "${:.4f}"),
    ("requests", "requests", "{:,}"),
    ("cached", "cached", "{:,}"),
    ("seconds", "seconds", "{:.1f}"),
)
LONG_NAME = 12  # the most characters of an objective in a heading; a longer one is only in the title
MOST_ROWS = 40  # on the terminal; the files have all rows


def best_first(jobs: Sequence[Outcome]) -> list[Outcome]:
    """The jobs sorted by the objective's value; jobs without one are last, by number."""
    return sorted(jobs, key=lambda job: (job.value is None, -(job.value or 0.0), job.job))


def write(sweep: Path, jobs: Sequence[Outcome]) -> None:
    """Write `sweep.csv` and `sweep.json` into the sweep's folder."""
    rows = [_row(job, axes(jobs)) for job in best_first(jobs)]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    (sweep / "sweep.csv").write_text(blotted(text.getvalue()), encoding="utf-8")
    whole = {
        "objective": next((job.objective for job in jobs if job.objective), None),
        "axes": axes(jobs),
        "jobs": [_entry(job) for job in best_first(jobs)],
        "side_by_side": side_by_side(jobs),
    }
    (sweep / "sweep.json").write_text(
        blotted(json.dumps(whole, ensure_ascii=False, indent=2)) + "\n", encoding="utf-8"
    )


def side_by_side(jobs: Sequence[Outcome]) -> list[dict[str, Any]]:
    """For each axis, the groups of jobs that differ only in it: their shared values, and the job of each."""
    keys = axes(jobs)
    settings = {job.job: dict(map(split, job.overrides)) for job in jobs}
    found = []
    for axis in keys if len(keys) > 1 else []:
        groups: dict[tuple[str, ...], list[Outcome]] = {}
        others = [key for key in keys if key != axis]
        for job in sorted(jobs, key=lambda job: job.job):
            groups.setdefault(tuple(settings[job.job].get(key, "") for key in others), []).append(job)
        found += [
            {
                "axis": axis,
                "where": dict(zip(others, shared, strict=True)),
                "jobs": {
                    settings[job.job].get(axis, ""): {"job": job.job, "value": job.value} for job in group
                },
            }
            for shared, group in groups.items()
            if len(group) > 1
        ]
    return found


def show(sweep: Path, jobs: Sequence[Outcome], console: Console) -> None:
    """Print the comparison, the errors, and the names of the files."""
    keys, names = axes(jobs), short(axes(jobs))
    aim = next((job.objective for job in jobs if job.objective), "objective")
    _show_all(keys, names, aim, jobs, console)
    if len(jobs) > MOST_ROWS:
        console.print(f"… and {len(jobs) - MOST_ROWS} more in sweep.csv")
    for axis, name in zip(keys, names, strict=True):
        _show_axis(axis, name, aim, jobs, console)
    if any(job.note for job in jobs):
        console.print("\nreplays without a model; each job's summary.json notes what they cannot know")
    for text in _errors(jobs):
        console.print(f"\n{text}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\nsweep: {sweep}/sweep.csv, sweep.json", markup=False, highlight=False, soft_wrap=True)


def _show_all(
    keys: Sequence[str], names: Sequence[str], aim: str, jobs: Sequence[Outcome], console: Console
) -> None:
    """Print a row for each job, with as many figures as there is room for."""
    from rich.table import Table

    columns = [("job", [str(job.job) for job in jobs])]
    columns += [
        (name, [dict(map(split, job.overrides)).get(key, "") for job in jobs])
        for key, name in zip(keys, names, strict=True)
    ]
    states = ["" if job.state == sweeps.FINISHED else job.state for job in jobs]
    figures = [
        (heading, [_written(job.figures.get(name), form) for job in jobs])
        for name, heading, form in COLUMNS
        if any(job.figures.get(name) for job in jobs)
    ]
    if aim not in [name for name, _, _ in COLUMNS]:
        heading = aim if len(aim) <= LONG_NAME else "objective"
        columns.append((heading, [_written(job.value, "{:.4g}") for job in jobs]))
    columns += [("", states)] if any(states) else []
    while figures and sum(map(_width, [*columns, *figures])) > console.width:
        figures.pop()
    place = len(columns) - any(states)
    columns[place:place] = figures
    table = Table(title=f"sweep of {len(jobs)} jobs, best first by {aim}", title_justify="left", box=None)
    for heading, _ in columns:
        table.add_column(heading, justify="left" if heading in names else "right", overflow="fold")
    for job in best_first(jobs)[:MOST_ROWS]:
        table.add_row(*(cells[jobs.index(job)] for _, cells in columns))
    console.print(table)


def _width(column: tuple[str, list[str]]) -> int:
    heading, cells = column
    return max(map(len, [heading, *cells])) + 2  # a blank on either side


def _errors(jobs: Sequence[Outcome]) -> list[str]:
    """The errors of the jobs, each once with the numbers of its jobs."""
    numbers: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        if job.error:
            numbers.setdefault((job.state, job.error), []).append(str(job.job))
    return [
        f"job{'s' * (len(those) > 1)} {', '.join(those)}: {state}: {error}"
        for (state, error), those in numbers.items()
    ]


def _show_axis(axis: str, name: str, aim: str, jobs: Sequence[Outcome], console: Console) -> None:
    from rich.table import Table

    groups = [group for group in side_by_side(jobs) if group["axis"] == axis]
    if not groups:
        return
    values = list(dict.fromkeys(value for group in groups for value in group["jobs"]))
    others = list(groups[0]["where"])
    table = Table(title=f"\n{aim} by {name}", title_justify="left", box=None)
    for heading in short(others):
        table.add_column(heading, overflow="fold")
    for value in values:
        table.add_column(f"{name}={value}", justify="right", overflow="fold")
    for group in groups[:MOST_ROWS]:
        cells = [_written(group["jobs"].get(value, {}).get("value"), "{:.4g}") for value in values]
        table.add_row(*group["where"].values(), *cells)
    console.print(table)


def short(keys: Sequence[str]) -> list[str]:
    """The last parts of the keys, as many as needed to make them different."""
    for parts in range(1, 12):
        names = [".".join(key.split(".")[-parts:]) for key in keys]
        if len(set(names)) == len(set(keys)):
            return names
    return list(keys)


def _written(value: Any, form: str) -> str:
    return "" if value is None else form.format(value)


def _entry(job: Outcome) -> dict[str, Any]:
    facts = dict(job.__dict__)
    del facts["fingerprint"]
    return facts


def _row(job: Outcome, keys: Sequence[str]) -> dict[str, Any]:
    """A job as a row of `sweep.csv`."""
    own = dict(map(split, job.overrides))
    figures = {name: value for name, value in job.figures.items() if name != "rejected"}
    rejected = {f"rejected.{name}": count for name, count in job.figures.get("rejected", {}).items()}
    return {
        "job": job.job,
        "state": job.state,
        **{key: own.get(key, "") for key in keys},
        "objective": job.objective,
        "value": job.value,
        **figures,
        **rejected,
        "error": job.error,
        "overrides": " ".join(job.overrides),
    }
