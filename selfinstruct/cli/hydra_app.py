"""The Hydra application: sweeps (`-m`), and whatever Hydra's own options ask for.

A job of a sweep may run in another process or on another machine, so what Hydra gets as its task there stands
at the top of this module and finds all it needs in the config.
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
from selfinstruct.project.interpolation import close
from selfinstruct.project.layout import FOLDERS, listing, packaged, path_below, plain_list, register
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
OPTIONS = ("--resolve", "--shell-completion", "-sc", "--experimental-rerun")  # whose misuse Hydra raises
MOST_JOBS = 10_000  # of a sweep
SWEEP_DIR = ("sweep_dir=", "hydra.sweep.dir=")

close()  # now: a job in another process is composed there before it comes to `run_one`


def single(arguments: Sequence[str], project: Path, verb: Verb) -> int:
    """A verb on one composed recipe, with options of Hydra's."""
    statuses: list[int] = []
    failures: list[Exception] = []

    def task(config: DictConfig) -> None:
        try:
            composed = from_hydra(config, _hydra(), project)
            statuses.append(verb(composed, composed.run_dir()))
        except UserError as error:  # Hydra would say more about it than a user wants to read
            failures.append(error)

    with limited():
        _apply(arguments, project, task)
    for failure in failures:
        raise failure
    return max(statuses, default=0)


def check_sweep(arguments: Sequence[str], project: Path, verb: Verb) -> int:
    """A verb that changes nothing on each job of a sweep, here and now."""
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

    nowhere = tempfile.mkdtemp(prefix="selfinstruct-")  # Hydra makes folders for jobs, whatever they do
    try:
        _apply([*rest, _quoted(Path(nowhere)), "hydra/launcher=basic"], project, task)
    finally:
        shutil.rmtree(nowhere)
    return max(statuses, default=0)


def run_sweep(arguments: Sequence[str], project: Path) -> int:
    """Run every job of a sweep that is not finished, and compare them.

    Returns:
        The exit status: 1 where a job failed, else 3 where one has spent its budget, else 4 where one missed
        its target or left no record.

    Raises:
        UserError: where the sweep cannot be made at all.
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
    except OSError as error:  # of Hydra's: what a job meets is that job's
        remedy = "choose another folder for the sweep"
        raise UserError(f"sweep_dir: {sweep} cannot be used: {error.strerror}; {remedy}") from error
    except ValueError:  # a search without one job that has a value has no best one
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
    states = {job.state for job in jobs}
    if interrupted or sweeps.STOPPED in states:
        print(f"stopped; to go on: the same command with sweep_dir={_short(sweep, project)}", file=sys.stderr)
        return Interrupted.status
    statuses = {sweeps.FAILED: 1, sweeps.BUDGET: BudgetReached.status, sweeps.MISSED: MISSED_STATUS}
    return next((status for state, status in statuses.items() if state in states), 0)


def run_one(config: DictConfig) -> float | None:
    """A job of a sweep; returns its objective's value, for sweepers that search."""
    from selfinstruct.sweeps.job import run_job

    hydra = _hydra()
    composed = from_hydra(config, hydra, Path(hydra.runtime.cwd))
    alone = hydra.runtime.choices["hydra/launcher"] == "basic"
    overrides = plain_list(hydra.overrides.task)
    _blot_saved(Path(hydra.sweep.dir))
    with screened():
        return run_job(composed, int(hydra.job.num), overrides, Path(hydra.runtime.output_dir), alone)


def _blot_saved(sweep: Path) -> None:
    """Take secrets out of what Hydra's sweeper saves of the command line before the first job."""
    saved = sweep / "multirun.yaml"
    text = saved.read_text(encoding="utf-8") if saved.is_file() else ""
    if blotted(text) != text:
        part = saved.with_name(f".{saved.name}.{os.getpid()}.part")
        part.write_text(blotted(text), encoding="utf-8")
        part.replace(saved)


