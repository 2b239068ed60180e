"""An evaluation before its first request: the models, the tasks, and every fault of all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from selfinstruct.config import EvalConfig
from selfinstruct.errors import Fault, RecipeError, UserError
from selfinstruct.evaluate.answers import ANSWERS, TASKS, Answers, Task
from selfinstruct.evaluate.answers_file import ANSWERS as ANSWERS_FILE
from selfinstruct.evaluate.judged import Judging, judging_of
from selfinstruct.evaluate.names import CHAT, choice, names_of
from selfinstruct.evaluate.predictions import read_predictions
from selfinstruct.evaluate.results import RESULTS
from selfinstruct.evaluate.tasks import checked, tasks_of
from selfinstruct.project.layout import path_below
from selfinstruct.report.writing import NUMBERS, PAGE
from selfinstruct.run_folder.claim import ELSEWHERE
from selfinstruct.run_folder.folder import JOURNAL, look

if TYPE_CHECKING:
    from selfinstruct.recipe.build import Recipe
    from selfinstruct.recipe.compose import Composed

RECIPE = "evaluate"


@dataclass(frozen=True)
class Contestant:
    """A model that answers the tasks.

    Attributes:
        name: its name in tables and of its run folder.
        composed: its composed recipe.
        recipe: its recipe, checked.
        path: the folder of its run.
    """

    name: str
    composed: Composed
    recipe: Recipe
    path: Path


@dataclass(frozen=True)
class Prepared:
    """An evaluation without a fault.

    Attributes:
        to: the folder to write to.
        config: the section eval.
        tasks: the tasks, in order.
        models: the models to ask.
        predictions: the answers that were read from files.
        notes: what the user should know beforehand.
        judging: how the answers are judged; None if they are only scored.
    """

    to: Path
    config: EvalConfig
    tasks: Sequence[Task]
    models: Sequence[Contestant]
    predictions: Sequence[Answers]
    notes: Sequence[str] = ()
    judging: Judging | None = None


@dataclass
class _Faults:
    """The faults of all models; one that all have is reported once, without a model's name."""

    found: dict[str, list[Fault]] = field(default_factory=dict)

    def error(self) -> RecipeError | None:
        times = Counter(fault for faults in self.found.values() for fault in dict.fromkeys(faults))
        shown: dict[Fault, None] = {}
        for name, faults in self.found.items():
            for fault in faults:
                alone = name and times[fault] < len(self.found)
                shown[replace(fault, where=f"model={name} {fault.where}".strip()) if alone else fault] = None
        return RecipeError(shown, RECIPE) if shown else None


def prepare(
    models: Sequence[str],
    overrides: Sequence[str],
    to: Path,
    project: Path,
    predictions: Sequence[str] = (),
) -> Prepared:
    """Compose the recipe for each model, and read the tasks and the predictions.

    Args:
        models: names of conf/model, GGUF files, or folders of tuned models.
        overrides: the other overrides, as for a run.
        to: the folder to write to.
        project: the user's folder.
        predictions: files of answers that others have collected.

    Raises:
        UserError: with every fault of all models.
    """
    chosen = [CHAT.get(model, model) for model in models]
    notes = [
        f"model={model} completes prompts; evaluate asks in chat mode, so model={other} answers instead"
        for model, other in zip(models, chosen, strict=True)
        if model != other
    ]
    _refuse(chosen, predictions, overrides)
    called = names_of([*chosen, *predictions])
    _refuse_folder(to, called)
    faults, found = _Faults(), list[Contestant]()
    for name, model in zip(called, chosen, strict=False):
        found += _contestant(name, [choice(model), *overrides], to / name, project, faults)
    base = found[0].recipe if found else None
    if not chosen:
        base = _composed(["model=scripted", *overrides], project, "", faults)[1]  # it asks nothing
    if base is None:
        raise faults.error() or UserError("there is nothing to evaluate")
    tasks, wrong = tasks_of(base), list[Fault]()
    config, more = checked(base, tasks, wrong)
    read = [
        read_predictions(path, name, tasks, project, wrong)
        for path, name in zip(predictions, called[len(chosen) :], strict=True)
    ]
    if wrong:
        faults.found = {**{name: [*wrong, *those] for name, those in faults.found.items()}} or {"": wrong}
    if error := faults.error():
        raise error
    notes += [*more, *(note for one in found for note in _notes(one))]
    judging = judging_of(config, base.config.seed, tasks.chosen, called, overrides, project)
    return Prepared(to, config, tasks.chosen, found, [one for one in read if one], notes, judging)


