"""The kinds of training, by `train.kind`, and what each gets and gives back.

To add one: write a module with a function `train(prepared)`, list it in `KINDS`, and add its name to
`config.tuning.TrainConfig.kind` and a file to `conf/train/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from selfinstruct.config import FinetuneConfig, TrainConfig
from selfinstruct.monitor.progress import Progress
from selfinstruct.train.examples import Examples

KINDS = {
    "lora": "selfinstruct.train.here",
    "full": "selfinstruct.train.here",
    "files": "selfinstruct.train.files",
    "hosted": "selfinstruct.train.hosted",
}


@dataclass(frozen=True)
class Prepared:
    """All that a kind of training gets.

    Attributes:
        run: the run folder as the user typed it, for messages.
        folder: the folder of the model, mostly `RUN/model`; it need not exist yet.
        project: the user's folder; a path in the config is relative to it.
        train: the section `train`.
        finetune: the section `finetune`.
        examples: the examples in chat form, with their ids.
        overlap: the examples that overlap with the evaluation; `training.json` has it as it is.
        seed: the run's seed.
        progress: shows the progress; its `say` prints a line.
        plan_only: print the plan, and train nothing.
        fresh: set aside what is in the folder.
        again: the arguments that the user typed, for messages on how to go on.
        overrides: the overrides of the sections, as typed; a key goes only where the user sends it.
        trust: servers that may get the key (`trust=HOST`).
        yes: the user agrees to the costs beforehand (`yes=true`).
    """

    run: str
    folder: Path
    project: Path
    train: TrainConfig
    finetune: FinetuneConfig
    examples: Examples
    overlap: Mapping[str, Any]
    seed: int
    progress: Progress
    plan_only: bool = False
    fresh: bool = False
    again: str = ""
    overrides: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    yes: bool = False


@dataclass(frozen=True)
class Trained:
    """What a training has made.

    Attributes:
        models: the base and the tuned model as `evaluate` takes them (`model=…`); empty if they cannot be
            asked here.
        note: what the user should know at the end: what was written, or how to go on.
    """

    models: tuple[str, ...] = ()
    note: str = ""


def training(kind: str) -> Callable[[Prepared], Trained]:
    """The function that trains in this way."""
    found: Callable[[Prepared], Trained] = import_module(KINDS[kind]).train
    return found