def _apply(arguments: Sequence[str], project: Path, task: Task) -> None:
    """Have Hydra compose and call the task, once or for each job; what it finds wrong is put in our words."""
    import hydra

    register(project)
    _refuse_multitude([part for part in arguments if not part.startswith("-")])
    _match_something(arguments, project)
    _quiet_sweeper(arguments)
    first = [part for part in arguments if part in SWEEP]  # overrides have to stand together
    sys.argv = ["selfinstruct", *first, *opened([part for part in arguments if part not in SWEEP])]
    debugging = os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # hand exceptions to us
    try:
        hydra.main(version_base="1.3", config_path=str(packaged() / "conf"), config_name="config")(task)()
    except Exception as error:
        if isinstance(error, ValueError) and any(part.partition("=")[0] in OPTIONS for part in arguments):
            raise UserError(f"{error}; selfinstruct --hydra-help says more of Hydra's options") from error
        told = explain(error, [part for part in arguments if not part.startswith("-")], project)
        if told is error:
            raise
        raise told from error
    finally:
        if debugging != "1":
            os.environ["HYDRA_FULL_ERROR"] = debugging


def _quiet_sweeper(arguments: Sequence[str]) -> None:
    """Optuna tells of each study and trial on a stream of its own; the table tells of the jobs."""
    if any(part.startswith("hydra/sweeper=") for part in arguments):
        with suppress(ImportError):  # told by Hydra, and by us
            import optuna

            optuna.logging.set_verbosity(optuna.logging.WARNING)


def _refuse(arguments: Sequence[str]) -> None:
    """Tell what would be wrong with each of the jobs once, before there are any.

    Raises:
        UserError: where something is.
    """
    if any(part.lstrip("+").startswith("run_dir=") for part in arguments):
        raise UserError("run_dir would put every job into one folder; choose the sweep's own: sweep_dir=DIR")
    for part in arguments:
        key, _, value = part.partition("=")
        faults: list[Fault] = []
        if key == "objective":
            check_names(value.strip("'\""), faults)
        if faults:
            raise RecipeError(faults)


def _refuse_multitude(arguments: Sequence[str]) -> None:
    """Refuse a sweep of more jobs than anybody waits for; Hydra would list them all first.

    Raises:
        UserError: where it has more than `MOST_JOBS`.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, RangeSweep
    from hydra.errors import HydraException

    jobs = 1.0
    if any(part.startswith("hydra/sweeper=") for part in arguments):  # one that searches draws from a range
        return
    for part in arguments:
        try:
            override = OverridesParser.create().parse_override(part)
        except (HydraException, ValueError):  # which is said where it is composed
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
        except OverrideParseException:  # which Hydra will tell
            continue
        group, names = override.key_or_group, override.value()
        if not isinstance(names, Glob) or group not in (*FOLDERS, "recipe"):
            continue
        known = listing("recipes" if group == "recipe" else f"conf/{group}", project)
        if not names.filter(list(known)):
            raise UserError(f"{part}: no {group} matches; {unknown(group, '', known)[1]}")


def _sweep_dir(arguments: Sequence[str], project: Path) -> tuple[list[str], Path]:
    """The arguments without the sweep's folder, and that; a new one where none is given."""
    given = [part.partition("=")[2] for part in arguments if part.startswith(SWEEP_DIR)]
    rest = [part for part in arguments if not part.startswith(SWEEP_DIR)]
    name = given[-1].strip("'\"") if given else f"sweeps/{datetime.now():%Y-%m-%d_%H-%M-%S}"
    return rest, path_below(project, name)


def _quoted(sweep: Path) -> str:
    """The override that tells Hydra of the sweep's folder, whatever characters are in it."""
    text = str(sweep).replace("\\", "\\\\").replace('"', '\\"')
    return f'hydra.sweep.dir="{text}"'


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal end the sweep with a comparison of what there is."""
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
