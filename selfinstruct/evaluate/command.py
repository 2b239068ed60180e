"""`selfinstruct evaluate model=A,B eval=NAME`: models answer tasks, and their answers are scored."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from selfinstruct.config import ReportConfig
from selfinstruct.errors import UserError, unknown
from selfinstruct.evaluate.evaluation import FAILED, RESULTS, carry_out
from selfinstruct.evaluate.harness import hand_over
from selfinstruct.evaluate.judged import renewed
from selfinstruct.evaluate.outlook import outlook
from selfinstruct.evaluate.prepared import prepare
from selfinstruct.monitor.progress import Progress
from selfinstruct.monitor.terminal import console
from selfinstruct.project.layout import path_below
from selfinstruct.recipe.overrides import names_in, refuse_spaces
from selfinstruct.report.writing import at_the_end, short, write_tuned

HELP = """\
selfinstruct evaluate: let models answer tasks, and score their answers

  selfinstruct evaluate model=A,B [eval=NAME] [KEY=VALUE …]
  selfinstruct evaluate predictions=FILE,FILE [eval=NAME] [KEY=VALUE …]
  selfinstruct evaluate DIR

  selfinstruct evaluate model=embedded,runs/quickstart/model
  selfinstruct evaluate model=openai,anthropic eval=user_tasks eval.path=FILE budget.usd=5 --plan
  selfinstruct evaluate eval.path=tasks.jsonl predictions=theirs.jsonl
  selfinstruct evaluate model=embedded,runs/quickstart/model eval.judge.model=openai

  model=A,B         names of conf/model, GGUF files, or folders of tuned models
  predictions=FILE  answers that others have collected, matched by id, by instruction and input, or by order
  eval=NAME         the tasks and how they are scored (conf/eval); eval.path=FILE for a file of your own
  eval.tasks=N      only so many of the tasks, drawn with the seed
  eval.metrics=[…]  rouge_l, rouge_l_characters, chrf, exact_match; by default what fits the language
  budget.usd=N      the most money for all models together
  to=DIR            the folder for the results; by default evaluations/<eval>
  DIR               an evaluation: print it again, with what people have judged since; asks nothing
  eval.judge.model=NAME   a model rates the answers, and compares each two models
  eval.judge.people=true  prepare the answers for people: selfinstruct review DIR/rating, DIR/comparison
  harness=DIR       write the tasks as a task of lm-evaluation-harness, and ask nothing
  --plan            print what it would ask and what that may cost, and ask nothing

Each model's answers are a run below that folder, so all verbs on a run work there (show, review, replay).
After Ctrl-C, or if a model fails, the same command goes on with what is missing. With other metrics it scores
the same answers again, and asks nothing. A difference counts as shown if zero is outside of its interval.

exit status: 0 finished, 1 an error or a model failed, 3 the budget is spent, 130 stopped
"""
OWN = ("model", "predictions", "to", "harness")
PLAN = "--plan"


@dataclass
class _Given:
    """The arguments as typed."""

    models: list[str] = field(default_factory=list)
    predictions: list[str] = field(default_factory=list)
    to: str = ""
    harness: str = ""
    plan: bool = False
    rest: list[str] = field(default_factory=list)


def main(arguments: list[str], project: Path) -> int:
    """Evaluate, and print tables; return the exit status.

    Raises:
        UserError: if the arguments name no model or have a fault.
    """
    if len(arguments) == 1 and (folder := path_below(project, arguments[0])).is_dir():
        _tell(renewed(folder), folder, project)
        return 0
    given = _read(arguments)
    to = path_below(project, given.to or f"evaluations/{_name(given.rest)}")
    prepared = prepare(given.models, given.rest, to, project, given.predictions)
    if given.harness:
        folder, name = path_below(project, given.harness), _name(given.rest)
        for path in hand_over(prepared, folder, name):
            print(short(path, project))
        print(
            f"to run it: lm_eval --include_path {shlex.quote(short(folder, project))} --tasks {name} "
            "--apply_chat_template --model hf --model_args pretrained=NAME"
        )
        return 0
    if given.plan:
        print(outlook(prepared, project))
        return 0
    made = carry_out(prepared, Progress())
    _tell(made, to, project)
    return 1 if made[FAILED] else 0


def _tell(made: Mapping[str, Any], folder: Path, project: Path) -> None:
    """Print a result, and write its page."""
    from selfinstruct.evaluate.table import show

    show(made, Path(short(folder / RESULTS, project)), console(sys.stdout))
    options = ReportConfig.model_validate({})
    if page := at_the_end(folder, options, project, Progress().say, write_tuned):
        print(f"report: {short(page, project)}")


def _read(arguments: Sequence[str]) -> _Given:
    refuse_spaces(arguments)
    given = _Given()
    for part in arguments:
        key, equals, value = part.partition("=")
        if part == PLAN:
            given.plan = True
        elif key in OWN and equals:
            _set(given, key, value)
        elif part.startswith("-") or (not equals and not part.startswith("~")):
            what, near = unknown("option" if part.startswith("-") else "word", part, [PLAN, "model=A,B"])
            raise UserError(f"evaluate: {what}\n  {near}\n  selfinstruct evaluate --help has the rest")
        else:
            given.rest.append(part)
    if not given.models and not given.predictions and not given.harness:
        raise UserError(
            "evaluate takes the models to compare: selfinstruct evaluate model=A,B\n"
            "  or files of answers: selfinstruct evaluate eval.path=TASKS predictions=FILE"
        )
    return given


def _set(given: _Given, key: str, value: str) -> None:
    if key in ("to", "harness"):
        setattr(given, key, value)
        return
    named = names_in(value[1:-1] if value.startswith("[") and value.endswith("]") else value)
    if not all(named):
        raise UserError(f"{key}={value}: a name is missing; write {key}=A,B")
    (given.models if key == "model" else given.predictions).extend(named)


def _name(overrides: Sequence[str]) -> str:
    """The name of the folder: that of conf/eval, or of the user's own file."""
    given = dict(part.split("=", 1) for part in overrides if "=" in part)
    path = PurePath(given.get("eval.path", "").strip("'\""))
    return given.get("eval") or path.name.split(".")[0] or "general_en"
