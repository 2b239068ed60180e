"""The figures that compare the jobs of a sweep: one of those below, or a product of several (`a*b`).

To add one, add a function of a job's figures to `OBJECTIVES`. A larger value is always better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selfinstruct.config import RecipeConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.llm.prices import price_of
from selfinstruct.stages import Stage

Figures = Mapping[str, Any]


def _share(part: str, whole: str) -> Callable[[Figures], float | None]:
    def share(figures: Figures) -> float | None:
        of = figures.get(whole)
        return figures[part] / of if of else None

    return share


def _figure(name: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures.get(name)


OBJECTIVES: dict[str, Callable[[Figures], float | None]] = {
    "accepted": _figure("accepted"),
    "acceptance_rate": _figure("acceptance_rate"),
    "accepted_per_request": _share("accepted", "requests"),
    "accepted_per_usd": _share("accepted", "worth_usd"),
    "records": _figure("records"),
    "records_per_usd": _share("records", "worth_usd"),
    "distinct_first_words": _figure("distinct_first_words"),
    "distinct_openings": _figure("distinct_openings"),
    "mean_novelty": _figure("mean_novelty"),
}


def names(objective: str) -> list[str]:
    """The names of the figures in an objective."""
    return [name.strip() for name in objective.split("*")]


def value(objective: str, figures: Figures) -> float | None:
    """The value of the objective for a job; None if one of its figures is not known."""
    factors = [OBJECTIVES[name](figures) for name in names(objective)]
    return None if None in factors else math.prod(float(factor) for factor in factors if factor is not None)


def check_names(objective: str, faults: list[Fault]) -> None:
    """Add the faults in an objective's names."""
    for name in names(objective):
        if name not in OBJECTIVES:
            faults.append(Fault("objective", *unknown("objective", name, OBJECTIVES)))


def check(config: RecipeConfig, stages: Sequence[Stage], faults: list[Fault]) -> None:
    """Add the faults of the recipe's objective: unknown names, and unknown costs."""
    check_names(config.objective, faults)
    if not any(name.endswith("_per_usd") for name in names(config.objective)):
        return
    prices = {stage.model.name: price_of(stage.model) for stage in stages}
    for model, price in prices.items():
        if price is None:
            what = f"{config.objective} needs the price of {model}, which is not known"
            faults.append(Fault("objective", what, "set model.price.input and model.price.output"))
    if prices and all(price and not (price.input or price.output) for price in prices.values()):
        what = f"{config.objective} divides by the cost, and {', '.join(prices)} costs nothing"
        faults.append(Fault("objective", what, "choose another: objective=accepted_per_request"))
