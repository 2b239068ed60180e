"""The Hydra application: sweeps (`-m`), and commands with Hydra's own options.

A job of a sweep may run in another process or on another machine. So its task, `run_one`, is a module-level
function (Hydra pickles it) and finds everything that it needs in the config.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import (
    MISSED_STATUS,
    BudgetReached,
    Fault,
    Interrupted,
    RecipeError,
    UserError,
    unknown,
)
from selfinstruct.monitor.outside import stopping
from selfinstruct.monitor.terminal import console, screened
from selfinstruct.project.expansion import limited
from selfinstruct.project.hydra_files import register
from selfinstruct.project.interpolation import close
from selfinstruct.project.layout import FOLDERS, listing, packaged, path_below
from selfinstruct.project.resolving import plain_list
from selfinstruct.recipe.compose import Composed, from_hydra
from selfinstruct.recipe.explain import explain
from selfinstruct.recipe.objectives import check_names
from selfinstruct.recipe.overrides import opened
from selfinstruct.safety.blot import blotted

if TYPE_CHECKING:
    from omegaconf import DictConfig

Verb = Callable[[Composed, Path], int]
Task = Callable[["DictConfig"], Any]
SWEEP = ("-m", "--multirun")
OPTIONS = ("--resolve", "--shell-completion", "-sc", "--experimental-rerun")  # Hydra raises if misused
MOST_JOBS = 10_000  # in a sweep
SWEEP_DIR = ("sweep_dir=", "hydra.sweep.dir=")

close()  # at import: in another process, a job is composed before `run_one` is called


def single(arguments: Sequence[str], project: Path, verb: Verb) -> int:
    """Do a verb on one composed recipe, if the command has options of Hydra; return the exit status."""
    statuses: list[int] = []
    failures: list[Exception] = []

    def task(config: DictConfig) -> None:
        try:
            composed = from_hydra(config, _hydra(), project)
            statuses.append(verb(composed, composed.run_dir()))
        except UserError as error:  # raised later, since Hydra would print a longer text about it
            failures.append(error)

    with limited():
        _apply(arguments, project, task)
    for failure in failures:
        raise failure
    return max(statuses, default=0)


def check_sweep(arguments: Sequence[str], project: Path, verb: Verb) -> int:
    """Do a verb that changes nothing on each job of a sweep, in this process; return the exit status."""
    rest, sweep = _sweep_dir(arguments, project)
    statuses: list[int] = []

    def task(config: DictConfig) -> float:
        number = _hydra().job.num
        try:
            statuses.append(verb(from_hydra(config, _hydra(), project), sweep / str(number)))
        except UserError as error:
            print(f"job {number}: {error}", file=sys.stderr)
            statuses.append(1)
        return 0.0  # for a sweeper that searches

    nowhere = tempfile.mkdtemp(prefix="selfinstruct-")  # Hydra always makes folders for the jobs
    try:
        _apply([*rest, _quoted(Path(nowhere)), "hydra/launcher=basic"], project, task)
    finally:
        shutil.rmtree(nowhere)
    return max(statuses, default=0)


def run_sweep(arguments: Sequence[str], project: Path) -> int:
    """Run every job of a sweep that is not finished, and compare all jobs.

    Returns:
        The exit status: 1 if a job failed, else 3 if one has spent its budget, else 4 if one missed its
        target or has no record.

    Raises:
        UserError: if the sweep cannot be started.
    """
    from selfinstruct import sweeps
    from selfinstruct.run_folder.folder import JOURNAL
    from selfinstruct.sweeps import table
    from selfinstruct.sweeps.watch import watched

    rest, sweep = _sweep_dir(arguments, project)
    _refuse(rest)
    if (sweep / JOURNAL).exists():
        raise UserError(f"sweep_dir: {sweep} holds a run; choose another folder for the sweep")
    interrupted = False
    aside = any(part.startswith("hydra/launcher=") and part != "hydra/launcher=basic" for part in rest)
    watch = watched(sweep, partial(print, file=sys.stderr, flush=True)) if aside else nullcontext()
    try:
        with _stoppable(), watch:
            _apply([*rest, _quoted(sweep)], project, run_one)
    except KeyboardInterrupt:
        interrupted = True
    except OSError as error:  # raised by Hydra; an error of a job is reported by that job
        remedy = "choose another folder for the sweep"
        raise UserError(f"sweep_dir: {sweep} cannot be used: {error.strerror}; {remedy}") from error
    except ValueError:  # Optuna finds no best job if no job has a value
        done = sweeps.outcomes(sweep)
        if not done or any(job.value is not None for job in done):
            raise
    finally:
        _blot_saved(sweep)
    jobs = sweeps.outcomes(sweep)
    if jobs:
        wide = None if sys.stdout.isatty() else 200
        table.write(sweep, jobs)
        table.show(_short(sweep, project), jobs, console(sys.stdout, width=wide))
        if not interrupted:
            _report(sweep, project)
    states = {job.state for job in jobs}
    if interrupted or sweeps.STOPPED in states:
        print(f"stopped; to go on: the same command with sweep_dir={_short(sweep, project)}", file=sys.stderr)
        return Interrupted.status
    statuses = {sweeps.FAILED: 1, sweeps.BUDGET: BudgetReached.status, sweeps.MISSED: MISSED_STATUS}
    return next((status for state, status in statuses.items() if state in states), 0)


def _report(sweep: Path, project: Path) -> None:
    """Write the page that compares the jobs, unless the jobs' own report is off."""
    from selfinstruct.monitor.progress import Progress
    from selfinstruct.report.command import saved_options, write_sweep
    from selfinstruct.report.writing import at_the_end

    page = at_the_end(sweep, saved_options(sweep, project), project, Progress().say, write_sweep)
    if page:
        print(f"report: {_short(page, project)}")


