"""The figures that compare the jobs of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfinstruct.api import Run
from selfinstruct.recipe.build import Recipe
from selfinstruct.stages import Stage
from selfinstruct.text.diversity import diversity, mean_lengths


def figures(recipe: Recipe, run: Run) -> dict[str, Any]:
    """The figures of a run.

    Returns:
        accepted, candidates, acceptance_rate: those of the first stage that makes records.
        records: how many records are left of the last stage that makes records.
        main_reason: the check that rejected the most, with its share of its stage's candidates; if a stage
            fell short of its target, the check of that stage.
        rejected: the number by stage and check.
        requests, cached: how many replies were used, and how many of them came from the cache.
        tokens, cost_usd: the amounts paid in this run.
        worth_usd: the price of all replies used, also those from the cache; None without a known price.
        seconds: the time that the stages took.
        Also the figures of `text.diversity`, for the records of the first stage that makes records.
    """
    stages = run.summary["stages"]
    first, last = recipe.makers[0], recipe.makers[-1]
    made, left = run.records(first.name), run.records(last.name)
    field = _text_field(first)
    counts, worth = stages[first.name], _sum(stages, "worth_usd")
    return {
        "accepted": counts["accepted"],
        "candidates": counts["candidates"],
        "acceptance_rate": counts["accepted"] / counts["candidates"] if counts["candidates"] else None,
        "records": len(left),
        "main_reason": _main_reason(recipe, run.summary),
        "rejected": {
            f"{name}.{check}": count
            for name, stats in stages.items()
            for check, count in stats["rejected"].items()
        },
        "requests": sum(stats["replies"] for stats in stages.values()),
        "cached": sum(stats["cached"] for stats in stages.values()),
        "tokens": sum(stats["tokens"] for stats in stages.values()),
        "cost_usd": None if worth is None else _sum(stages, "cost_usd") or 0.0,
        "worth_usd": worth,
        "seconds": round(sum(stats["seconds"] for stats in stages.values()), 3),
        **diversity(
            [str(record[field]) for record in made if field in record],
            [str(task.data[field]) for task in recipe.seeds.tasks if field in task.data],
            recipe.config.seeds.language,
        ),
        **mean_lengths([_own(record) for record in left], recipe.config.seeds.language),
    }


def _main_reason(recipe: Recipe, summary: Mapping[str, Any]) -> str | None:
    stages = ((recipe.stage(name), stats) for name, stats in summary["stages"].items())
    found = [stats["main_reason"] for stage, stats in stages if stage.kind.flawed(stats["rejected"])]
    missed = summary.get("missed")
    main = missed if missed and missed["check"] else max(found, key=lambda one: one["count"], default=None)
    return f"{main['check']} {main['share']:.0%}" if main else None


def _text_field(stage: Stage) -> str:
    """The field that the stage's checks compare with earlier records; if there is none, its first field."""
    compared = [check.fields[0] for _, check in stage.judge.checks if check.learn and check.fields]
    return next(iter([*compared, *(field for prompt in stage.prompts for field in prompt.parse.fields)]), "")


def _own(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without the keys that say where it comes from."""
    return {key: value for key, value in record.items() if key not in ("id", "parent", "request")}


def _sum(stages: Mapping[str, Mapping[str, Any]], name: str) -> float | None:
    known = [stats[name] for stats in stages.values() if stats.get(name) is not None]
    return sum(known) if known else None
