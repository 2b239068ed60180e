"""Running a recipe from Python, as the command line does."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.api.runs import Run
from selfinstruct.errors import DamagedJournal, RecipeError

if TYPE_CHECKING:
    from selfinstruct.monitor.progress import Progress
    from selfinstruct.recipe.build import Recipe
    from selfinstruct.runner import Interrupter


def run(recipe: str, overrides: Iterable[str] = (), *, project: str | Path = ".", quiet: bool = False) -> Run:
    """Run a recipe, or go on with a run of it, as the command line does.

    Args:
        recipe: name of the recipe.
        overrides: Hydra overrides, such as `target=50` or `model=openai`.
        project: the folder with your own `recipes`, `conf` and `seeds`; run folders are made in it.
        quiet: show no progress.

    Returns:
        The run, even if it missed its target or has no record; its `state` says so.

    Raises:
        UserError: for every problem that the command line reports with a message.
    """
    from selfinstruct.monitor.progress import Progress
    from selfinstruct.recipe.compose import compose

    composed = compose([f"recipe={recipe}", *overrides], Path(project))
    built, progress = composed.recipe(), Progress(quiet=quiet)
    done = execute(built, composed.run_dir(), progress, composed.saved)
    write_report(built, done, progress)
    return done


def execute(recipe: Recipe, path: Path, progress: Progress, saved: dict[str, str]) -> Run:
    """Run a checked recipe in a folder.

    Args:
        recipe: the recipe.
        path: the run folder.
        progress: shows the progress.
        saved: the texts of the files to write to `.hydra/`, by name.

    Raises:
        UserError: if a key is missing, the folder cannot be used, the model fails, or the user stops the run.
    """
    if recipe.wanting and recipe.config.replay is None:
        raise RecipeError(recipe.wanting, recipe.name)
    from selfinstruct.journal.repair import OTHER, SAME, offer
    from selfinstruct.replay import recording
    from selfinstruct.run_folder.folder import broken, open_folder
    from selfinstruct.run_folder.outline import store_outline
    from selfinstruct.runner import run_recipe

    source = None
    try:
        with recording(recipe, path) as source, open_folder(recipe, path) as folder:
            if source:
                source.claim(folder.journal)
            folder.keep_settings(saved)
            store_outline(folder.journal, recipe)
            _in_a_new_loop(partial(run_recipe, recipe, folder, progress, source))
    except DamagedJournal as error:  # the journal was whole when it was opened
        own = source is None or error.path != source.journal.path
        raise offer(error, SAME if own else OTHER) from error
    except (sqlite3.Error, OSError) as error:
        raise broken(path, error) from error
    return Run(path)


def write_report(recipe: Recipe, run: Run, progress: Progress) -> Path | None:
    """Write the report of a run that has ended; return its page, None if there is none.

    A fault in the report is a note: the run has ended well.

    Args:
        recipe: the recipe, which may turn the report off.
        run: the run.
        progress: shows the notes.
    """
    if recipe.config.report is None:
        return None
    from selfinstruct.report.writing import at_the_end

    with progress.busy("writing the report"):
        return at_the_end(run.folder, recipe.config.report, recipe.project, progress.say)


def _in_a_new_loop(work: Callable[[Interrupter], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine to its end, also in a notebook, where the thread already has a running loop.

    In a notebook, only the caller gets an interrupt. It is passed on to the coroutine: the first one stops
    the run after the requests in flight, the second one stops it at once. It is raised only when the
    coroutine has ended, since the journal is closed after that.
    """
    interrupter: Interrupter = Future()
    if not _loop_is_running():
        asyncio.run(work(interrupter))
        return
    interrupt: KeyboardInterrupt | None = None
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, work(interrupter))
        while not done.done():
            try:
                wait([done])
            except KeyboardInterrupt as error:
                interrupt = error
                with suppress(RuntimeError):  # it has ended meanwhile
                    interrupter.result()()
    if interrupt:
        raise interrupt
    done.result()


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
