"""The paper's prompts in any language: the prompts of a recipe, and their demonstrations."""

from __future__ import annotations

from typing import Any

from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe.build import Recipe

ASKED = [("classification", None), ("instances", "output_first"), ("instances", "input_first")]


def prompt(recipe: Recipe, stage: str, variant: str | None = None) -> Prompt:
    """A stage's prompt, or one of its variants."""
    return next(one for one in recipe.stage(stage).prompts if one.name == variant)


def shown(recipe: Recipe, stage: str, variant: str | None = None) -> list[dict[str, Any]]:
    """The demonstrations of a prompt."""
    tasks = prompt(recipe, stage, variant).variables["demonstrations"]
    assert isinstance(tasks, list)
    return tasks
