"""`selfinstruct finetune RUN`: tunes a model on the dataset of a run, and says whether it got better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from selfinstruct.errors import UserError
from selfinstruct.monitor.progress import Progress
from selfinstruct.project.layout import no_path, path_below
from selfinstruct.recipe.overrides import refuse_options
from selfinstruct.run_folder.folder import JOURNAL
from selfinstruct.run_folder.opened import run_of
from selfinstruct.train.tuning import Asked, tune

HELP = """\
selfinstruct finetune: tune a model on the dataset of a run, and say whether it got better

  selfinstruct finetune RUN [train=NAME] [KEY=VALUE …]

  RUN is the folder of a run, finished or not. Its records are the examples, as the export chat writes them;
  only the answers are learned. The tuned model is in RUN/model, and model=RUN/model uses it. At the end, the
  base and the tuned model answer the tasks of eval, and the difference is printed with its interval. After an
  interruption, the same command goes on; what is finished is not done again.

  selfinstruct finetune runs/quickstart                        the embedded model, by LoRA
  selfinstruct finetune runs/quickstart --plan                 what would it do, and how long would it take?
  selfinstruct finetune runs/chat train=full train.epochs=3 eval=user_tasks eval.path=FILE
  selfinstruct finetune runs/chat train.base=Qwen/Qwen3-0.6B   a model of the Hugging Face hub
  selfinstruct finetune -m runs/chat finetune.examples=100,200,400       more data, a better model?

  train=…          lora or full: on this machine (pip install 'selfinstruct[train]'); files: configs for other
                   trainers; hosted: at a provider
  train.KEY=…      base, epochs, learning_rate, batch_size, micro_batch, max_tokens, rank, …
  finetune.KEY=…   examples=N, where={…}, of=STAGE, records=accepted|all|none, seed_tasks=true, evaluate=false
  eval=…           the tasks: general_en, user_tasks, …; and eval.tasks=N for the first comparison
  to=DIR           another folder for the model; with -m, for all of them
  fresh=true       set aside what is in that folder, and start again
  yes=true         for hosted: agree to the costs beforehand; trust=[HOST]: servers that may get the key
  --plan           print the plan and end
  -m               one model for each combination of values (a=1,2), in RUN/models; and for several runs (A,B)
"""
TO, FRESH, YES, TRUST = OWN = ("to", "fresh", "yes", "trust")
PLAN, MANY = ("--plan",), ("-m", "--multirun")


def main(arguments: list[str], project: Path) -> int:
    """Tune one model, or one for each combination of values; return the exit status.

    Raises:
        UserError: if the arguments name no run or have a fault, or a training fails.
        Interrupted: if the user stops it.
    """
    refuse_options([part for part in arguments if part not in (*PLAN, *MANY)])
    words = [part for part in arguments if "=" not in part and part[:1] not in ("-", "~")]
    if len(words) != 1:
        raise UserError(
            "finetune takes the folder of one run: selfinstruct finetune runs/quickstart"
            + ("\n  for several: selfinstruct finetune -m RUN,RUN to=DIR" if words else "")
        )
    overrides = [part for part in arguments if part != words[0] and part not in (*PLAN, *MANY)]
    own = {key: value for key, _, value in (part.partition("=") for part in overrides) if key in OWN}
    overrides = [part for part in overrides if part.partition("=")[0] not in own]
    asked = Asked(
        run=words[0],
        path=Path(),
        overrides=tuple(overrides),
        folder=_folder(own[TO], words[0], project) if TO in own else None,
        plan_only=any(part in PLAN for part in arguments),
        fresh=_flag(FRESH, own),
        yes=_flag(YES, own),
        trust=tuple(one.strip() for one in own.get(TRUST, "").strip("[]").split(",") if one.strip()),
        again=_typed(arguments),
    )
    if any(part in MANY for part in arguments):
        from selfinstruct.train.sweep import sweep

        return sweep(asked, project, Progress())
    tune(replace(asked, path=run_of(words[0], project, "finetune")), project, Progress())
    return 0


def _flag(key: str, own: Mapping[str, str]) -> bool:
    value = own.get(key, "false").lower()
    if value not in ("true", "false"):
        raise UserError(f"{key}={own[key]}: write {key}=true")
    return value == "true"


def _folder(words: str, runs: str, project: Path) -> Path:
    """The folder for the model; fresh=true would move it away, so it may hold neither a run nor the project.

    Raises:
        UserError: if it cannot be the folder of a model.
    """
    if not words or no_path(words):
        raise UserError(f"to={words}: {no_path(words) or 'names no folder'}")
    folder = path_below(project, words).resolve()
    above = [project, *(path_below(project, run) for run in runs.split(","))]
    if (folder / JOURNAL).exists() or any(one.resolve().is_relative_to(folder) for one in above):
        raise UserError(f"to={words}: the run, or all of your files, are in this folder; name one of its own")
    return path_below(project, words)


def _typed(arguments: Sequence[str]) -> str:
    """The command to type again; without fresh, which would begin anew."""
    import shlex

    return shlex.join(["selfinstruct", "finetune", *(part for part in arguments if part != "fresh=true")])
