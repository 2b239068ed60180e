"""The command line: `selfinstruct [run] …` is a Hydra application, the other verbs stand beside it.

This is where errors become messages: a `UserError` is printed and the exit status is 1; anything else is a
bug and keeps its traceback.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import BudgetReached, Interrupted, UserError, unknown
from selfinstruct.layout import GROUPS, headline, listing, packaged, register

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from selfinstruct.compose import Composed

VERBS = {
    "run": "run a recipe, or go on with a run of it (the default)",
    "check": "compose and check a recipe without a request: every fault, or what a run would do",
    "new": "write a recipe and seeds of your own to start from: new NAME --from RECIPE",
    "help": "show this",
}
FLAGS = ("-m", "--multirun", "--resolve")  # the options of Hydra's that stand alone
USAGE = """\
selfinstruct: instruction datasets from a handful of seed tasks

  selfinstruct [VERB] recipe=NAME [GROUP=NAME …] [KEY=VALUE …]

  selfinstruct recipe=quickstart                           try it out: no key, no GPU
  selfinstruct recipe=paper model=openai target=1000       the paper's pipeline on a model of your own
  selfinstruct check recipe=alpaca                         what would it do?
  selfinstruct new garden --from chat                      start a domain of your own
  selfinstruct -m recipe=paper mix.machine=0,2,4           a sweep
"""
OPTIONS = """\
keys used most
  target=N        records to accept                     run_dir=DIR   the run folder (runs/<recipe>)
  model.name=…    the model's name for LiteLLM          fresh=true    set an old run aside, start anew
  seeds.path=…    a seed file of your own               seed=N        the seed of every random choice
  filters.instructions.rouge_l.threshold=0.6            change any filter's option
  '~filters.instructions.banned_words'                  leave a filter out

options
  --cfg job       print the composed recipe             -m            one run for each combination: a=1,2
  --hydra-help    Hydra's own options                   --version     print the version
"""


def main() -> None:
    """Run the command line; ends the process."""
    for number in (signal.SIGINT, signal.SIGTERM):  # until a run has begun, which handles them itself
        signal.signal(number, _stop)
    sys.exit(command(sys.argv[1:]))


def _stop(number: int, frame: object) -> None:
    """End at once: there is nothing to lose yet, and what is being imported might catch an exception."""
    os._exit(Interrupted.status)


def command(arguments: Sequence[str]) -> int:
    """Do what the arguments say; returns the exit status."""
    try:
        verb, arguments = _verb(arguments)
        if verb == "new":
            return _new(arguments)
        if verb == "help" or "--help" in arguments or "-h" in arguments:
            print(help_text(Path.cwd()))
            return 0
        if "--version" in arguments:
            from importlib.metadata import version

            print(version("selfinstruct"))
            return 0
        if verb == "check" and not any(part.startswith(("-", "hydra")) for part in arguments):
            from selfinstruct.compose import compose

            return _check(compose(arguments, Path.cwd()), None)  # a Hydra application composes twice
        return _hydra(arguments, {"run": _run, "check": _check}[verb])
    except Interrupted as error:
        print(error, file=sys.stderr)
        return error.status
    except UserError as error:
        print(f"selfinstruct: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _verb(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The verb and what is left of the arguments; it is the first word that is no option or its value.

    Raises:
        UserError: for a word that is no verb.
    """
    before = ["-m", *arguments]
    words = [
        place
        for place, part in enumerate(arguments)
        if re.fullmatch(r"\w[\w./-]*", part) and (before[place] in FLAGS or before[place][0] != "-")
    ]
    if not words:
        return "run", list(arguments)
    rest = list(arguments)
    word = rest.pop(words[0])
    if word not in VERBS:
        what, known = unknown("verb", word, VERBS)
        near = (
            f"a recipe is chosen by its key: recipe={word}"
            if word in listing("recipes", Path.cwd())
            else known
        )
        raise UserError(f"{what}\n  {near}")
    return word, rest


