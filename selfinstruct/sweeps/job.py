"""One job of a sweep: a run that writes its outcome to a file; its errors do not end other jobs."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from selfinstruct import sweeps
from selfinstruct.errors import BudgetReached, Interrupted, UserError
from selfinstruct.recipe import objectives
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import Composed
from selfinstruct.run_folder.shape import shape_of
from selfinstruct.safety.blot import blotted
from selfinstruct.sweeps import Outcome


def run_job(
    composed: Composed, number: int, overrides: Sequence[str], folder: Path, alone: bool
) -> float | None:
    """Run a job, unless it has finished before.

    Args:
        composed: its composed recipe.
        number: its number in the sweep.
        overrides: the overrides that it was started with.
        folder: its run folder.
        alone: whether no other job runs at the same time, so that it may show its progress.

    Returns:
        Its objective's value; None if it has none, which Optuna treats as a failure of this job only.

    Raises:
        KeyboardInterrupt: if the user stopped it.
    """
    outcome = Outcome(number, [*map(blotted, overrides)], alone=alone)  # as the run stores them
    began = time.monotonic()
    try:
        _do(composed, outcome, folder)
    except BudgetReached as error:
        outcome.state, outcome.error = sweeps.BUDGET, str(error)
    except Interrupted as error:
        raise KeyboardInterrupt from error  # this ends the sweep too
    except UserError as error:
        outcome.state, outcome.error = sweeps.FAILED, str(error)
    except Exception as error:  # a bug is printed with its traceback, and the other jobs go on
        traceback.print_exc()
        outcome.state, outcome.error = sweeps.FAILED, f"{type(error).__name__}: {error}"
    finally:
        outcome.seconds = round(time.monotonic() - began, 3)
        outcome.write(folder)
        if alone:
            _say(outcome.line())
    return outcome.value


def _do(composed: Composed, outcome: Outcome, folder: Path) -> None:
    from selfinstruct.api import Run, execute
    from selfinstruct.monitor.progress import Progress
    from selfinstruct.sweeps.figures import figures

    recipe = composed.recipe()
    outcome.objective, outcome.fingerprint = recipe.config.objective, _fingerprint(composed, recipe)
    before = sweeps.read(folder)
    if before and before.state in sweeps.DONE and before.fingerprint == outcome.fingerprint:
        outcome.__dict__.update(before.__dict__, alone=outcome.alone)
        return
    if recipe.config.cache and not outcome.alone:
        recipe.config.cache.wait = True
    if outcome.alone:
        _say(f"job {outcome.job}: {' '.join(outcome.overrides)}")
    try:
        run = execute(recipe, folder, Progress(quiet=not outcome.alone), composed.saved)
        outcome.state = sweeps.MISSED if run.state == sweeps.MISSED else sweeps.FINISHED
    finally:
        mine = sweeps.overrides(folder) == outcome.overrides  # if not, the folder was refused
        if mine and (folder / "summary.json").is_file():
            run = Run(folder)
            outcome.figures, outcome.note = (
                figures(recipe, run),
                run.summary.get("replay", {}).get("note", ""),
            )
            outcome.value = objectives.value(outcome.objective, outcome.figures)


def _fingerprint(composed: Composed, recipe: Recipe) -> str:
    """A digest of everything that decides the contents of the run's files."""
    facts = json.dumps(shape_of(recipe), sort_keys=True) + composed.saved["config.yaml"]
    return blake2b(facts.encode(), digest_size=16).hexdigest()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
