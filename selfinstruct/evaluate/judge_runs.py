"""The runs in which answers are judged: a judge's own, and those of people, which have only the rows.

    TO/rating.jsonl                what raters see: instruction, input and answer, and nothing about the model
    TO/rating.key.json             which answer is whose; nobody has to look at it before the end
    TO/rating/                     the run that people judge: selfinstruct review TO/rating
    TO/judges/NAME/rating/         the run of the judge, which asks the model

and the same for comparison. People and the judge have runs of their own, so no page can show a person what
the judge says. The rows are the same, so the records have the same ids.

To add a way of judging, add a `Way` to `WAYS`, with a recipe that begins with a stage of the kind `rows`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.config import JudgeConfig
from selfinstruct.errors import UserError
from selfinstruct.evaluate import pairs, rating
from selfinstruct.evaluate.answers import Answers, Task
from selfinstruct.evaluate.names import CHAT, choice, names_of
from selfinstruct.evaluate.rating import Sheet
from selfinstruct.project.jsonl import json_line
from selfinstruct.recipe.overrides import quoted_value
from selfinstruct.records import ACCEPTED
from selfinstruct.run_folder.folder import JOURNAL, write_json, write_whole
from selfinstruct.run_folder.opened import opened

if TYPE_CHECKING:
    from selfinstruct.monitor.progress import Progress
    from selfinstruct.recipe.build import Recipe
    from selfinstruct.recipe.compose import Composed

JUDGES = "judges"
KEPT = ("eval", "seed", "budget", "cache", "trust", "fresh")  # overrides that a judge's run has too
BASE = "openai"  # the model of conf/ whose keys a judge's keys change


@dataclass(frozen=True)
class Way:
    """A way of judging.

    Attributes:
        name: its name in files and folders.
        rows: the stage of its recipe that reads the rows.
        question: the question of the review; also the field that the judge sets.
        texts: the fields with answers, which may be empty.
        models: how many models it needs at least.
        sheet: makes the rows and the key.
    """

    name: str
    rows: str
    question: str
    texts: tuple[str, ...]
    models: int
    sheet: Callable[[Sequence[Task], Sequence[Answers], int], Sheet]


RATING = Way("rating", "answers", "rating", ("answer",), 1, rating.sheet)
COMPARISON = Way("comparison", "pairs", "verdict", pairs.SIDES, 2, pairs.sheet)
WAYS = (RATING, COMPARISON)
Judge = str | Mapping[str, Any]  # as in `eval.judge.model`


def ways(config: JudgeConfig, models: int) -> dict[Way, str]:
    """The ways of judging that an evaluation has, each with its recipe."""
    recipes = {RATING: config.rate, COMPARISON: config.compare}
    return {way: recipe for way, recipe in recipes.items() if recipe and models >= way.models}


def composed(
    recipe: str,
    way: Way,
    rows: Path,
    judge: Judge | None,
    given: Sequence[str],
    project: Path,
) -> Composed:
    """The recipe of a way of judging, over a file of rows.

    Args:
        recipe: the recipe's name.
        way: the way of judging.
        rows: the file.
        judge: the judge, as in `eval.judge.model`; None if people judge.
        given: the overrides of the evaluation, of which some hold here too.
        project: the user's folder.

    Raises:
        UserError: for an override, a model or a recipe that does not exist.
    """
    from selfinstruct.recipe.compose import compose

    own = [one for one in given if one.lstrip("+~").partition("=")[0].partition(".")[0] in KEPT]
    path = f"pipeline.{way.rows}.path={quoted_value(str(rows.resolve()))}"
    empty = f"pipeline.{way.rows}.optional=[input,{','.join(way.texts)}]"
    return compose([f"recipe={recipe}", *_model(judge), *own, path, empty], project)


def judge_name(judge: Judge) -> str:
    """The judge's short name, for tables and its folder."""
    return names_of([judge if isinstance(judge, str) else str(judge.get("name", BASE))])[0]


def judge_folder(to: Path, judge: str) -> Path:
    """The folder of a judge's runs, in the folder of an evaluation."""
    return to / JUDGES / judge


