"""The command line: `selfinstruct [run] …` composes a recipe and runs it; the other verbs are here too.

Here errors become messages: a `UserError` is printed and the exit status is 1; any other exception is a bug
and keeps its traceback.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from selfinstruct.errors import MISSED_STATUS, BudgetReached, Interrupted, UserError, unknown
from selfinstruct.monitor.collector import set_aside
from selfinstruct.monitor.outside import outlast_the_terminal, stopping
from selfinstruct.monitor.terminal import console, screen, screened
from selfinstruct.project.layout import FOLDERS, headline, listing
from selfinstruct.project.parts import PARTS
from selfinstruct.recipe.overrides import refuse_options, refuse_spaces

if TYPE_CHECKING:
    from selfinstruct.recipe.compose import Composed

VERBS = {
    "run": "run a recipe, or go on with a run of it (the default)",
    "check": "check a recipe without sending a request: print every fault, or what a run would do",
    "replay": "read a run's replies again with other settings, without a model: replay RUN KEY=VALUE …",
    "show": "look at a run, or at the whole story of one record: show RUN [ID or WORDS]",
    "report": "write report.html, the page that explains a run: report RUN [RUN]",
    "review": "judge a sample of the records on a local page: review RUN --sample 200",
    "export": "write the dataset of a run in other formats: export RUN 'export=[chat]'",
    "finetune": "tune a model on the dataset of a run, and say whether it helped: finetune RUN",
    "evaluate": "let models answer tasks, and score their answers: evaluate model=A,B eval=NAME",
    "merge": "make one run out of several, without what is in them twice: merge RUN RUN --to FOLDER",
    "push": "upload the dataset of a run to the Hugging Face hub: push RUN USER/NAME",
    "verify": "check whether a run's folder is whole, without changing anything in it: verify RUN",
    "new": "write a recipe and seeds of your own to start from: new NAME --from RECIPE",
    "trust": "allow a server to get a key, whichever recipe names the server: trust HOST VARIABLE",
    "help": "show this text",
}
# The modules of the verbs on a run, and of evaluate. Each has HELP, and main(arguments, project) for the
# exit status.
ON_A_RUN = {
    "show": "selfinstruct.show.command",
    "report": "selfinstruct.report.command",
    "review": "selfinstruct.review.command",
    "export": "selfinstruct.dataset.command",
    "finetune": "selfinstruct.train.command",
    "evaluate": "selfinstruct.evaluate.command",
    "merge": "selfinstruct.merge.command",
    "push": "selfinstruct.dataset.push",
    "verify": "selfinstruct.run_folder.verify",
}
PRESETS = {"hydra/launcher": "where the jobs of a sweep run", "hydra/sweeper": "which jobs a sweep has"}
CHOSEN = {  # how a file of a folder is chosen, unless by FOLDER=NAME
    PARTS: f"+{PARTS}=NAME, '+{PARTS}=[NAME,NAME]'",
    "embedding": "the option model of the filter embedding_similarity",
}
FLAGS = ("-m", "--multirun", "--resolve")  # Hydra's options without a value
HELP_FLAGS = {"--help", "-h"}
NO_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "true")  # otherwise pydantic reads about each installed package
USAGE = """\
selfinstruct: instruction datasets from a handful of seed tasks

  selfinstruct [VERB] recipe=NAME [GROUP=NAME …] [KEY=VALUE …]

  selfinstruct recipe=quickstart                           try it out: no key, no GPU
  selfinstruct recipe=chat model=openai target=1000        the paper's pipeline with a model that you choose
  selfinstruct check recipe=alpaca                         what would a run do?
  selfinstruct check --list filters                        which filters are there? also exports, ...
  selfinstruct new garden --from chat                      start with a domain of your own
  selfinstruct -m recipe=chat mix.generated=0,2,4          a sweep: a run for each value, and a comparison
  selfinstruct replay runs/chat filters.instructions.rouge_l.threshold=0.6      what if? without a model
"""
REPLAY_HELP = """\
selfinstruct replay: read a run's replies again with other settings, without a model

  selfinstruct replay RUN [KEY=VALUE …]

  RUN is the folder of a run, or of a job of a sweep. A replay uses the recipe and the overrides of that run,
  and then the keys given now. It sends nothing and costs nothing, and it does not change RUN.

  selfinstruct replay runs/paper filters.instructions.rouge_l.threshold=0.6     what would 0.6 have kept?
  selfinstruct replay -m runs/paper filters.instructions.rouge_l.threshold=0.5,0.6,0.7

  run_dir=DIR     the folder of the replay; the default is beside RUN (runs/paper.replay-1)
  -m              one replay for each combination: a=1,2; sweep_dir=DIR names the folder

