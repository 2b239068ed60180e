"""The provider of a hosted training as a model, with its key, and the files of conf/model for its models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfinstruct.config import ModelConfig, TrainConfig
from selfinstruct.dataset.trainers import yaml_text
from selfinstruct.errors import Fault, RecipeError
from selfinstruct.llm.fine_tuning import PROVIDERS
from selfinstruct.llm.keys import is_set
from selfinstruct.llm.trust import Model, trust_of
from selfinstruct.run_folder.folder import write_whole
from selfinstruct.safety.blot import learn
from selfinstruct.train.kinds import Prepared

KEYS = {"base": "name", "api_base": "api_base", "api_key_env": "api_key_env"}  # of train, as those of a model
ELSEWHERE = "; write the examples with train=files, and tune with the provider's own command"
NOT_HERE = {  # why a provider that tunes cannot be used
    "vertex_ai": "LiteLLM can start a job there, but cannot follow it",
    "together_ai": "LiteLLM has no calls for its tuning jobs, which have a form of their own",
}
FEWEST = 10  # examples that OpenAI and Azure require
HYPERPARAMETERS = ("batch_size", "learning_rate_multiplier", "prompt_loss_weight")


def server_of(prepared: Prepared) -> ModelConfig:
    """The base as a model, cleared to use its key.

    Raises:
        RecipeError: with every fault of the settings.
    """
    config = prepared.train
    faults = list(_faults(config, len(prepared.examples.rows)))
    model = ModelConfig.model_validate(
        {"name": config.base, "api_base": config.api_base, "api_key_env": config.api_key_env}
    )
    learn(config.api_base)
    said, typed = _who_set(prepared.overrides)
    trust = trust_of(prepared.trust, faults)
    found = trust.clear(Model(model, "train", said, typed))
    faults += [replace(one, where=one.where.replace("train.name", "train.base")) for one in found]
    if config.api_key_env and not is_set(config.api_key_env):
        what = f"the environment variable {config.api_key_env} is not set"
        faults.append(Fault("train.api_key_env", what, f"set it: export {config.api_key_env}=…"))
    if faults:
        raise RecipeError(faults)
    for note in trust.notes:
        prepared.progress.say(f"note: {note.replace('the prompts go', 'the examples go')}")
    return model


def hyperparameters_of(config: TrainConfig) -> dict[str, object]:
    """What the provider is told about the training."""
    return {"n_epochs": round(config.epochs), **config.options}


def write_models(prepared: Prepared, model: ModelConfig, tuned: str) -> tuple[str, str]:
    """Write files of conf/model for the base and the tuned model; return their names for `model=`."""
    parts = [Path(prepared.run).name, *([prepared.folder.name] if prepared.folder.name != "model" else [])]
    own = re.sub(r"[^\w.-]+", "-", "-".join(parts))
    provider = model.name.partition("/")[0]
    base = _written(prepared, model, f"{own}-base", model.name, "The base of a model that was tuned.")
    name = f"{provider}/{tuned}"
    return base, _written(prepared, model, f"{own}-tuned", name, f"{model.name}, tuned on {prepared.run}.")


def _written(prepared: Prepared, model: ModelConfig, stem: str, name: str, what: str) -> str:
    """Write a file of conf/model, under a name that no other model has; return the name."""
    keys: dict[str, Any] = {
        "kind": "litellm",
        "name": name,
        "mode": "chat",
        "api_base": model.api_base,
        "api_key_env": model.api_key_env,
        "concurrency": 16,
        "timeout": 120,
        "retries": 8,
        "sampling": {},
        "options": {},
    }
    text = f"# {what} Written by: {prepared.again}\n{yaml_text(keys)}"
    folder = prepared.project / "conf" / "model"
    number, path = 1, folder / f"{stem}.yaml"
    while path.exists() and not _same(path, text):
        number += 1
        path = folder / f"{stem}-{number}.yaml"
    write_whole(path, [text.encode()])
    return path.stem


def _same(path: Path, text: str) -> bool:
    """Whether a file has the same keys; its first line has the command, which may differ."""
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[1:] == text.split("\n")[1:]


def _who_set(overrides: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """The keys that the run's recipe may have set, and those that the user typed."""
    named = {part.lstrip("+").partition("=")[0] for part in overrides}
    typed = frozenset(ours for key, ours in KEYS.items() if f"train.{key}" in named)
    chosen = "train" in named  # a file of conf/train, which is the user's or ours
    return frozenset() if chosen else frozenset(KEYS.values()) - typed, typed


def _faults(config: TrainConfig, examples: int) -> Iterator[Fault]:
    provider, slash, _ = config.base.partition("/")
    if not slash:
        yield Fault(
            "train.base", f"{config.base!r} names no provider", "write PROVIDER/MODEL: openai/gpt-4.1-mini-…"
        )
    elif provider not in PROVIDERS:
        why = NOT_HERE.get(provider, "LiteLLM has no calls for tuning jobs there")
        yield Fault("train.base", f"{provider}: {why}", f"use {' or '.join(PROVIDERS)}{ELSEWHERE}")
    if config.epochs != round(config.epochs):
        yield Fault("train.epochs", f"{config.epochs:g} is not a whole number", "providers take only those")
    for name in config.options:
        if name not in HYPERPARAMETERS:
            what = f"unknown hyperparameter {name!r}"
            yield Fault(f"train.options.{name}", what, f"known: {', '.join(HYPERPARAMETERS)}")
    if examples < FEWEST:
        what = f"{examples} examples; providers tune on {FEWEST} or more"
        yield Fault("finetune.examples", what, "let the run go on, or set finetune.seed_tasks=true")
