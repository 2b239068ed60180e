"""Records that were found, a run at a glance, and the jobs of a sweep, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from selfinstruct.monitor.terminal import safe
from selfinstruct.show.pieces import BRIEF, fields, name_of, piece

if TYPE_CHECKING:
    from rich.console import Console

    from selfinstruct.show.find import Found

COUNTS = ("accepted", "candidates", "records")  # figures of a job


def show_found(
    found: Found, rows: Sequence[Mapping[str, Any]], what: str, how: str, console: Console
) -> None:
    """Print records that were found, with a number each.

    Args:
        found: what was found.
        rows: the records in short (`story.brief`), each with its fields (`data`).
        what: what was looked for, in words.
        how: how to see one of them, or more.
        console: where to print.
    """
    from rich.padding import Padding

    count = f"{found.total:,} records" if found.total != 1 else "1 record"
    first = f"; the first {len(rows)}:" if len(rows) < found.total else ""
    console.print(piece(f"{count} {what}{first}", "bold"))
    for place, row in enumerate(rows, 1):
        console.print(piece(f"\n{place:>3}  ", "dim") + name_of(row))
        if row["reason"]:
            console.print(Padding(piece(row["reason"]), (0, 0, 0, 5)))
        console.print(Padding(fields(_shown(row), 2 * BRIEF), (0, 0, 0, 5)))
    if how:
        console.print(piece(f"\n{how}", "dim"))


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record without the id that is shown already."""
    return {name: value for name, value in row["data"].items() if value != row["id"]}


def show_run(glance: Mapping[str, Any], path: str, console: Console) -> None:
    """Print a run at a glance; see `overview.overview`."""
    from selfinstruct.report.funnel import show
    from selfinstruct.show.merged_table import merged_table, paid_line

    note = f": {glance['note']}" if glance["note"] else ""
    console.print(piece(f"{path} is {glance['state']}{note}\n"))
    show(dict(glance), glance["samples"], console)
    if facts := glance.get("merged"):
        console.print("\nthe runs that it was merged from:")
        console.print(merged_table(facts))
        console.print(piece(paid_line(facts)))
    id = glance["samples"][0]["id"] if glance["samples"] else "ID"
    console.print(piece(f"\nthe story of a record: selfinstruct show {path} {id}", "dim"))


def show_jobs(jobs: Sequence[Mapping[str, Any]], path: str, how: str, console: Console) -> None:
    """Print the jobs of a sweep with their figures."""
    from rich.table import Table

    table = Table(title=safe(f"{path} is a sweep of {len(jobs)} jobs"), title_justify="left", box=None)
    for heading in ("job", "state", *COUNTS, "objective"):
        table.add_column(heading, justify="left" if heading == "state" else "right", no_wrap=True)
    table.add_column("its own overrides", overflow="fold")
    given = [list(map(str, job.get("overrides") or [])) for job in jobs]
    shared = set(given[0]).intersection(*given)
    for job, overrides in zip(jobs, given, strict=True):
        figures, value = job.get("figures") or {}, job.get("value")
        counts = [f"{figures[name]:,}" if name in figures else "" for name in COUNTS]
        good = "" if value is None else f"{job.get('objective')} {value:.4g}"
        words = " ".join(one for one in overrides if one not in shared)
        table.add_row(str(job["job"]), str(job.get("state", "")), *counts, good, words)
    console.print(table)
    console.print(piece(f"\n{how}", "dim"))