def levels_of(recipe: Recipe) -> list[str]:
    """The levels of a rating, from best to worst.

    Raises:
        UserError: if the recipe has none.
    """
    prompt = recipe.config.prompts.get(RATING.name)
    levels = (prompt.variables.get("levels") if prompt else None) or {}
    found = [str(level) for level, words in levels.items() if words]
    if len(found) < 2:
        raise UserError(f"recipe {recipe.name}: prompts.rating.variables.levels has fewer than two levels")
    return found


def write(to: Path, way: Way, sheet: Sheet, more: Mapping[str, Any]) -> Path:
    """Write the rows and their key; return the file of rows."""
    rows = to / f"{way.name}.jsonl"
    key = {**more, "key": sheet.key, "identical": sheet.identical}
    write_whole(rows, (json_line(row).encode() for row in sheet.rows))
    write_json(_key(to, way), key)
    return rows


def read(to: Path, way: Way) -> tuple[Sheet, dict[str, Any]] | None:
    """The rows, and the key with what was written beside it; None if there are none."""
    if not _key(to, way).is_file():
        return None
    key = json.loads(_key(to, way).read_text(encoding="utf-8"))
    with (to / f"{way.name}.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return Sheet(rows, key.pop("key"), key.pop("identical")), key


def for_people(one: Composed, way: Way, sheet: Sheet, to: Path, progress: Progress) -> None:
    """Make the run that people judge; one with the same rows stays as it is.

    Raises:
        UserError: if people have judged other answers in this folder.
    """
    run = to / way.name
    if _has(run, way, sheet):
        return
    if (run / JOURNAL).is_file() and _reviewed(run):
        raise UserError(
            f"{run}: people have reviewed answers here, and the answers are not the same now; evaluate into "
            "another folder: to=DIR"
        )
    _execute(_rows_alone(one, way), run, progress, True, lambda recipe, run: recipe)


def by_judge(
    one: Composed,
    way: Way,
    sheet: Sheet,
    run: Path,
    progress: Progress,
    within: Callable[[Recipe, Path], Recipe],
) -> None:
    """Have the judge judge; a run over other rows is set aside.

    Args:
        one: the recipe.
        way: the way of judging.
        sheet: the rows.
        run: the run folder.
        progress: shows the progress.
        within: gives the recipe what is left of the budget.

    Raises:
        UserError: if the model fails, the budget is spent, or the user stops it.
    """
    fresh = not _has(run, way, sheet)
    _execute(one, run, progress, fresh, within)


def _key(to: Path, way: Way) -> Path:
    return to / f"{way.name}.key.json"


def _model(judge: Judge | None) -> list[str]:
    if judge is None:
        return []
    if isinstance(judge, str):
        return [choice(CHAT.get(judge, judge))]
    return [f"model={BASE}", *(f"model.{key}={_typed(value)}" for key, value in judge.items())]


def _typed(value: Any) -> str:
    """A value as an override writes it."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_typed(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_typed, value)) + "]"
    return quoted_value(value) if isinstance(value, str) else json.dumps(value)


def _rows_alone(one: Composed, way: Way) -> Composed:
    """The recipe without the stages of the judge."""
    from omegaconf import open_dict

    config = deepcopy(one.config)
    with open_dict(config):
        for section in ("pipeline", "prompts", "filters", "schema"):
            for name in [name for name in config[section] if name not in (way.rows, "seeds")]:
                del config[section][name]
    return replace(one, config=config)


def _execute(
    one: Composed, run: Path, progress: Progress, fresh: bool, within: Callable[[Recipe, Path], Recipe]
) -> None:
    from selfinstruct.api.execution import execute

    recipe = within(one.recipe(), run)
    if fresh:
        recipe = replace(recipe, config=recipe.config.model_copy(update={"fresh": True}))
    execute(recipe, run, progress, one.saved)


def _has(run: Path, way: Way, sheet: Sheet) -> bool:
    """Whether a run is there and has these rows."""
    if not (run / JOURNAL).is_file():
        return False
    with opened(run) as found:
        there = {record.request: record.data for record in found.journal.records(way.rows, ACCEPTED)}
    return len(there) == len(sheet.rows) and all(
        there.get(number, {}).get(name) == text
        for number, row in enumerate(sheet.rows, 1)
        for name, text in row.items()
    )


def _reviewed(run: Path) -> bool:
    from selfinstruct.journal.store import REVIEWS

    with opened(run) as found:
        return any((one or {}).get("answers") for one in found.journal.facts(REVIEWS).values())