With the new settings, some prompts may differ from those that were sent. At its end, a replay reports how
many differ, and which requests have no reply. A normal run in its folder then sends only those requests.
"""
OPTIONS = """\
keys used most
  target=N        how many records to accept            run_dir=DIR   the run folder (runs/<recipe>)
  model.name=…    the model's name for LiteLLM          fresh=true    set an old run aside, start again
  seeds.path=…    a seed file of your own               seed=N        the seed of every random choice
  filters.instructions.rouge_l.threshold=0.6            change any filter's option
  '~filters.instructions.banned_words'                  leave a filter out
  +parts=judge                                          add a stage with its prompt, checks and schema

options
  --cfg job       print the composed recipe             -m            one run for each combination: a=1,2
                                                        sweep_dir=DIR with -m: the sweep's folder, to go on in
  --hydra-help    Hydra's own options                   --version     print the version

exit status
  0 finished   1 an error   3 the budget is spent   4 the target was missed, or no record left   130 stopped
"""


def main() -> None:
    """Run the command line, then end the process."""
    os.environ.setdefault(*NO_PLUGINS)
    outlast_the_terminal()
    for number in stopping():  # until a run begins; it handles them itself
        signal.signal(number, _stop)
    screen()  # also for the traceback of a bug, which the interpreter prints
    sys.exit(command(sys.argv[1:]))


def _stop(number: int, frame: object) -> None:
    """End at once: nothing can be lost yet, and a module that is being imported might catch an exception."""
    os._exit(Interrupted.status)


def command(arguments: Sequence[str]) -> int:
    """Execute the arguments; return the exit status."""
    with screened():
        return _command(arguments)


def _command(arguments: Sequence[str]) -> int:
    try:
        refuse_spaces(arguments)
        verb, arguments = _verb(arguments)
        if verb == "new":
            return _new(arguments)
        if verb == "check" and any(
            part.partition("=")[0] in ("--list", "--help", "-h") for part in arguments
        ):
            return _list(arguments)
        if verb in ON_A_RUN:
            return _on_a_run(verb, arguments)
        if verb == "replay" and HELP_FLAGS & set(arguments):
            print(REPLAY_HELP)
            return 0
        if verb == "trust":
            print(_trust(arguments))
            return 0
        if verb == "help" or HELP_FLAGS & set(arguments):
            print(help_text(Path.cwd()))
            return 0
        if "--version" in arguments:
            from importlib.metadata import version

            print(version("selfinstruct"))
            return 0
        refuse_options(arguments)
        if verb == "replay":
            from selfinstruct.recipe.compose import replayed

            verb, arguments = "run", replayed(arguments, Path.cwd())
        return _apply(verb, arguments, Path.cwd())
    except Interrupted as error:
        print(error, file=sys.stderr)
        return error.status
    except UserError as error:
        print(f"selfinstruct: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _verb(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The verb and the other arguments; the verb is the first word that is neither an option nor its value.

    Raises:
        UserError: if that word is not a verb.
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
        near = f"to choose a recipe, write recipe={word}" if word in listing("recipes", Path.cwd()) else known
        raise UserError(f"{what}\n  {near}")
    return word, rest


def help_text(project: Path) -> str:
    """The text of `--help`: verbs, recipes and groups with a line each."""
    lines = [USAGE, "verbs", *_table(VERBS)]
    recipes = {name: headline(path) for name, path in listing("recipes", project).items()}
    lines += ["", "recipes (recipe=NAME)", *_table(recipes)]
    for group in (*FOLDERS, "embedding"):
        names = {name: headline(path) for name, path in listing(f"conf/{group}", project).items()}
        lines += ["", f"{group} ({CHOSEN.get(group, f'{group}=NAME')})", *_table(names)]
    for group, what in PRESETS.items():
        names = {name: headline(path) for name, path in listing(f"conf/{group}", project).items()}
        lines += ["", f"{what} ({group}=NAME)", *_table(names)]
    return "\n".join([*lines, "", OPTIONS])


def _table(rows: dict[str, str]) -> list[str]:
    return [f"  {name:<20} {text}" for name, text in rows.items()]


def _apply(verb: str, arguments: list[str], project: Path) -> int:
    """Do a verb that takes a recipe, once or for each job of a sweep; return the exit status."""
    with set_aside():
        from selfinstruct.cli import hydra_app as application
        from selfinstruct.recipe.compose import compose

    do = {"run": _run, "check": _check}[verb]
    if any(part in application.SWEEP for part in arguments):
        if verb == "run":
            return application.run_sweep(arguments, project)
        return application.check_sweep(arguments, project, do)
    shown = [part for part in arguments if part not in ("--cfg", "job")]
    if len(shown) == len(arguments) - 2 and not any(part.startswith(("-", "hydra")) for part in shown):
        print(compose(shown, project).saved["config.yaml"], end="")  # Hydra knows neither order nor old names
        return 0
    if any(part.startswith(("-", "hydra")) for part in arguments):
        return application.single(arguments, project, do)
    with set_aside():
        composed = compose(arguments, project)  # a Hydra application composes twice
    return do(composed, composed.run_dir())


def _run(composed: Composed, run_dir: Path) -> int:
    with set_aside():
        from selfinstruct.api import Run, execute, write_report
        from selfinstruct.monitor.progress import Progress
        from selfinstruct.report.ending import MISSED, last_line
        from selfinstruct.report.funnel import draw_samples, show

        recipe = composed.recipe()
    progress = Progress()
    for warning in recipe.warnings:
        progress.say(f"note: {warning}")
    try:
        done = execute(recipe, run_dir, progress, composed.saved)
    except BudgetReached:
        _name_report(write_report(recipe, Run(run_dir), progress))  # on what the budget has bought
        raise
    samples = draw_samples(partial(done.each, recipe.makers[-1].name), recipe.config.seed)
    summary = done.summary
    show(summary, samples, console(sys.stdout))
    if recipe.config.replay:
        print(f"\nreplay: {summary['replay']['note']}")
    print(f"\n{last_line(recipe, summary, _short(done.folder))}")
    _name_report(write_report(recipe, done, progress))
    return MISSED_STATUS if summary["state"] == MISSED else 0


def _name_report(page: Path | None) -> None:
    """Print where a report is, on the last line of a run."""
    if page:
        print(f"report: {_short(page)}")


def _check(composed: Composed, run_dir: Path) -> int:
    with set_aside():
        from selfinstruct.plan.text import plan

        text = plan(composed.recipe(), run_dir)
    print(text)
    return 0


def _list(arguments: list[str]) -> int:
    """Print the help of `check`, or a list of names that a recipe can use; return the exit status."""
    from selfinstruct.describe.catalogue import HELP, answer

    if HELP_FLAGS & set(arguments):
        print(HELP)
        return 0
    text, faults = answer(arguments)
    print(text, flush=True)
    if faults:
        raise UserError("\n  ".join(["some of these cannot be used:", *map(str, faults)]))
    return 0


def _new(arguments: list[str]) -> int:
    """Write a new recipe, named by the arguments; return the exit status."""
    from selfinstruct.cli.new import BASE, HELP, create, summary_of

    if HELP_FLAGS & set(arguments):
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
    print(summary_of(create(names[0], base, Path.cwd())))
    return 0


def _trust(arguments: Sequence[str]) -> str:
    """List, remember or forget which servers may get which keys; return the text to print."""
    from selfinstruct.llm import trusted

    names = [part for part in arguments if part != "--remove"]
    if HELP_FLAGS & set(names):
        return trusted.HELP
    unknown_options = [part for part in names if part.startswith("-") or "=" in part]
    if unknown_options or ("--remove" in arguments and not names):
        raise UserError(f"trust takes HOST VARIABLE, or --remove HOST\n{trusted.HELP}")
    if "--remove" in arguments:
        return trusted.forget(names[0], names[1:])
    return trusted.remember(names[0], names[1:]) if names else trusted.listed()


def _on_a_run(verb: str, arguments: list[str]) -> int:
    """Do a verb on a run folder, or print its help; return the exit status."""
    module = import_module(ON_A_RUN[verb])
    if HELP_FLAGS & set(arguments):
        print(module.HELP)
        return 0
    return int(module.main(arguments, Path.cwd()))


def _short(path: Path) -> Path:
    """A path as the user would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
