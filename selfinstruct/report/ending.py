"""How a run ended: as asked, short of its target, without a record, or not yet; and its last line.

A run ended as asked if its bootstrap stages reached the target and its last stage that makes records has at
least one. Fewer passages than the target are as asked, since there are no more. So is the result of a replay,
unless no record is left because a stage accepted nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfinstruct.errors import MISSED_STATUS
from selfinstruct.journal.store import GAVE_UP, Journal
from selfinstruct.recipe.build import Recipe
from selfinstruct.report.reasons import Reasons
from selfinstruct.stages import Stage

FINISHED, MISSED, UNFINISHED = "finished", "missed", "unfinished"
Figures = Mapping[str, Mapping[str, Any]]


def ending(recipe: Recipe, journal: Journal, stages: Figures, finished: bool) -> dict[str, Any]:
    """The state of a run for its summary, and where it missed what was asked.

    Args:
        recipe: the recipe.
        journal: its journal.
        stages: the figures of each stage, with `left` for stages that make records.
        finished: whether the run is finished.
    """
    gave_up = journal.meta(GAVE_UP)
    if not finished and not gave_up:
        return {"state": UNFINISHED}
    short = recipe.stage(gave_up["stage"]) if gave_up else _short(recipe, stages)
    if short is None:
        return {"state": FINISHED}
    after = gave_up["after"] if gave_up else 0
    reasons = Reasons(recipe.config, short, journal, journal.stats(short.name))
    main = reasons.main(after) or {"check": None, "count": 0, "share": None}
    why = reasons.told(after) if main["check"] else "it had no candidate"
    return {"state": MISSED, "missed": {"stage": short.name, **main, "why": why}}


def last_line(recipe: Recipe, summary: Mapping[str, Any], folder: Path) -> str:
    """The result of a run, and its folder."""
    stages = summary["stages"]
    target = None if recipe.config.replay else recipe.config.target
    figures = [(stage, stages[stage.name]) for stage in recipe.makers]
    came = ", ".join(one.kind.came(one, own["accepted"], own["left"], target) for one, own in figures)
    where = folder / "dataset" if recipe.exports else folder
    if summary["state"] != MISSED:
        return f"{came}: {where}"
    missed, last = summary["missed"], recipe.makers[-1].name
    nothing, early = not stages[last]["left"], not summary["finished"]
    what, there = "the target was missed", f"The result: {where}"
    if early:
        what, there = "the run stopped early", f"The result, not all of it labelled or used: {where}"
    if nothing:
        what = f"{what if early else 'nothing was accepted'}, so there are no {last}"
        there = f"The run: {folder}"
    return f"{came}: {what}. In {missed['stage']} {missed['why']}. {there}; exit status {MISSED_STATUS}"


def _short(recipe: Recipe, stages: Figures) -> Stage | None:
    """The stage where a finished run fell short; None if it ended as asked."""
    makers = recipe.makers
    if recipe.config.replay and stages[makers[-1].name]["left"]:
        return None
    if recipe.config.replay:
        judged = (one for one in recipe.stages if stages[one.name]["candidates"])
        return next((one for one in judged if not stages[one.name]["accepted"]), None)
    empty = [stage for stage in makers if not stages[stage.name]["left"]]
    if any(stage is makers[-1] or stages[stage.name]["candidates"] for stage in empty):
        return _where_it_ended(recipe, stages)
    target = recipe.config.target
    return next((one for one in makers if one.kind.falls_short(stages[one.name]["accepted"], target)), None)


def _where_it_ended(recipe: Recipe, stages: Figures) -> Stage:
    """The stage that left no record: the first that accepted none, or else accepted the least."""

    def accepted(stage: Stage) -> float:
        figures = stages[stage.name]
        judged = figures["accepted"] + sum(stage.kind.flawed(figures["rejected"]).values())
        return float(figures["accepted"] / judged) if judged else 0.0

    judged = [stage for stage in recipe.stages if stages[stage.name]["candidates"]]
    return min(judged, key=accepted, default=recipe.stages[0])
