"""Files of a tuned model as `finetune` and `evaluate` write them; the scores are made by the real code."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfinstruct.config import EvalConfig
from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.answers_file import answered
from selfinstruct.evaluate.results import results

WORDS = ("boat", "leaves", "harbour", "when", "north", "wind", "brings", "rain", "over", "old", "wall")
CONFIG = {"path": "tasks.jsonl", "resamples": 500, "metrics": ["rouge_l"]}


def tasks(count: int = 24) -> list[Task]:
    """Tasks of two categories, whose references have 10 words."""
    draw = random.Random(0)
    return [
        Task(
            f"tasks-{number}",
            f"Describe harbour {number}.",
            "",
            (" ".join(draw.sample(WORDS, 10)),),
            "verse" if number % 3 else "prose",
        )
        for number in range(count)
    ]


def answers(model: str, those: Sequence[Task], right: float, words: int = 10, seed: int = 1) -> Answers:
    """Answers in which a share of the words is the reference's."""
    draw = random.Random(seed)
    texts: list[str | None] = []
    for task in those:
        own = [word if draw.random() < right else "mud" for word in task.references[0].split()]
        texts.append(" ".join((own + ["mud"] * words)[:words]))
    return Answers(model, texts)


def write_evaluation(folder: Path, models: Mapping[str, float | Answers]) -> dict[str, Any]:
    """Write evaluation.json and answers.jsonl for models that get a share of the words right."""
    those = tasks()
    found = [
        share if isinstance(share, Answers) else answers(name, those, share, seed=place)
        for place, (name, share) in enumerate(models.items())
    ]
    made = results(EvalConfig.model_validate(CONFIG), those, found)
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(line) + "\n" for line in answered(["rouge_l"], those, found))
    (folder / "answers.jsonl").write_text("".join(lines), encoding="utf-8")
    write(folder / "evaluation.json", made)
    return made


def write_training(folder: Path, **changed: Any) -> dict[str, Any]:
    """Write training.json: 60 steps in two epochs, with a falling loss."""
    draw = random.Random(2)
    losses = [
        {
            "step": step,
            "epoch": step / 30,
            "loss": 1.5 + 0.9 * 0.95**step + draw.uniform(-0.15, 0.15),
            "learning_rate": 2e-4 * (1 - step / 60),
            "seconds": 5.0 * step,
            "tokens": 640 * step,
        }
        for step in range(1, 61)
    ]
    made = {
        "state": "finished",
        "kind": "lora",
        "base": "embedded",
        "examples": 240,
        "tokens": 38_400,
        "steps": 60,
        "epochs": 2.0,
        "seconds": 300.0,
        "peak_memory_mb": 1_812.0,
        "losses": losses,
        "train": {"kind": "lora", "epochs": 2, "learning_rate": 2e-4, "batch_size": 8, "rank": 16},
        "finetune": {"records": "accepted", "examples": 240},
        "left_out": {"too_long": 3, "overlap": 0},
        "overlap": {"eval": "tasks.jsonl", "examples": 0, "named": []},
        "seed": 7,
        **changed,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "training.json", made)
    return made


def write_sweep(folder: Path, jobs: Sequence[tuple[list[str], int, float]]) -> None:
    """Write comparison.json: each job's overrides, its examples, and the share that its model gets right."""
    made = []
    for number, (overrides, examples, right) in enumerate(jobs):
        found = write_evaluation(folder / str(number), {"embedded": 0.3, "tuned": right})
        made.append(
            {"folder": str(number), "overrides": overrides, "examples": examples, "evaluation": found}
        )
    write(folder / "comparison.json", {"jobs": made})


def write(path: Path, data: Any) -> None:
    """Write a file of JSON."""
    path.write_text(json.dumps(data, indent=2), encoding="utf-8")
