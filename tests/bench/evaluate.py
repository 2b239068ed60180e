"""What scoring costs: eight files of predictions for 252 tasks, with all intervals; run by hand.

    python tests/bench/evaluate.py            # seconds, the medians of three passes that take turns
    python tests/bench/evaluate.py 5

The predictions are other references of the paper's 252 tasks, mixed into the right ones and cut. `command` is
the whole of `selfinstruct evaluate predictions=…` in a process of its own, from its start to its end; the
other lines are parts of it, in this process. `rouge-score` is its own scorer over the same answers, not cut.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from selfinstruct.config import EvalConfig
from selfinstruct.evaluate import metrics
from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.bootstrap import _kept
from selfinstruct.evaluate.results import results

ROOT = Path(__file__).resolve().parents[2]
TASKS = ROOT.parent / "shared/data/user_oriented_instructions.jsonl"
FILES = 8


def main() -> None:
    """Print a line for each part."""
    passes = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rows = [json.loads(line) for line in TASKS.read_text(encoding="utf-8").splitlines()]
    tasks = [_task(place, row) for place, row in enumerate(rows, 1)]
    answers = [Answers(f"m{number}", list(_answers(tasks, number))) for number in range(FILES)]
    config = EvalConfig.model_validate({"path": str(TASKS)})
    with tempfile.TemporaryDirectory() as folder:
        files = [_written(Path(folder), tasks, one) for one in answers]
        parts: dict[str, Callable[[], object]] = {
            "command": lambda: _command(Path(folder), files),
            "results (scores, 28 pairs, intervals)": lambda: results(config, tasks, answers),
            "ROUGE-L of all answers": lambda: _ours(tasks, answers),
            "rouge-score of all answers": lambda: _theirs(tasks, answers),
        }
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
        for _ in range(passes):
            for name, part in parts.items():
                seconds[name].append(_timed(part))
    for name, found in seconds.items():
        wall, cpu = (median(values) for values in zip(*found, strict=True))
        print(f"{name:40} {wall:7.2f} s, {cpu:7.2f} s of CPU")


def _timed(part: Callable[[], object]) -> tuple[float, float]:
    for cached in (metrics._stemmed, metrics._number, _kept):
        cached.cache_clear()
    wall, cpu = time.monotonic(), _cpu()
    part()
    return time.monotonic() - wall, _cpu() - cpu


def _cpu() -> float:
    """Seconds of CPU of this process and of those that it has waited for."""
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system


def _task(place: int, row: dict[str, object]) -> Task:
    instance = row["instances"][0]  # type: ignore[index]
    reference = (str(instance["output"]),)
    name = str(row["id"])
    return Task(f"tasks-{place}-0", str(row["instruction"]), str(instance["input"]), reference, "", name)


def _answers(tasks: list[Task], number: int) -> list[str]:
    drawn = random.Random(number)
    made = []
    for task in tasks:
        words = f"{task.references[0]} {drawn.choice(tasks).references[0]}".split()
        made.append(" ".join(words[drawn.randrange(len(words) // 2 + 1) :][: drawn.randrange(5, 300)]))
    return made


def _written(folder: Path, tasks: list[Task], answers: Answers) -> Path:
    path = folder / f"{answers.model}.jsonl"
    rows = [{"id": task.name, "prediction": text} for task, text in zip(tasks, answers.texts, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _command(folder: Path, files: list[Path]) -> None:
    given = ["eval=user_tasks", f"eval.path={TASKS}", f"predictions={','.join(path.name for path in files)}"]
    command = [sys.executable, "-m", "selfinstruct", "evaluate", *given]
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=paths, check=True, capture_output=True)


def _ours(tasks: list[Task], answers: list[Answers]) -> list[float]:
    return [
        metrics.scored(metrics.ROUGE_L, text, task.references)
        for one in answers
        for text, task in zip(one.texts, tasks, strict=True)
    ]


def _theirs(tasks: list[Task], answers: list[Answers]) -> list[float]:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    return [
        max(scorer.score(one, text or "")["rougeL"].fmeasure for one in task.references)
        for given in answers
        for text, task in zip(given.texts, tasks, strict=True)
    ]


if __name__ == "__main__":
    main()
