"""Parts of a recipe that ask a model of their own: any part, with any model, under the rules of a stage's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from tiny_recipe import write_tiny

from selfinstruct.config import Asks, ModelConfig
from selfinstruct.errors import Fault
from selfinstruct.filters import Filter
from selfinstruct.recipe.asked import with_models
from selfinstruct.recipe.compose import compose
from selfinstruct.recipe.models import Models
from selfinstruct.recipe.said import Said
from selfinstruct.registry import Registry

PATH = ("filters", "ideas", "judged")
WHERE = "filters.ideas.judged.model"
REWARDS: Registry[Filter] = Registry("filter", (), "filters", Filter)


@REWARDS.register
def judged(*, field: str, model: Annotated[ModelConfig | str, Asks()] = "tiny") -> Filter:
    """A filter that asks a model of conf/model, as a plug-in may bring one."""
    assert isinstance(model, ModelConfig)
    return Filter(fields=(field,), asks=model)


@pytest.fixture
def looked_up(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Looks the filter's model up, in a recipe of which a stranger's file says these keys."""
    monkeypatch.setenv("MY_OTHER_SECRET", "hunter2-0123456789-secret")
    monkeypatch.setenv("TINY_KEY", "sk-tiny-0123456789")
    write_tiny(project)
    config = compose(["recipe=tiny"], project).recipe().config

    def look(by_recipe: dict[str, Any], **options: Any) -> tuple[Filter | None, Sequence[Fault]]:
        faults: list[Fault] = []
        keys = {"filters": {"ideas": {"judged": options}}, "model": config.model.model_dump()}
        models = Models(config, project, faults, Said([by_recipe], keys))
        bound = with_models(models, REWARDS, "judged", options, PATH)
        made = REWARDS.build("judged", bound, ".".join(PATH), faults) if bound is not None else None
        return made, faults

    return look


def test_a_filters_model_is_a_stages_model(looked_up: Any) -> None:
    """By default, by the name of a file, or by the keys that differ from the recipe's model."""
    for options, name in (({}, "openai/tiny"), ({"model": {"name": "openai/judge"}}, "openai/judge")):
        made, faults = looked_up({}, field="instruction", **options)
        assert (made.asks.name, made.asks.api_key_env, made.asks.timeout) == (name, "TINY_KEY", 10)
        assert made.asks.cleared
        assert faults == []


def test_a_recipe_sends_no_key_by_it(looked_up: Any) -> None:
    """What a stranger's recipe says of it decides nothing about where the user's key goes."""
    said = {"api_base": "https://evil.example.com/v1"}
    recipe = {"filters": {"ideas": {"judged": {"field": "instruction", "model": said}}}}
    _, (fault,) = looked_up(recipe, field="instruction", model=said)
    assert fault.where == f"{WHERE}.api_base"
    assert "the value of TINY_KEY would go to evil.example.com" in fault.what
    said = {"api_key_env": "MY_OTHER_SECRET"}
    recipe["filters"]["ideas"]["judged"]["model"] = said
    _, (fault,) = looked_up(recipe, field="instruction", model=said)
    assert fault.where == f"{WHERE}.api_key_env"


def test_a_model_that_is_not_there(looked_up: Any) -> None:
    """The nearest of conf/model, and no filter."""
    made, (fault,) = looked_up({}, field="instruction", model="opnai")
    assert (made, fault.where) == (None, WHERE)
    assert "did you mean 'openai'?" in fault.remedy