def run_one(config: DictConfig) -> float | None:
    """Run a job of a sweep; return its objective's value, for sweepers that search."""
    from selfinstruct.sweeps.job import run_job

    hydra = _hydra()
    composed = from_hydra(config, hydra, Path(hydra.runtime.cwd))
    alone = hydra.runtime.choices["hydra/launcher"] == "basic"
    overrides = plain_list(hydra.overrides.task)
    _blot_saved(Path(hydra.sweep.dir))
    with screened():
        return run_job(composed, int(hydra.job.num), overrides, Path(hydra.runtime.output_dir), alone)


def _blot_saved(sweep: Path) -> None:
    """Blot out secrets in the command line that Hydra's sweeper saves before the first job."""
    saved = sweep / "multirun.yaml"
    text = saved.read_text(encoding="utf-8") if saved.is_file() else ""
    if blotted(text) != text:
        part = saved.with_name(f".{saved.name}.{os.getpid()}.part")
        part.write_text(blotted(text), encoding="utf-8")
        part.replace(saved)


def _apply(arguments: Sequence[str], project: Path, task: Task) -> None:
    """Let Hydra compose and call the task, once or for each job; raise its errors with our messages."""
    import hydra

    register(project)
    _refuse_multitude([part for part in arguments if not part.startswith("-")])
    _match_something(arguments, project)
    _quiet_sweeper(arguments)
    first = [part for part in arguments if part in SWEEP]  # no option may be between the overrides
    sys.argv = ["selfinstruct", *first, *opened([part for part in arguments if part not in SWEEP])]
    debugging = os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # so that Hydra raises
    try:
        hydra.main(version_base="1.3", config_path=str(packaged() / "conf"), config_name="config")(task)()
    except Exception as error:
        if isinstance(error, ValueError) and any(part.partition("=")[0] in OPTIONS for part in arguments):
            raise UserError(f"{error}; selfinstruct --hydra-help explains Hydra's options") from error
        explained = explain(error, [part for part in arguments if not part.startswith("-")], project)
        if explained is error:
            raise
        raise explained from error
    finally:
        if debugging != "1":
            os.environ["HYDRA_FULL_ERROR"] = debugging


