"""The numbers of a tuned model: what it was trained on, its losses, and the scores before and after.

`tuning_of` reads the files in a folder as `tuning_files` has them. The evaluation is in `scores`, the sweep
in `ablation`, and the sentences are in `verdict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import fsum
from pathlib import Path
from typing import Any

from selfinstruct.report.numbers.ablation import ablation
from selfinstruct.report.numbers.answers import answers
from selfinstruct.report.numbers.scores import scores
from selfinstruct.report.numbers.tuning_files import (
    COMPARISON,
    EVALUATION,
    MODEL,
    MODELS,
    TRAINING,
    Comparison,
    Evaluation,
    Loss,
    Overlap,
    Training,
    read,
)

BELOW = "evaluation"  # the folder of the evaluation below that of a tuned model
POINTS = 400  # of the loss curve
SMOOTHED = 20  # the curve is a mean over one part in so many of the steps
NAMED = 200  # examples that are named
LEFT_OUT = {
    "too_long": "longer than train.max_tokens",
    "schema": "without a text to learn",
    "duplicate": "the same as another",
    "where": "that finetune.where does not take",
    "examples": "more than finetune.examples",
}
SETTINGS = ("epochs", "learning_rate", "batch_size", "rank", "max_tokens", "precision", "packing")


def why_left_out(reason: str) -> str:
    """Which examples a reason leaves out, in words."""
    return LEFT_OUT.get(reason, reason.replace("_", " "))


def tuning_of_run(run: Path, most: int) -> dict[str, Any]:
    """The numbers of the models that were tuned on a run, as `tuning_of` gives them."""
    return tuning_of(run / MODEL, most, run / MODELS)


def tuning_of(folder: Path, most: int, sweep: Path | None = None) -> dict[str, Any]:
    """The numbers of a folder of a tuned model, of an evaluation, or of a sweep over trainings.

    Args:
        folder: the folder with training.json, evaluation.json or both.
        most: how many rows the table of answers may have.
        sweep: the folder with comparison.json; by default the same.

    Returns:
        `tuning` with `training`, `evaluation` and `ablation`, each None if there is none, and `notes` on
        files that could not be used; `answers`, a table, if there are answers; nothing without such files.
    """
    notes: list[str] = []
    trained = read(folder / TRAINING, Training, notes)
    file = evaluation_file(folder)
    evaluated = read(file, Evaluation, notes)
    compared = read((sweep or folder) / COMPARISON, Comparison, notes)
    table = answers(file.parent, sweep.parent if sweep else folder, most, notes) if evaluated else None
    if not (trained or evaluated or compared or notes):
        return {}
    tuning: dict[str, Any] = {
        "training": _training(trained) if trained else None,
        "evaluation": scores(evaluated, notes, trained is not None) if evaluated else None,
        "ablation": ablation(compared) if compared else None,
    }
    tuning["notes"] = [*notes, *(_notes(trained) if trained else [])]
    return {"tuning": tuning, **({"answers": table} if table else {})}


def evaluation_file(folder: Path) -> Path:
    """The evaluation in a folder, or in the folder `evaluation` below it; it may be absent."""
    below = folder / BELOW / EVALUATION
    return below if below.is_file() and not (folder / EVALUATION).is_file() else folder / EVALUATION


def is_tuning(folder: Path) -> bool:
    """Whether a folder has files of a training, of an evaluation, or of a sweep over trainings."""
    return any((folder / name).is_file() for name in (TRAINING, EVALUATION, COMPARISON))


def _training(found: Training) -> dict[str, Any]:
    """What a model was trained on, and how its loss went."""
    settings = {key: found.train[key] for key in SETTINGS if found.train.get(key) is not None}
    losses = [loss for loss in found.losses if loss.loss is not None]
    return {
        "state": found.state,
        "kind": found.kind,
        "base": found.base,
        "examples": found.examples,
        "tokens": found.tokens,
        "steps": found.steps,
        "epochs": found.epochs,
        "seconds": found.seconds,
        "peak_memory_mb": found.peak_memory_mb,
        "seed": found.seed,
        "settings": settings,
        "finetune": dict(found.finetune),
        "left_out": [
            {"why": why_left_out(why), "count": count} for why, count in found.left_out.items() if count
        ],
        "overlap": _overlap(found.overlap) if found.overlap else None,
        "losses": curve(losses),
        "epochs_end": _epochs(losses),
        "first_loss": _mean(losses[: _window(losses)]),
        "last_loss": _mean(losses[-_window(losses) :]),
    }


def curve(losses: Sequence[Loss]) -> list[dict[str, Any]]:
    """The losses by step, each with the mean around it; of many, means of as many as the figure has room for.

    Returns:
        For each point `step`, `epoch`, `loss` and `smooth`; `smooth` is None where there are too few.
    """
    wide = -(-len(losses) // POINTS) if losses else 1
    groups = [losses[place : place + wide] for place in range(0, len(losses), wide)]
    half = _window(losses) // wide // 2
    means = [_mean(group) or 0.0 for group in groups]
    return [
        {
            "step": group[-1].step,
            "epoch": group[-1].epoch,
            "loss": means[place],
            "smooth": _middle(means, place, half) if half else None,
        }
        for place, group in enumerate(groups)
    ]


def _middle(means: Sequence[float], place: int, half: int) -> float:
    """The mean around a place; near an end, of as many on either side as there are."""
    half = min(half, place, len(means) - 1 - place)
    around = means[place - half : place + half + 1]
    return fsum(around) / len(around)


def _window(losses: Sequence[Loss]) -> int:
    return max(1, len(losses) // SMOOTHED)


def _mean(losses: Sequence[Loss]) -> float | None:
    known = [loss.loss for loss in losses if loss.loss is not None]
    return fsum(known) / len(known) if known else None


def _epochs(losses: Sequence[Loss]) -> list[int]:
    """The steps after which an epoch is over, apart from the last one."""
    return [
        one.step
        for one, following in pairwise(losses)
        if one.epoch is not None and following.epoch is not None and -(-one.epoch // 1) < following.epoch
    ]


def _overlap(found: Overlap) -> dict[str, Any]:
    pairs = [{"example": str(one.example), "task": str(one.task)} for one in found.named[:NAMED]]
    return {"eval": found.eval, "examples": max(found.examples, len(pairs)), "named": pairs}


def _notes(found: Training) -> list[str]:
    """What a reader has to know about the training first."""
    failed = next((loss.step for loss in found.losses if loss.loss is None), None)
    notes = []
    if failed is not None:
        notes.append(
            f"The loss is not a number from step {failed:,} on, so the model is of no use. A lower "
            "train.learning_rate may help."
        )
    if found.state == "running":
        notes.append("The training had not ended when this was written; these are its steps so far.")
    elif found.state != "finished":
        notes.append("The training was stopped; these are its steps so far. The same command goes on.")
    return notes
