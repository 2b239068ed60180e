"""The plan of an evaluation: which models answer how many tasks, how they are scored, what it may cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from selfinstruct.evaluate.prepared import Prepared
from selfinstruct.evaluate.results import metrics_of
from selfinstruct.plan.estimate import Estimate, estimate
from selfinstruct.plan.text import aligned, cells, verdict
from selfinstruct.recipe.size import unpriced
from selfinstruct.report.numbers.verdict import NAMES
from selfinstruct.report.writing import short
from selfinstruct.run_folder.folder import look
from selfinstruct.stages.ranges import Range


def outlook(prepared: Prepared, project: Path) -> str:
    """The plan, in words; a path below the project is written as the user types it."""
    config, tasks = prepared.config, prepared.tasks
    ahead = {one.name: estimate(one.recipe, one.path) for one in prepared.models}
    instructions = len({task.instruction for task in tasks})
    metrics = [NAMES[metric] for metric in metrics_of(config, tasks)] or ["nothing: eval.metrics is null"]
    lines = [
        f"evaluation of {', '.join([*ahead, *(one.model for one in prepared.predictions)])}: no fault found",
        "",
        f"  tasks    {len(tasks)} from {config.path}, {instructions} different instructions",
        f"  scored   {', '.join(metrics)}",
        f"  folder   {short(prepared.to, project)}",
        *(f"           {one.name}: {look(one.recipe, one.path)}" for one in prepared.models),
        *(f"           {one.model}: predictions, matched {one.matched}" for one in prepared.predictions),
    ]
    if prepared.judging:
        ahead |= prepared.judging.ahead(prepared.to)
    if ahead:
        lines += ["", *_spending(ahead), *_unpriced(prepared), *_budget(prepared, list(ahead.values()))]
    return "\n".join(
        [*lines, *(["", *(f"  note: {note}" for note in prepared.notes)] if prepared.notes else [])]
    )


def _spending(ahead: dict[str, Estimate]) -> list[str]:
    rows = [
        [name, *cells(one.requests, one.prompt_tokens, one.completion_tokens, one.cost)]
        for name, one in ahead.items()
    ]
    if len(rows) > 1:
        those = list(ahead.values())
        sums = (_sum(one.requests for one in those), _sum(one.prompt_tokens for one in those))
        rows.append(["together", *cells(*sums, _sum(one.completion_tokens for one in those), _cost(those))])
    head = ["", "requests", "tokens sent", "tokens received", "cost"]
    notes = dict.fromkeys(note for one in ahead.values() for note in one.assumed)
    assumed = [f"  {'' if place else 'assumed':<8} {note}" for place, note in enumerate(notes)]
    return ["  expected, with its likely range", *aligned([head, *rows]), *assumed]


def _unpriced(prepared: Prepared) -> Iterator[str]:
    """The models whose price is not known, with the remedy; a question mark in the table means them."""
    recipes = [one.recipe for one in prepared.models]
    if prepared.judging and prepared.config.judge.model:
        recipes += prepared.judging.recipes.values()
    names = dict.fromkeys(name for one in recipes for name in unpriced(one.config, one.stages))
    if names:
        yield (
            f"  cost     no price is known for {', '.join(names)}: set price.input and price.output,\n"
            "           in dollars for a million tokens, in a file of conf/model, or for a judge\n"
            "           'eval.judge.model={name: …, price: {input: …, output: …}}'"
        )


def _budget(prepared: Prepared, ahead: list[Estimate]) -> Iterator[str]:
    """Whether the budget, which is for all models together, is enough."""
    budget = prepared.models[0].recipe.config.budget
    tokens = _sum(one.prompt_tokens + one.completion_tokens for one in ahead)
    done = [one.spent for one in ahead]
    spending = [
        ("usd", budget.usd, sum(one.usd or 0 for one in done), _cost(ahead)),
        ("tokens", budget.tokens, sum(one.tokens for one in done), tokens),
        ("requests", budget.requests, sum(one.requests for one in done), _sum(one.requests for one in ahead)),
    ]
    for key, limit, spent, left in spending:
        if limit is not None and left is not None:
            yield f"  budget   budget.{key}={limit:.15g}, for all models, {verdict(limit, spent, left)}"


def _sum(ranges: Iterator[Range] | list[Range]) -> Range:
    return sum(ranges, Range())


def _cost(ahead: list[Estimate]) -> Range | None:
    costs = [one.cost for one in ahead if one.cost is not None]
    return _sum(costs) if len(costs) == len(ahead) else None
