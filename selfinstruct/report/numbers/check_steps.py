"""The funnel from requests to the dataset: for each stage, what came in and what each check took out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfinstruct.filters import FILTERS
from selfinstruct.journal.stage_stats import StageStats
from selfinstruct.plugins import PluginError
from selfinstruct.records import SCHEMA_CHECK
from selfinstruct.report.advice import HELP, OTHER
from selfinstruct.report.numbers.run_facts import summary
from selfinstruct.run_folder.handover import DATASET
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import StageOutline


def funnel(run: OpenedRun, waiting: dict[str, int], left: dict[str, int]) -> list[dict[str, Any]]:
    """The funnel of each stage, in order.

    Args:
        run: the run.
        waiting: by stage, the candidates that are kept for a larger target.
        left: by stage that makes records, the accepted ones that no later label has rejected.
    """
    return [
        _stage(stage, run.journal.stats(stage.name), waiting.get(stage.name, 0), left.get(stage.name))
        for stage in run.outline.stages
    ]


def _stage(stage: StageOutline, stats: StageStats, waiting: int, left: int | None) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "kind": stage.kind,
        "requests": stats.requests,
        "replies": stats.replies,
        "cached": stats.cached,
        "candidates": stats.candidates,
        "accepted": stats.accepted,
        "left": stats.accepted if left is None else left,
        "waiting": waiting,
        "steps": _steps(stage, stats),
    }


def _steps(stage: StageOutline, stats: StageStats) -> list[dict[str, Any]]:
    """The checks in the order in which they run: those of the whole reply, the filters, the schema."""
    of_reply = sorted(name for name in stats.rejected if name not in stage.checks and name != SCHEMA_CHECK)
    kinds = {**dict.fromkeys(of_reply), **stage.checks, SCHEMA_CHECK: SCHEMA_CHECK}
    over, steps = stats.candidates, []
    for name, kind in kinds.items():
        rejected = stats.rejected.get(name, 0)
        over -= rejected
        steps.append(
            {
                "check": name,
                "kind": kind or name,
                "rejected": rejected,
                "left_over": over,
                "what": HELP.get(kind or name, OTHER).what,
                "does": _does(kind) if name in stage.checks else "",
            }
        )
    return steps


def _does(kind: str | None) -> str:
    """The sentence that a filter says about itself; empty for a plug-in's that is gone."""
    try:
        return summary(FILTERS.find(kind or ""))
    except (PluginError, KeyError):
        return ""


def dataset_files(run: OpenedRun) -> list[dict[str, Any]]:
    """The data files of the dataset, and how many rows each has; None where that cannot be read here."""
    folder = run.path / DATASET
    paths = sorted(folder.rglob("*")) if folder.is_dir() else []
    return [
        {"file": path.relative_to(folder).as_posix(), "rows": COUNTS[path.suffix](path)}
        for path in paths
        if path.suffix in COUNTS
    ]


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _table_rows(path: Path) -> int:
    """The rows below the heading: a row ends with a line after which all quotation marks are in pairs."""
    rows = marks = 0
    with path.open("rb") as file:  # cells may be longer than the csv module reads
        for line in file:
            marks += line.count(b'"')
            rows += marks % 2 == 0
    return max(rows - 1, 0)


def _parquet_rows(path: Path) -> int | None:
    try:
        from pyarrow.parquet import read_metadata
    except ImportError:  # the run was made on another machine
        return None
    return int(read_metadata(path).num_rows)


COUNTS: dict[str, Callable[[Path], int | None]] = {
    ".jsonl": _lines,
    ".csv": _table_rows,
    ".parquet": _parquet_rows,
}
