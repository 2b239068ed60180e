"""One `finetune`: examples, overlap with the evaluation, training, and evaluation before and after."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.evaluate.evaluation import evaluate
from selfinstruct.monitor.progress import Progress
from selfinstruct.report.writing import short
from selfinstruct.run_folder.folder import write_whole
from selfinstruct.run_folder.opened import opened
from selfinstruct.train import ending
from selfinstruct.train.examples import examples_of
from selfinstruct.train.folder import set_aside
from selfinstruct.train.kinds import Prepared, Trained, training
from selfinstruct.train.overlap import overlap_of, told
from selfinstruct.train.settings import Settings, as_overrides, settings_of

OWN_KEYS = ("to", "fresh", "yes", "trust")  # of the verb
EVALUATION, SECTION = "evaluation", "eval.json"  # the folder below that of the model, and its section eval


@dataclass(frozen=True)
class Asked:
    """What a user asks for.

    Attributes:
        run: the run as typed.
        path: its folder.
        overrides: of train, finetune and eval.
        folder: the folder of the model; None for `model` in the run's folder.
        plan_only: whether to print the plan only.
        fresh: whether to set aside what is in the folder.
        again: the command to go on with.
        yes: whether the user agrees to the costs beforehand.
        trust: servers that may get a key.
    """

    run: str
    path: Path
    overrides: tuple[str, ...]
    folder: Path | None = None
    plan_only: bool = False
    fresh: bool = False
    again: str = ""
    yes: bool = False
    trust: tuple[str, ...] = ()


def tune(asked: Asked, project: Path, progress: Progress) -> Mapping[str, Any] | None:
    """Tune a model, evaluate it, and say whether it got better.

    Args:
        asked: what the user asks for.
        project: the user's folder.
        progress: shows the progress.

    Returns:
        The evaluation, as `evaluation.json` has it; None if there is none.

    Raises:
        UserError: for a fault of the arguments, a run without a usable record, or a training that fails.
        Interrupted: if the user stops it.
    """
    folder = asked.folder or asked.path / "model"
    with opened(asked.path, project) as run:
        settings = settings_of(run, asked.overrides, OWN_KEYS)
        examples = examples_of(run, settings.finetune)
        seed = run.outline.seed
    overlap: dict[str, Any] = {"eval": settings.eval.path, "examples": 0, "named": []}
    if settings.finetune.evaluate:
        with progress.busy("comparing the examples with the evaluation"):
            overlap = overlap_of(examples, settings.eval.path, project)
    if overlap["examples"]:
        progress.say(f"note: {told(overlap, len(examples.rows))}")
    prepared = Prepared(
        run=asked.run,
        folder=folder,
        project=project,
        train=settings.train,
        finetune=settings.finetune,
        examples=examples,
        overlap=overlap,
        seed=seed,
        progress=progress,
        plan_only=asked.plan_only,
        fresh=asked.fresh,
        again=asked.again,
        overrides=asked.overrides,
        trust=asked.trust,
        yes=asked.yes,
    )
    done = training(settings.train.kind)(prepared)
    made = None
    if settings.finetune.evaluate and len(done.models) > 1 and not asked.plan_only:
        made = _evaluate(done, settings, folder, project, progress)
    if not asked.plan_only:
        ending.show(folder, project)
    if done.note:
        print(done.note)
    if not asked.plan_only and (page := ending.write_report(asked.path, folder, project, progress)):
        print(f"report: {short(page, project)}")
    return made


def _evaluate(
    done: Trained, settings: Settings, folder: Path, project: Path, progress: Progress
) -> Mapping[str, Any]:
    section = settings.eval.model_dump()
    _make_way(folder / EVALUATION, section)
    overrides = list(as_overrides("eval", section))
    return evaluate(list(done.models), overrides, folder / EVALUATION, project, progress)


def _make_way(folder: Path, section: Mapping[str, Any]) -> None:
    """Set aside an evaluation of before with other tasks or another prompt; its answers are in the cache."""
    kept, now = folder / SECTION, json.dumps(section, indent=2).encode()
    if kept.is_file() and kept.read_bytes() != now:
        set_aside(folder)
    write_whole(kept, [now])
