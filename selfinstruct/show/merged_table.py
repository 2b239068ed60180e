"""The table of the runs that a run was merged from, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from selfinstruct.dataset.merged import dropped, paid
from selfinstruct.monitor.terminal import safe

if TYPE_CHECKING:
    from rich.table import Table


def merged_table(facts: Mapping[str, Any]) -> Table:
    """By stage and run: how many records were given, kept, and dropped by which check.

    Args:
        facts: the facts about the merge; see `dataset.merged.merged`.
    """
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("stage / run", overflow="fold")
    for column in ("given", "kept"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("dropped", overflow="fold")
    for stage, given in facts["stages"].items():
        sums = [sum(one[key] for one in given) for key in ("given", "accepted")]
        counts = [*(f"{count:,}" for count in sums), f"{sums[0] - sums[1]:,}"]
        table.add_row(safe(stage), *counts, style="bold")
        for one in given:
            counts = [f"{one['given']:,}", f"{one['accepted']:,}"]
            table.add_row(f"  {safe(one['run'])}", *counts, safe(dropped(one)))
    return table


def paid_line(facts: Mapping[str, Any]) -> str:
    """What the runs of a merge had cost already, together and each."""
    runs = facts["runs"]
    each = "; ".join(f"{one['run']} {paid([one])}" for one in runs)
    return f"already paid by these runs: {paid(runs)} ({each})"
