"""Run the recipe `evaluate` for each of several models, and score their answers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import UserError
from selfinstruct.evaluate.answers import Answers, answers_of
from selfinstruct.evaluate.answers_file import ANSWERS, answered
from selfinstruct.evaluate.results import results
from selfinstruct.run_folder.folder import write_whole

if TYPE_CHECKING:
    from selfinstruct.monitor.progress import Progress

RESULTS = "evaluation.json"
RECIPE = "evaluate"


def evaluate(
    models: Sequence[str], overrides: Sequence[str], to: Path, project: Path, progress: Progress
) -> dict[str, Any]:
    """Let models answer the tasks, score the answers, and write the result.

    Args:
        models: names of conf/model, GGUF files, or folders of tuned models.
        overrides: the other overrides, as for a run: `eval=user_tasks`, `budget.usd=5`.
        to: the folder to write to; each model's answers are a run below it.
        project: the user's folder.
        progress: shows the progress.

    Returns:
        What is written to `to/evaluation.json`; see `results`.

    Raises:
        UserError: for a fault in the recipe with any of the models, before one is asked; or if a model fails.
    """
    from selfinstruct.api.execution import execute
    from selfinstruct.recipe.compose import compose

    names = names_of(models)
    composed = [compose([f"recipe={RECIPE}", f"model={model}", *overrides], project) for model in models]
    recipes = [one.recipe() for one in composed]  # every fault, before the first request
    found: list[Answers] = []
    for name, one, recipe in zip(names, composed, recipes, strict=True):
        execute(recipe, to / name, progress, one.saved)
        tasks, answers = answers_of(name, to / name)
        found.append(answers)
    config = recipes[0].config.eval
    if config is None:
        raise UserError("eval: the section is missing; choose one: eval=general_en")
    made = results(config, tasks, found)
    lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in answered(made["metrics"], tasks, found))
    write_whole(to / ANSWERS, (line.encode("utf-8", "replace") for line in lines))
    (to / RESULTS).write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return made


def names_of(models: Sequence[str]) -> list[str]:
    """A short name for each model, for tables and folders; different ones for different models."""
    plain = [re.sub(r"[^\w.-]+", "-", model.removesuffix(".gguf")).strip("-.") or "model" for model in models]
    return [name if plain.count(name) == 1 else f"{name}-{place}" for place, name in enumerate(plain, 1)]
