"""Run the recipe `evaluate` for each of several models, and score their answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import BudgetReached, Interrupted, UserError
from selfinstruct.evaluate.answers import Answers, Task, answers_of
from selfinstruct.evaluate.answers_file import ANSWERS, answered
from selfinstruct.evaluate.judged import JUDGED
from selfinstruct.evaluate.prepared import Contestant, Prepared, prepare
from selfinstruct.evaluate.results import RESULTS as RESULTS
from selfinstruct.evaluate.results import results
from selfinstruct.journal.repair import looked_into
from selfinstruct.records import Spent
from selfinstruct.run_folder.folder import JOURNAL, in_use, write_json, write_whole
from selfinstruct.safety.blot import blotted

if TYPE_CHECKING:
    from selfinstruct.monitor.progress import Progress
    from selfinstruct.recipe.build import Recipe

FAILED = "failed"


def evaluate(
    models: Sequence[str],
    overrides: Sequence[str],
    to: Path,
    project: Path,
    progress: Progress,
    *,
    predictions: Sequence[str] = (),
) -> dict[str, Any]:
    """Let models answer the tasks, score the answers, and write the result.

    Args:
        models: names of conf/model, GGUF files, or folders of tuned models.
        overrides: the other overrides, as for a run: `eval=user_tasks`, `budget.usd=5`.
        to: the folder to write to; each model's answers are a run below it.
        project: the user's folder.
        progress: shows the progress.
        predictions: files of answers that others have collected, to score beside them.

    Returns:
        What is written to `to/evaluation.json`; see `results`. If a model failed, "failed" has its message.

    Raises:
        UserError: for a fault in the recipe with any of the models, before one is asked; or if all fail.
        Interrupted: if the user stopped it, or the budget is spent. The same command goes on.
    """
    return carry_out(prepare(models, overrides, to, project, predictions), progress)


def carry_out(prepared: Prepared, progress: Progress) -> dict[str, Any]:
    """Ask the models of a prepared evaluation, and score all answers; see `evaluate`."""
    for note in prepared.notes:
        progress.say(f"note: {note}")
    found, failed = list[Answers](), dict[str, str]()
    stopped: BudgetReached | None = None
    for one in prepared.models:
        try:
            found.append(_answers(one, prepared, progress))
        except BudgetReached as error:
            stopped = BudgetReached(_told(prepared, one, error))
            break
        except Interrupted:
            raise
        except UserError as error:
            failed[one.name] = str(error)
            progress.say(f"{one.name} failed: {error}")
    found += prepared.predictions
    if not found:
        raise stopped or UserError("\n".join(f"{name} failed: {why}" for name, why in failed.items()))
    with progress.busy("scoring the answers"):
        made = {**results(prepared.config, prepared.tasks, found), FAILED: failed}
        lines = answered(made["metrics"], prepared.tasks, found)
        write_whole(prepared.to / ANSWERS, (_encoded(json.dumps(one, ensure_ascii=False)) for one in lines))
    write_json(prepared.to / RESULTS, made)
    if stopped:
        raise stopped
    if prepared.judging:
        made[JUDGED] = _judged(prepared, found, progress)
        write_json(prepared.to / RESULTS, made)
    return made


def _judged(prepared: Prepared, found: Sequence[Answers], progress: Progress) -> dict[str, Any]:
    """The judgement of the answers, within what the models leave of the budget."""
    assert prepared.judging
    runs = [*(one.path for one in prepared.models), *prepared.judging.runs(prepared.to)]

    def within(recipe: Recipe, run: Path) -> Recipe:
        return _within(recipe, [spent(path) for path in runs if path != run])

    try:
        return prepared.judging.done(prepared.tasks, found, prepared.to, progress, within)
    except BudgetReached as error:
        limits = prepared.judging.budget
        given = " ".join(f"budget.{key}={value:g}" for key, value in limits if value is not None)
        raise BudgetReached(
            f"the budget of the models and the judge together ({given}) does not allow another request. The "
            "answers are scored, but not all are judged. The same command with a larger budget goes on"
        ) from error


def _encoded(text: str) -> bytes:
    return f"{blotted(text)}\n".encode("utf-8", "replace")


def _answers(one: Contestant, prepared: Prepared, progress: Progress) -> Answers:
    """A model's answers, once its run has ended."""
    from selfinstruct.api.execution import execute

    if len(prepared.models) > 1:
        place = prepared.models.index(one) + 1
        progress.say(f"{one.name}, model {place} of {len(prepared.models)}")
    others = [other.path for other in prepared.models if other is not one]
    execute(_within(one.recipe, [spent(path) for path in others]), one.path, progress, one.composed.saved)
    tasks, answers = answers_of(one.name, one.path)
    _refuse_others(one, tasks, prepared.tasks)
    return answers


def spent(path: Path) -> Spent:
    """What the run in a folder has spent; nothing if there is none."""
    if not (path / JOURNAL).is_file():
        return Spent()
    with looked_into(path / JOURNAL, in_use(path)) as journal:
        return journal.spent()


def _within(recipe: Recipe, others: Sequence[Spent]) -> Recipe:
    """The recipe with what the other models leave of the budget, which is for all of them together.

    Raises:
        BudgetReached: if they leave nothing.
    """
    left: dict[str, float | int] = {}
    for key in ("usd", "tokens", "requests"):
        limit = getattr(recipe.config.budget, key)
        if limit is not None:
            left[key] = limit - sum(getattr(one, key) for one in others)
            if left[key] <= 0:
                raise BudgetReached(f"budget.{key}={limit:g} is spent")
    budget = recipe.config.budget.model_copy(update=left)
    return replace(recipe, config=recipe.config.model_copy(update={"budget": budget}))


def _told(prepared: Prepared, one: Contestant, error: BudgetReached) -> str:
    limits = one.recipe.config.budget
    given = " ".join(f"budget.{key}={value:g}" for key, value in limits if value is not None)
    later = prepared.models[prepared.models.index(one) :]
    return (
        f"the budget of all models together ({given}) does not allow another request. Not finished: "
        f"{', '.join(other.name for other in later)}. The same command with a larger budget goes on"
    )


def _refuse_others(one: Contestant, found: Sequence[Task], wanted: Sequence[Task]) -> None:
    """Refuse answers to other tasks than those of the other models.

    Raises:
        UserError: with the first task that differs.
    """
    if list(found) == list(wanted):
        return
    pairs = zip(found, wanted, strict=False)
    first = next((place for place, (a, b) in enumerate(pairs, 1) if a != b), min(len(found), len(wanted)) + 1)
    raise UserError(
        f"{one.path} has answers to other tasks: {len(found)} instead of {len(wanted)}, and task {first} "
        "differs, so the models cannot be compared. Its filters must reject no task"
    )
