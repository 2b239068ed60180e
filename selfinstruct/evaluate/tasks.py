"""The tasks of an evaluation before a model is asked, and what prevents their answers from being scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from selfinstruct.config import EvalConfig
from selfinstruct.errors import Fault, UserError
from selfinstruct.evaluate.answers import TASKS, Task, task_of
from selfinstruct.evaluate.metrics import ROUGE_L, scorable
from selfinstruct.evaluate.predictions import AllTasks
from selfinstruct.evaluate.results import metrics_of
from selfinstruct.report.numbers.verdict import NAMES
from selfinstruct.stages.rows import Rows

if TYPE_CHECKING:
    from selfinstruct.recipe.build import Recipe

NAMED = 5  # tasks named in a fault


def tasks_of(recipe: Recipe) -> AllTasks:
    """The tasks that a run of the recipe `evaluate` asks about, before it is run.

    Raises:
        UserError: if the recipe reads no file of tasks.
    """
    stage = recipe.stage(TASKS)
    if not isinstance(stage.kind, Rows):
        raise UserError(f"pipeline.{TASKS}: is not of the kind rows; use recipe=evaluate")
    seed = recipe.config.seed
    there = replace(stage.kind, most=None, shuffle=False).candidates(stage, seed)
    chosen = stage.kind.candidates(stage, seed)
    return AllTasks([task_of(one) for one in there], [task_of(one) for one in chosen])


def checked(recipe: Recipe, tasks: AllTasks, faults: list[Fault]) -> tuple[EvalConfig, list[str]]:
    """The section eval, and notes on the tasks; `faults` receives those that prevent scoring.

    Raises:
        UserError: if the recipe has no such section.
    """
    config = recipe.config.eval
    if config is None:
        raise UserError("eval: the section is missing; choose one: eval=general_en")
    twice = [name for name, times in Counter(task.name for task in tasks.there).items() if name and times > 1]
    if twice:
        what = f"several tasks have the same id: {', '.join(twice[:NAMED])}"
        faults.append(
            Fault(config.path, what, "give each task its own id, or leave it out: eval.columns.task=null")
        )
    for metric in metrics_of(config, tasks.chosen):
        faults += _unscorable(config, metric, tasks)
    fewer = config.tasks is not None and config.tasks > len(tasks.there)
    return config, [f"eval.tasks={config.tasks}, but there are only {len(tasks.there)}"] if fewer else []


def _unscorable(config: EvalConfig, metric: str, tasks: AllTasks) -> Iterator[Fault]:
    """A fault if tasks have no references, or none that a metric can read."""
    count = len(tasks.chosen)
    without = [task for task in tasks.chosen if not task.references]
    if without:
        places = ", ".join(_place(task, tasks) for task in without[:NAMED])
        more = f" and {len(without) - NAMED} more" if len(without) > NAMED else ""
        yield Fault(
            config.path,
            f"{len(without)} of {count} tasks have no reference to score answers with: {places}{more}",
            "add them, name their column (eval.columns.references=COLUMN), or have nothing scored: "
            "eval.metrics=null",
        )
        return
    blank = [task for task in tasks.chosen if not any(scorable(metric, one) for one in task.references)]
    if metric == ROUGE_L and len(blank) * 2 > count:
        what = f"{NAMES[metric]} reads only the letters a to z and digits; in {len(blank)} of {count}"
        remedy = "set eval.language to the language of the tasks, or eval.metrics=[chrf]"
        yield Fault(config.path, f"{what} tasks, the references have none", remedy)


def _place(task: Task, tasks: AllTasks) -> str:
    return task.name or f"task {[one.id for one in tasks.there].index(task.id) + 1}"
