"""One `finetune`: examples, overlap with the evaluation, the training, and the evaluation before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfinstruct.config import EvalConfig
from selfinstruct.evaluate.evaluation import evaluate
from selfinstruct.monitor.progress import Progress
from selfinstruct.run_folder.opened import opened
from selfinstruct.train.examples import examples_of
from selfinstruct.train.kinds import Prepared, Trained, training
from selfinstruct.train.overlap import overlap_of, told
from selfinstruct.train.settings import Settings, as_overrides, settings_of

EVALUATION = "evaluation"  # the folder below that of the model
ENDING = "selfinstruct.train.ending"


@dataclass(frozen=True)
class Asked:
    """What a user asks for.

    Attributes:
        run: the run as typed.
        path: its folder.
        overrides: of train, finetune and eval.
        folder: the folder of the model.
        plan_only: whether to print the plan only.
        fresh: whether to set aside what is in the folder.
        again: the command to go on with.
    """

    run: str
    path: Path
    overrides: tuple[str, ...]
    folder: Path
    plan_only: bool = False
    fresh: bool = False
    again: str = ""


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
    with opened(asked.path, project) as run:
        settings = settings_of(run, asked.overrides, ("to", "fresh"))
        examples = examples_of(run, settings.finetune)
        seed = run.outline.seed
    overlap: dict[str, Any] = {"eval": settings.eval.path, "examples": 0, "named": []}
    if settings.finetune.evaluate:
        with progress.busy("comparing the examples with the evaluation"):
            overlap = overlap_of(examples, settings.eval.path, project)
    if overlap["examples"]:
        progress.say(f"note: {told(overlap, len(examples.rows))}")
    prepared = Prepared(
        asked.run,
        asked.folder,
        project,
        settings.train,
        settings.finetune,
        examples,
        overlap,
        seed,
        progress,
        asked.plan_only,
        asked.fresh,
        asked.again,
    )
    done = training(settings.train.kind)(prepared)
    made = None
    if settings.finetune.evaluate and len(done.models) > 1 and not asked.plan_only:
        made = _evaluate(done, settings, asked.folder, project, progress)
    if done.note:
        print(done.note)
    return made


def _evaluate(
    done: Trained, settings: Settings, folder: Path, project: Path, progress: Progress
) -> Mapping[str, Any]:
    overrides = [*as_overrides("eval", settings.eval.model_dump()), *done.overrides]
    made = evaluate(list(done.models), overrides, folder / EVALUATION, project, progress)
    if find_spec(ENDING):
        from importlib import import_module

        import_module(ENDING).show(folder, settings.eval, project)
    else:
        _show(made, settings.eval)
    return made


def _show(made: Mapping[str, Any], config: EvalConfig) -> None:
    for name, model in made["models"].items():
        for metric, score in model["scores"].items():
            print(f"{name:<30} {metric} {score['mean']:5.1f} ({score['low']:.1f} to {score['high']:.1f})")
    for one in made["differences"]:
        shown = "" if one["shown"] else "; no difference shown"
        print(
            f"{one['after']} - {one['before']}: {one['metric']} {one['mean']:+.1f} "
            f"({one['low']:+.1f} to {one['high']:+.1f}){shown}"
        )