def help_text(project: Path) -> str:
    """What `--help` prints: verbs, recipes and groups with a line each."""
    lines = [USAGE, "verbs", *_table(VERBS)]
    recipes = {name: headline(path) for name, path in listing("recipes", project).items()}
    lines += ["", "recipes (recipe=NAME)", *_table(recipes)]
    for group in GROUPS:
        names = {name: headline(path) for name, path in listing(f"conf/{group}", project).items()}
        lines += ["", f"{group} ({group}=NAME)", *_table(names)]
    return "\n".join([*lines, "", OPTIONS])


def _table(rows: dict[str, str]) -> list[str]:
    return [f"  {name:<20} {text}" for name, text in rows.items()]


def _hydra(arguments: list[str], verb: Callable[[Composed, str | None], int]) -> int:
    """Run a verb as a Hydra application on what the overrides compose.

    A single job hands its exit status out through a list, since Hydra ends the process on an exception and
    says more about it than a user wants to read; in a sweep a failed job raises, so that Hydra knows.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig

    from selfinstruct.compose import explain, from_hydra, opened

    project = Path.cwd()
    statuses: list[int] = []
    failures: list[Exception] = []

    def job(config: DictConfig) -> None:
        full = HydraConfig.get()
        job_dir = str(full.runtime.output_dir) if full.mode and full.mode.name == "MULTIRUN" else None
        try:
            statuses.append(verb(from_hydra(_whole(config, full), project), job_dir))
        except BudgetReached as error:  # the budget of this job; the next one has its own
            print(error, file=sys.stderr)
            statuses.append(error.status)
        except Interrupted as error:
            print(error, file=sys.stderr)
            raise KeyboardInterrupt from error  # which ends a sweep too
        except UserError as error:
            if not job_dir:
                failures.append(error)
                return
            print(f"job {full.job.num}: {error}", file=sys.stderr)
            statuses.append(1)

    register(project)
    sys.argv = ["selfinstruct", *opened(arguments)]
    debugging = os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # hand exceptions to us
    try:
        hydra.main(version_base="1.3", config_path=str(packaged() / "conf"), config_name="config")(job)()
    except Exception as error:
        told = explain(error, [part for part in arguments if not part.startswith("-")], project)
        if told is error:
            raise
        raise told from error
    finally:
        if debugging != "1":
            os.environ["HYDRA_FULL_ERROR"] = debugging
    for failure in failures:
        raise failure
    return max(statuses, default=0)


def _whole(config: DictConfig, full: Any) -> DictConfig:
    """The config with Hydra's part, which Hydra takes away before it calls a job."""
    from omegaconf import OmegaConf, open_dict

    whole: DictConfig = config.copy()
    OmegaConf.set_readonly(whole, False)
    with open_dict(whole):
        whole["hydra"] = full
    return whole


def _run(composed: Composed, job_dir: str | None) -> int:
    from rich.console import Console

    from selfinstruct.api import execute
    from selfinstruct.progress import Progress
    from selfinstruct.report.funnel import draw_samples, show

    recipe = composed.recipe()
    progress = Progress()
    for warning in recipe.warnings:
        progress.say(f"note: {warning}")
    done = execute(recipe, composed.run_dir(job_dir), progress, composed.saved)
    samples = draw_samples(done.records(recipe.makers[-1].name), recipe.config.seed)
    show(done.summary, _short(done.folder), samples, Console())
    return 0


def _check(composed: Composed, job_dir: str | None) -> int:
    from selfinstruct.report.plan import plan

    recipe = composed.recipe()
    print(plan(recipe, composed.run_dir(job_dir)))
    return 0


def _new(arguments: list[str]) -> int:
    """Take the name and `--from` out of the arguments, and do it."""
    from selfinstruct.new import BASE, HELP, create, told

    if "--help" in arguments or "-h" in arguments:
        print(HELP)
        return 0
    names, base, rest = [], BASE, list(arguments)
    while rest:
        part = rest.pop(0)
        option, equals, value = part.partition("=")
        if option == "--from":
            base = value if equals else rest.pop(0) if rest else ""
        else:
            names.append(part)
    if len(names) != 1 or not base or names[0].startswith("-"):
        raise UserError("new takes one NAME and --from RECIPE: selfinstruct new garden --from chat")
    print(told(create(names[0], base, Path.cwd())))
    return 0


def _short(path: Path) -> Path:
    """A path as the user would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