def _refuse(models: Sequence[str], predictions: Sequence[str], overrides: Sequence[str]) -> None:
    """Refuse what cannot be meant.

    Raises:
        UserError: with the remedy.
    """
    for kind, named in (("model", models), ("predictions", predictions)):
        twice = [one for one, times in Counter(named).items() if times > 1]
        if twice:
            same = [name for name, other in CHAT.items() if other == twice[0] and kind == "model"]
            also = f" ({same[0]} means it too)" if same else ""
            raise UserError(f"{kind}: {twice[0]} is named twice{also}; leave one of them out")
    keys = {part.lstrip("+~").partition("=")[0] for part in overrides}
    if "model.name" in keys and len(models) > 1:
        raise UserError(
            "model.name would be the name of every model; write a file for each in conf/model, and name "
            "those: model=A,B"
        )
    if "run_dir" in keys:
        raise UserError("each model has a run folder of its own; name the folder of all of them: to=DIR")


def _refuse_folder(to: Path, names: Sequence[str]) -> None:
    """Refuse a folder with files of others that an evaluation would replace.

    Raises:
        UserError: with the remedy.
    """
    if (to / JOURNAL).exists():
        raise UserError(f"{to} is the folder of a run; name another folder for the evaluation: to=DIR")
    if _is_evaluation(to / RESULTS) or any((to / name / JOURNAL).is_file() for name in names):
        return
    theirs = [name for name in (RESULTS, ANSWERS_FILE, PAGE, NUMBERS) if (to / name).exists()]
    if theirs:
        raise UserError(
            f"{to} has files that are not of an evaluation, and would be replaced: {', '.join(theirs)}; name "
            "another folder: to=DIR"
        )


def _is_evaluation(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and "models" in found


def _composed(
    overrides: Sequence[str], project: Path, name: str, faults: _Faults
) -> tuple[Composed | None, Recipe | None]:
    from selfinstruct.recipe.compose import compose

    here = faults.found.setdefault(name, [])
    recipe = [] if any(part.startswith("recipe=") for part in overrides) else [f"recipe={RECIPE}"]
    try:
        composed = compose([*recipe, *overrides], project)
        built = composed.recipe()
    except RecipeError as error:
        here += error.faults
        return None, None
    except UserError as error:
        here.append(Fault("", str(error)))
        return None, None
    if [stage.name for stage in built.stages][:2] != [TASKS, ANSWERS]:
        here.append(Fault("recipe", f"its first stages are not {TASKS} and {ANSWERS}", "use recipe=evaluate"))
        return None, None
    return composed, built


def _contestant(
    name: str, overrides: Sequence[str], path: Path, project: Path, faults: _Faults
) -> Iterator[Contestant]:
    """A model with its recipe; none if it has a fault that prevents it from being built."""
    composed, recipe = _composed(overrides, project, name, faults)
    if composed is None or recipe is None:
        return
    if _answered_before(recipe, path):
        recipe = replace(recipe, config=recipe.config.model_copy(update={"fresh": True}))
    faults.found[name] += recipe.wanting
    try:
        look(recipe, path)
    except UserError as error:
        faults.found[name].append(Fault("", str(error).replace(ELSEWHERE, "another folder: to=DIR")))
    yield Contestant(name, composed, recipe, path)


def _answered_before(recipe: Recipe, path: Path) -> bool:
    """Whether the weights of a model are newer than its answers: it was tuned again since."""
    weights = recipe.stage(ANSWERS).model.options.get("weights")
    file, journal = path_below(recipe.project, str(weights or "")), path / JOURNAL
    return bool(weights) and file.is_file() and journal.is_file() and _newer(file, journal)


def _newer(one: Path, other: Path) -> bool:
    return one.stat().st_mtime > other.stat().st_mtime


def _notes(one: Contestant) -> Iterator[str]:
    if one.recipe.config.fresh and _answered_before(one.recipe, one.path):
        yield f"{one.name} was tuned again since it answered; its earlier answers are set aside"
    if one.recipe.stage(ANSWERS).model.mode == "completion":
        yield f"{one.name} is used in completion mode: it continues a task instead of answering it"