def _quiet_sweeper(arguments: Sequence[str]) -> None:
    """Turn off Optuna's lines about each study and trial, since our table shows the jobs."""
    if any(part.startswith("hydra/sweeper=") for part in arguments):
        with suppress(ImportError):  # Hydra raises it later, and `explain` gives it our message
            import optuna

            optuna.logging.set_verbosity(optuna.logging.WARNING)


def _refuse(arguments: Sequence[str]) -> None:
    """Refuse, before the first job, a fault that every job would have.

    Raises:
        UserError: if there is such a fault.
    """
    if any(part.lstrip("+").startswith("run_dir=") for part in arguments):
        raise UserError("run_dir would put all jobs into one folder; set the sweep's folder: sweep_dir=DIR")
    for part in arguments:
        key, _, value = part.partition("=")
        faults: list[Fault] = []
        if key == "objective":
            check_names(value.strip("'\""), faults)
        if faults:
            raise RecipeError(faults)


def _refuse_multitude(arguments: Sequence[str]) -> None:
    """Refuse a sweep with too many jobs; Hydra would list them all first.

    Raises:
        UserError: if it has more than `MOST_JOBS`.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, RangeSweep
    from hydra.errors import HydraException

    jobs = 1.0
    if any(part.startswith("hydra/sweeper=") for part in arguments):  # a search draws from the values
        return
    for part in arguments:
        try:
            override = OverridesParser.create().parse_override(part)
        except (HydraException, ValueError):  # composing reports it
            continue
        value = override.value()
        if isinstance(value, RangeSweep):
            jobs *= max(1.0, ((value.stop or 0) - (value.start or 0)) / (value.step or 1))
        elif isinstance(value, ChoiceSweep):
            jobs *= len(value.list)
        if jobs > MOST_JOBS:
            raise UserError(f"{part} makes more than {MOST_JOBS:,} jobs; give a sweep fewer values")


def _match_something(arguments: Sequence[str], project: Path) -> None:
    """Refuse a glob that matches nothing: Hydra would run no job and call it a success.

    Raises:
        UserError: if there is one.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Glob
    from hydra.errors import OverrideParseException

    for part in arguments:
        if "glob(" not in part:
            continue
        try:
            override = OverridesParser.create().parse_override(part)
        except OverrideParseException:  # Hydra will report it
            continue
        group, names = override.key_or_group, override.value()
        if not isinstance(names, Glob) or group not in (*FOLDERS, "recipe"):
            continue
        known = listing("recipes" if group == "recipe" else f"conf/{group}", project)
        if not names.filter(list(known)):
            raise UserError(f"{part}: no {group} matches; {unknown(group, '', known)[1]}")


def _sweep_dir(arguments: Sequence[str], project: Path) -> tuple[list[str], Path]:
    """The arguments without the sweep's folder, and that folder; a new folder if none is given."""
    given = [part.partition("=")[2] for part in arguments if part.startswith(SWEEP_DIR)]
    rest = [part for part in arguments if not part.startswith(SWEEP_DIR)]
    name = given[-1].strip("'\"") if given else f"sweeps/{datetime.now():%Y-%m-%d_%H-%M-%S}"
    return rest, path_below(project, name)


def _quoted(sweep: Path) -> str:
    """The override that sets the sweep's folder in Hydra, with any character quoted."""
    text = str(sweep).replace("\\", "\\\\").replace('"', '\\"')
    return f'hydra.sweep.dir="{text}"'


@contextmanager
def _stoppable() -> Iterator[None]:
    """Make Ctrl-C, SIGTERM and a closed terminal end the sweep with a comparison of the jobs so far."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in stopping()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hydra() -> Any:
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.get()


def _short(path: Path, project: Path) -> Path:
    """A path as the user would type it."""
    return path.relative_to(project) if path.is_relative_to(project) else path
