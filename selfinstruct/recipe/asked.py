"""The models that the parts of a recipe ask, besides the models of the stages: a filter's embedding model.

An option marked with `config.Asks` says which model a part asks: the name of a file, or a model's keys. Here
the model is found, checked and cleared like a stage's model. To let a part ask a model, mark an option of its
factory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from inspect import Parameter
from typing import Any

from selfinstruct.config import Asks, ModelConfig
from selfinstruct.errors import Fault
from selfinstruct.llm import MODELS
from selfinstruct.recipe.models import Models, moved, places_of
from selfinstruct.registry import Registry

# Keys that an embedding model cannot use: it writes no text, and other models' vectors are not comparable.
NOT_OF_VECTORS = (
    *("mode", "sampling", "seeded", "prompts_per_request", "fallbacks", "reasoning_effort"),
    *("thinking_tokens", "batch"),
)
# Options of 0.1.0, which were written beside the model's name.
BEFORE = ("api_base", "api_key_env", "price", "concurrency", "timeout", "retries")
BEFORE_DEFAULTS = {"concurrency": 4, "timeout": 60}


def with_models(
    models: Models, registry: Registry[Any], kind: str, options: dict[str, Any], path: Sequence[str]
) -> dict[str, Any] | None:
    """The options of a part with its models in place; None if one has a fault, which is added.

    Args:
        models: finds models.
        registry: the registry of the part.
        kind: the kind of the part.
        options: its options as the recipe has them.
        path: their place in the recipe.
    """
    bound = dict(options)
    for option, (asks, default) in registry.models(kind).items():
        given = bound.pop(option, default)
        if given is Parameter.empty:  # `build` reports it
            continue
        if given is default is None:  # a part that asks a model only if the recipe names one
            bound[option] = None
            continue
        left = _of_before(bound, registry.options(kind).model_fields)
        if isinstance(given, str) and ("/" in given or (left and given == default)):
            model = _as_before(models, asks, given, left, (*path, option))
        else:
            bound |= left  # these become unknown keys: the model has its own
            model = _looked_up(models, asks, given, (*path, option))
        if model is None:
            return None
        bound[option] = model
    return bound


def _looked_up(models: Models, asks: Asks, given: Any, path: Sequence[str]) -> ModelConfig | None:
    """A model by its file's name, or by its keys; None if it has a fault."""
    where = ".".join(path)
    if not isinstance(given, str | dict):
        words = f"a name of conf/{asks.group}, or a model's keys"
        models.tell([Fault(where, f"should be {words}, not {given!r:.80}")])
        return None
    differs = asks.group == "model"
    base = models.config.model if differs else None
    model = models.named(given, base, where, asks.group)
    if model is None:
        return None
    faults = [*_unusable(model, asks, where)]
    models.tell(faults)
    models.ready(model, where, moved(places_of("model") if differs else {}, given, *path))
    return None if faults else model


def _unusable(model: ModelConfig, asks: Asks, where: str) -> Sequence[Fault]:
    """Faults of a model that cannot embed, and keys that an embedding model cannot use."""
    kind = MODELS.build(model.kind, model.options, "", [])
    if not asks.vectors or kind is None:
        return []
    faults = []
    if not kind.embeds:
        what = f"a model of kind {model.kind} cannot embed texts"
        faults.append(Fault(f"{where}.kind", what, f"name another; there is {where}=local"))
    for key in NOT_OF_VECTORS:
        if getattr(model, key) != ModelConfig.model_fields[key].get_default(call_default_factory=True):
            what = "is not used by a model that embeds texts"
            faults.append(Fault(f"{where}.{key}", what, "leave it out"))
    return faults


def _of_before(options: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the options of 0.1.0, and return them."""
    return {key: options.pop(key) for key in BEFORE if key in options and key not in known}


def _as_before(
    models: Models, asks: Asks, name: str, left: dict[str, Any], path: Sequence[str]
) -> ModelConfig | None:
    """A model given as in 0.1.0: the name that LiteLLM knows, with its keys beside it."""
    where, above = ".".join(path), ".".join(path[:-1])
    if "/" not in name:  # 0.1.0 ignored these options too
        models.notes.append(f"{above}: leave out {', '.join(left)}; {where}={name} has keys of its own")
        return _looked_up(models, asks, name, path)
    keys = {"name": name, **{key: value for key, value in left.items() if value is not None}}
    if "price" in keys:
        keys["price"] = {"input": keys["price"], "output": 0.0}
    written = json.dumps(keys, ensure_ascii=False).replace('"', "")
    models.notes.append(f"{where}: write {written}; the way it is written now works in this version only")
    model = models.named({**BEFORE_DEFAULTS, **keys}, None, where, asks.group)
    if model is None:
        return None
    places = {key: (*path[:-1], key) for key in ("api_base", "api_key_env")} | {"name": path}
    old = {f"{where}.{key}": f"{above}.{key}" for key in BEFORE} | {f"{where}.name": where}
    with models.renamed(old):
        models.ready(model, where, places)
    return model
