"""The judgement of answers by a model and by people, beside the metrics: the key `judged` of evaluation.json.

    {"judge": name of the model or null, "resamples", "confidence",
     "ratings": {"levels": from best to worst, "answers": how many,
                 "judge": figures, "people": figures and "reviewers": {name: rated},
                 "agreement": see `agreement.agreed`},
     "pairs":   {"judge": [figures of each two models], "people": the same, "reviewers", "agreement"}}

For the figures see `rating.figures` and `pairs.figures`. Whoever has not judged is missing. Shares are in
percent, with the ends of their bootstrap interval.

`judging_of` finds what is wrong before a model is asked, `Judging.done` judges, and `renewed` reads anew what
people have answered since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from selfinstruct.config import BudgetConfig, EvalConfig
from selfinstruct.errors import RecipeError, UserError
from selfinstruct.evaluate import judge_runs
from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.judge_runs import JUDGES, RATING, Way, judge_folder, judge_name, levels_of
from selfinstruct.evaluate.judgements import summed_up
from selfinstruct.evaluate.results import RESULTS
from selfinstruct.records import stream
from selfinstruct.run_folder.folder import write_json

if TYPE_CHECKING:
    from selfinstruct.monitor.progress import Progress
    from selfinstruct.plan.estimate import Estimate
    from selfinstruct.recipe.build import Recipe

JUDGED = "judged"
NAMED = 5  # evaluations in a message


@dataclass(frozen=True)
class Judging:
    """Answers to be judged; made by `judging_of`.

    Attributes:
        config: the section `eval`.
        seed: the seed of every draw.
        given: the overrides of the evaluation.
        project: the user's folder.
        recipes: the judge's recipes over texts that stand for the answers, for the plan.
    """

    config: EvalConfig
    seed: int
    given: Sequence[str]
    project: Path
    recipes: Mapping[Way, Recipe]

    @property
    def budget(self) -> BudgetConfig:
        """The budget, which is for the models and the judge together."""
        return next(iter(self.recipes.values())).config.budget

    def runs(self, to: Path) -> list[Path]:
        """The folders of the judge's runs, in the folder of an evaluation; none if only people judge."""
        judge = self.config.judge.model
        folder = None if judge is None else judge_folder(to, judge_name(judge))
        return [folder / way.name for way in self.recipes] if folder else []

    def ahead(self, to: Path) -> dict[str, Estimate]:
        """What the judge has left to spend, for each way of judging."""
        from selfinstruct.plan.estimate import estimate

        return {
            f"judge, {way.name}": estimate(recipe, run)
            for run, (way, recipe) in zip(self.runs(to), self.recipes.items(), strict=False)
        }

    def done(
        self,
        tasks: Sequence[Task],
        models: Sequence[Answers],
        to: Path,
        progress: Progress,
        within: Callable[[Recipe, Path], Recipe],
    ) -> dict[str, Any]:
        """Have the answers judged, and prepare them for people; return the key `judged`.

        Args:
            tasks: the tasks.
            models: the answers of each model, in the order of the tasks.
            to: the folder of the evaluation.
            progress: shows the progress.
            within: gives the recipe of a run what is left of the budget.

        Raises:
            UserError: if the judge fails, or people have judged other answers in this folder.
        """
        judge = self.config.judge
        name = None if judge.model is None else judge_name(judge.model)
        names = [answers.model for answers in models]
        chosen = _drawn(len(tasks), judge.tasks, self.seed)
        tasks = [tasks[place] for place in chosen]
        models = [Answers(one.model, [one.texts[place] for place in chosen], one.run) for one in models]
        for way, recipe in judge_runs.ways(judge, len(models)).items():
            sheet = way.sheet(tasks, models, self.seed)
            levels = {"levels": levels_of(self.recipes[way])} if way is RATING else {}
            rows = judge_runs.write(to, way, sheet, {"models": names, **levels})
            if sheet.rows:
                one = judge_runs.composed(recipe, way, rows, judge.model, self.given, self.project)
                judge_runs.for_people(one, way, sheet, to, progress)
                if name is not None:
                    progress.say(f"{way.name} by {name}")
                    run = judge_folder(to, name) / way.name
                    judge_runs.by_judge(one, way, sheet, run, progress, within)
        return summed_up(to, name, self.config.resamples, self.config.confidence)


def judging_of(
    config: EvalConfig,
    seed: int,
    tasks: Sequence[Task],
    models: Sequence[str],
    given: Sequence[str],
    project: Path,
) -> Judging | None:
    """The judging of an evaluation, with everything that is wrong found before a model is asked.

    Args:
        config: the section `eval`.
        seed: the seed of the run.
        tasks: the tasks.
        models: the names of the models in tables.
        given: the overrides of the evaluation.
        project: the user's folder.

    Returns:
        None if neither a model nor people are to judge.

    Raises:
        UserError: for a fault in the recipe of the judge, or a key that is missing.
    """
    judge = config.judge
    if judge.model is None and not judge.people:
        return None
    taken = {way.name for way in judge_runs.WAYS} | {JUDGES}
    if wrong := sorted(taken & set(models)):
        raise UserError(f"model={wrong[0]}: the judging has a folder of this name; rename the model's file")
    some = [tasks[place] for place in _drawn(len(tasks), judge.tasks, seed)]
    recipes = dict(_tried(config, seed, some, models, given, project))
    return Judging(config, seed, given, project, recipes)


def renewed(folder: Path) -> dict[str, Any]:
    """The results of an evaluation, with what people have answered since; written anew.

    Args:
        folder: the folder of the evaluation.

    Raises:
        UserError: if there is no evaluation in it.
    """
    path = folder / RESULTS
    if not path.is_file():
        below = [str(one.parent) for one in sorted(folder.glob(f"**/{RESULTS}"))[:NAMED]]
        more = f"did you mean {', '.join(below)}?" if below else "to evaluate models: model=A,B"
        raise UserError(f"{folder} has no evaluation ({RESULTS} is missing); {more}")
    made: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    before = made.get(JUDGED)
    if before:
        made[JUDGED] = summed_up(folder, before["judge"], before["resamples"], before["confidence"])
        write_json(path, made)
    return made


def _tried(
    config: EvalConfig,
    seed: int,
    tasks: Sequence[Task],
    models: Sequence[str],
    given: Sequence[str],
    project: Path,
) -> Iterator[tuple[Way, Recipe]]:
    """The judge's recipes over stand-ins: the references, which are about as long as the answers."""
    judge = config.judge
    stand_ins = [
        Answers(name, [f"{task.references[0] if task.references else ''} {place}" for task in tasks])
        for place, name in enumerate(models)
    ]
    with TemporaryDirectory() as folder:
        for way, recipe in judge_runs.ways(judge, len(models)).items():
            rows = judge_runs.write(Path(folder), way, way.sheet(tasks, stand_ins, seed), {})
            found = judge_runs.composed(recipe, way, rows, judge.model, given, project).recipe()
            if found.wanting and judge.model is not None:
                raise RecipeError(found.wanting, found.name)
            if way is RATING:
                levels_of(found)
            yield way, found


def _drawn(count: int, most: int | None, seed: int) -> list[int]:
    """The places of the tasks whose answers are judged, in order."""
    return sorted(stream(seed, "judged").sample(range(count), min(count, most or count)))
