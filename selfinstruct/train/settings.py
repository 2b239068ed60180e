"""The sections `train`, `finetune` and `eval`: those of the run, with what the user types now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfinstruct.config import EvalConfig, FinetuneConfig, TrainConfig
from selfinstruct.errors import Fault, RecipeError
from selfinstruct.project.resolving import model_config
from selfinstruct.recipe.again import sections
from selfinstruct.recipe.overrides import quoted_value
from selfinstruct.registry import validate
from selfinstruct.run_folder.opened import OpenedRun

SECTIONS = ("train", "finetune", "eval")
DEFAULTS = {"train": "lora", "eval": "general_en"}  # for a run of a version without these sections


@dataclass(frozen=True)
class Settings:
    """The three sections.

    Attributes:
        train: how the model is tuned.
        finetune: on which examples.
        eval: with which tasks it is evaluated.
    """

    train: TrainConfig
    finetune: FinetuneConfig
    eval: EvalConfig


def settings_of(run: OpenedRun, overrides: Sequence[str], also: Sequence[str]) -> Settings:
    """The sections of a run, changed by overrides.

    Args:
        run: the run.
        overrides: as typed, such as `train=full` and `finetune.examples=100`.
        also: the other keys of the verb, for the message about a wrong one.

    Raises:
        RecipeError: with every fault of the values.
        UserError: for an override that cannot be read, or of another section.
    """
    saved = {key: run.config.get(key) or _default(key, run) for key in SECTIONS}
    found = sections(saved, overrides, run.project, SECTIONS, also)
    faults: list[Fault] = []
    train, wrong = validate(TrainConfig, found["train"] or {}, "train")
    faults += wrong
    finetune, wrong = validate(FinetuneConfig, found["finetune"] or {}, "finetune")
    faults += wrong
    eval, wrong = validate(EvalConfig, found["eval"] or {}, "eval")
    faults += wrong
    if train and train.micro_batch and train.batch_size % train.micro_batch:
        what = f"{train.micro_batch} does not divide train.batch_size, which is {train.batch_size}"
        faults.append(Fault("train.micro_batch", what, "choose a divisor of it"))
    if faults or train is None or finetune is None or eval is None:
        raise RecipeError(faults)
    return Settings(train, finetune, eval)


def _default(section: str, run: OpenedRun) -> dict[str, Any]:
    name = DEFAULTS.get(section)
    return (model_config(name, run.project, section) or {}) if name else {}


def as_overrides(section: str, values: Mapping[str, Any]) -> Iterator[str]:
    """A section as overrides that Hydra reads, so that another composition gets the same values."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from as_overrides(f"{section}.{key}", value)
        else:
            yield f"++{section}.{key}={_written(value)}"


def _written(value: Any) -> str:
    if isinstance(value, str):
        return quoted_value(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    return json.dumps(value)
