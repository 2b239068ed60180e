"""What never changes comes first in each shipped prompt, so that a cache of prompts recognizes it."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest

from selfinstruct.project.layout import packaged
from selfinstruct.recipe.compose import compose
from selfinstruct.recipe.size import samples
from selfinstruct.stages import Stage

NO_PROMPT = {"magpie"}  # nothing but the opening of a turn, and the task as it is
RECIPES = sorted({path.stem for path in (packaged() / "recipes").glob("*.yaml")} - NO_PROMPT)
SCRIPTED = ("model=scripted", "model.mode=chat")
LAST = 130  # characters of fixed text that may come after what is drawn: the question, or a closing line
# Prompts that begin with what is drawn, with the reason.
DRAWN_FIRST = {
    ("evaluate", "answers"): "an evaluation task is asked as it is",
    ("preferences", "answers"): "a task is asked as it is",
    ("preferences_pairwise", "answers"): "a task is asked as it is",
    ("tools", "calls"): "a request is asked as it is; the rules are in the system message",
}
# Recipes whose examples take more room than their rules.
EXAMPLES = {"alpaca", "alpaca_original", "grounded", "evolve", "preferences", "preferences_pairwise", "tools"}
LISTS = {
    "paper",
    "paper_classification",
    "completion",
    "quickstart",
    "checked",
}  # a list that the model continues


@lru_cache
def stages(recipe: str) -> list[tuple[Stage, list[tuple[str, int]]]]:
    """The stages of a recipe that ask a model, each with some requests: their text, and how much is fixed."""
    one_model = ["pipeline.instances.model=null"] if recipe == "distill" else []
    built = compose([f"recipe={recipe}", *SCRIPTED, *one_model], Path(recipe)).recipe()
    found = []
    for stage in built.stages:
        if stage.prompts:
            asked = samples(built.config, built.stages, stage, built.seeds)
            texts = [("".join(part.text for part in one.messages), one.fixed, one.variant) for one in asked]
            texts.sort(key=lambda text: text[2] or "")
            found.append((stage, [(text, fixed) for text, fixed, _ in texts]))
    return found


def least(recipe: str, stage: str) -> float:
    """The share of a prompt that two requests in a row have to share at least."""
    if (recipe, stage) in DRAWN_FIRST:
        return 0.0
    if stage == "conversations":
        return 0.1  # the rest is the conversation; its next request begins with all of it
    if stage in ("instructions", "tasks"):
        if recipe in LISTS:
            return 0.01  # only a line comes before the list
        return 0.3 if recipe in EXAMPLES else 0.5
    if recipe in ("grounded", "tools"):
        return 0.3  # the rest is the passage, or the tools
    return 0.4 if stage.split("_")[0] in ("judge", "rating", "comparison", "swapped") else 0.6


@pytest.mark.parametrize("recipe", RECIPES)
def test_requests_in_a_row_begin_alike(recipe: str) -> None:
    """Each prompt shares as much with the one before as it can; `fixed` is how much that is at least."""
    for stage, asked in stages(recipe):
        shares = []
        for (one, fixed), (other, also) in pairwise(asked):
            alike = (place for place, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1)
            common = next(alike, min(len(one), len(other)))
            if fixed == also and one[:fixed] == other[:fixed]:  # of the same variant
                assert common >= fixed, stage.name
                shares.append(common / len(other))
        assert sum(shares) / len(shares) >= least(recipe, stage.name), (stage.name, sum(shares) / len(shares))


@pytest.mark.parametrize("recipe", RECIPES)
def test_little_fixed_text_comes_after_what_is_drawn(recipe: str) -> None:
    """Only a question or a closing line does."""
    for stage, _ in stages(recipe):
        for prompt in stage.prompts:
            if prompt.talks:  # it ends with the conversation so far
                assert prompt.fixed_system.beginning
                continue
            late = prompt.fixed.later if prompt.fixed_system.whole else prompt.fixed.beginning
            assert len(late.strip()) <= LAST, (stage.name, prompt.name, late)
            assert prompt.fixed.beginning or (recipe, stage.name) in DRAWN_FIRST


def test_a_swapped_comparison_shares_its_beginning_with_the_other() -> None:
    """Names that a template sets from what is drawn don't end its beginning."""
    found = {stage.name: stage.prompts[0].fixed for stage, _ in stages("compare")}
    assert len(found["comparison"].beginning) > 400
    assert found["swapped"].beginning == found["comparison"].beginning
