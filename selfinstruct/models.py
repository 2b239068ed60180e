"""The models of a recipe's stages: each stage's own or the recipe's, and those that take over from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from selfinstruct import spending
from selfinstruct.blot import learn
from selfinstruct.config import ModelConfig, PromptConfig, RecipeConfig, StageConfig
from selfinstruct.errors import Fault, unknown
from selfinstruct.layout import listing, model_config
from selfinstruct.llm import MODELS
from selfinstruct.llm.naming import name_faults, sampling_faults
from selfinstruct.registry import validate

LITELLM = "litellm"
SENT_AS_THEY_ARE = (LITELLM, "local")  # kinds of model whose requests have the sampling of a recipe


class Models:
    """Finds and checks models.

    Args:
        config: the recipe's keys.
        project: the user's folder.
        faults: receives what is wrong, once where stages share it.

    Attributes:
        wanting: what a run needs and a plan does not: the models' keys.
    """

    def __init__(self, config: RecipeConfig, project: Path, faults: list[Fault]) -> None:
        self.config, self.project, self.faults = config, project, faults
        self.wanting: list[Fault] = []

    def of(self, name: str, stage: StageConfig) -> tuple[ModelConfig, list[ModelConfig]]:
        """The stage's model, which is the recipe's unless it has its own, and what takes over from it."""
        model, where = self.config.model, "model"
        if stage.model is not None:
            where = f"pipeline.{name}.model"
            own = self._named(stage.model, model, where)
            if own is None:
                return model, []
            model = own
        self.ready(model, where)
        fallbacks = []
        holder = spending.place(self.config, name, "fallbacks")
        for number, given in enumerate(model.fallbacks):
            where = f"{holder}.fallbacks.{number}"
            other = self._named(given, model, where)
            if other:
                self.ready(other, where)
                fallbacks.append(other.model_copy(update={"fallbacks": []}))  # one list, no tree
        return model, fallbacks

    def _named(self, given: str | dict[str, Any], base: ModelConfig, where: str) -> ModelConfig | None:
        """A model from conf/model by its name, or another one with the keys that differ."""
        if isinstance(given, str):
            keys = model_config(given, self.project)
            if keys is None:
                known = listing("conf/model", self.project)
                self._tell([Fault(where, *unknown("model", given, known))])
                return None
        else:
            keys = _differing(base, given)
        model: ModelConfig | None
        model, found = validate(ModelConfig, keys, where)
        self._tell(found)
        return model

    def _tell(self, found: list[Fault]) -> None:
        """Add faults that stages may share, once."""
        self.faults.extend(fault for fault in found if fault not in self.faults)

    def ready(self, model: ModelConfig, where: str) -> None:
        """The model's options are right, and its key is there or told of."""
        found: list[Fault] = []
        learn(model.api_base)
        MODELS.build(model.kind, model.options, f"{where}.options", found)
        if model.kind == LITELLM:
            found += name_faults(model, where)
        if model.kind in SENT_AS_THEY_ARE:
            shared = {} if where == "model" else self.config.model.sampling
            own = {key: value for key, value in model.sampling.items() if key not in shared}
            found += sampling_faults(own, f"{where}.sampling")
        key = model.api_key_env
        self._tell(found)
        what = f"the environment variable {key} is not set"
        if key and not os.environ.get(key) and what not in [fault.what for fault in self.wanting]:
            remedy = f"set it: export {key}=…  (model=local needs no key)"
            self.wanting.append(Fault(f"{where}.api_key_env", what, remedy))

    def parameters(self, prompt: PromptConfig, model: ModelConfig, where: str) -> None:
        """The parameters that a stage's prompt asks for are known."""
        if model.kind not in SENT_AS_THEY_ARE:
            return
        found = list(sampling_faults(prompt.sampling, f"{where}.sampling"))
        for name, variant in prompt.variants.items():
            found += sampling_faults(variant.sampling, f"{where}.variants.{name}.sampling")
        self._tell(found)


def _differing(base: ModelConfig, given: dict[str, Any]) -> dict[str, Any]:
    """A model's keys with those that differ; nested ones such as sampling key by key.

    What belongs to the other model alone is not taken over: a kind's options, and a name's price.
    """
    keys = base.model_dump()
    if given.get("kind", base.kind) != base.kind:
        keys["options"] = {}
    if given.get("name", base.name) != base.name:
        keys["price"] = None
    for key, value in given.items():
        nested = isinstance(value, dict) and isinstance(keys.get(key), dict)
        keys[key] = {**keys[key], **value} if nested else value
    return keys
