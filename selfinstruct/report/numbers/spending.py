"""Tokens, cost and time of each stage, by the model that answered."""

from __future__ import annotations

from typing import Any

from selfinstruct.run_folder.opened import OpenedRun

EMBEDDINGS = "embeddings"
_COUNTS = ("requests", "cached", "prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens")


def spending(run: OpenedRun) -> list[dict[str, Any]]:
    """A row for each stage and model that answered; the seconds of a stage are in its first row.

    Tokens and cost count only what was paid for; a reply from the cache cost nothing.
    """
    rows = []
    for stage in run.outline.stages:
        stats = run.journal.stats(stage.name)
        found = run.journal.spending(stage.name)
        if stats.embeddings:
            found.append(_embeddings(stats.embeddings))
        for place, row in enumerate(found):
            rows.append({"stage": stage.name, **row, "seconds": None if place else stats.seconds})
    return rows


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums of all rows; the cost is None if no price is known."""
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    sums = {name: sum(row[name] for row in rows) for name in _COUNTS}
    seconds = round(sum(row["seconds"] or 0 for row in rows), 3)
    return {**sums, "cost_usd": sum(costs) if costs else None, "seconds": seconds}


def _embeddings(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": EMBEDDINGS,
        "requests": figures["requests"],
        "cached": figures["cached"],
        "prompt_tokens": figures["tokens"],
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "completion_tokens": 0,
        "cost_usd": figures["cost_usd"],
    }
