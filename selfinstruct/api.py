"""From Python: `run`, and the `Run` it returns."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import DamagedJournal, RecipeError, UserError, unknown

if TYPE_CHECKING:
    import pandas

    from selfinstruct.monitor.progress import Progress
    from selfinstruct.recipe.build import Recipe
    from selfinstruct.runner import Interrupter


@dataclass(frozen=True)
class Run:
    """A run folder, to read.

    Attributes:
        folder: the run folder.
    """

    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """What `summary.json` holds."""
        return dict(json.loads((self.folder / "summary.json").read_text(encoding="utf-8")))

    @property
    def state(self) -> str:
        """`finished` as asked, `missed` (short of its target, or without a record) or `unfinished`."""
        return str(self.summary["state"])

    def records(self, stage: str | None = None) -> list[dict[str, Any]]:
        """The records of a stage, as dicts.

        Args:
            stage: its name, or `rejected` for what was rejected; the last that makes records unless given.

        Raises:
            UserError: where the run has no such stage.
        """
        there = [name for name in [*self.summary["stages"], "rejected"] if self._file(name).exists()]
        name = stage or there[-2]
        if name not in there:
            raise UserError("; ".join(unknown("stage", name, there)))
        with self._file(name).open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def frame(self, stage: str | None = None) -> pandas.DataFrame:
        """The records of a stage as a pandas frame.

        Raises:
            ImportError: where pandas is not installed.
        """
        import pandas

        return pandas.DataFrame(self.records(stage))

    def _file(self, stage: str) -> Path:
        return self.folder / f"{stage}.jsonl"


def run(recipe: str, overrides: Iterable[str] = (), *, project: str | Path = ".", quiet: bool = False) -> Run:
    """Run a recipe, or go on with a run of it; the same as the command line does.

    Args:
        recipe: name of the recipe.
        overrides: Hydra overrides, such as `target=50` or `model=openai`.
        project: the folder with your own `recipes`, `conf` and `seeds`; run folders go below it.
        quiet: show no progress.

    Returns:
        The run, also where it missed its target or left no record; its `state` says so.

    Raises:
        UserError: for whatever the command line would answer with a message.
    """
    from selfinstruct.monitor.progress import Progress
    from selfinstruct.recipe.compose import compose

    composed = compose([f"recipe={recipe}", *overrides], Path(project))
    return execute(composed.recipe(), composed.run_dir(), Progress(quiet=quiet), composed.saved)


def execute(recipe: Recipe, path: Path, progress: Progress, saved: dict[str, str]) -> Run:
    """Run a checked recipe in a folder.

    Args:
        recipe: the recipe.
        path: the run folder.
        progress: where progress is shown.
        saved: files to leave in `.hydra/`, by name.

    Raises:
        UserError: if a key is not there, the folder cannot be used, the model cannot go on, or the user
            stopped the run.
    """
    if recipe.wanting and recipe.config.replay is None:
        raise RecipeError(recipe.wanting, recipe.name)
    from selfinstruct.journal.repair import OTHER, SAME, offer
    from selfinstruct.replay import recording
    from selfinstruct.run_folder.folder import broken, open_folder
    from selfinstruct.runner import run_recipe

    source = None
    try:
        with recording(recipe, path) as source, open_folder(recipe, path) as folder:
            if source:
                source.claim(folder.journal)
            folder.keep_settings(saved)
            _in_a_loop_of_its_own(partial(run_recipe, recipe, folder, progress, source))
    except DamagedJournal as error:  # one that was whole when it was opened
        own = source is None or error.path != source.journal.path
        raise offer(error, SAME if own else OTHER) from error
    except (sqlite3.Error, OSError) as error:
        raise broken(path, error) from error
    return Run(path)


def _in_a_loop_of_its_own(work: Callable[[Interrupter], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine to its end, also from a notebook, whose thread has a running loop already.

    An interrupt there reaches the caller alone. It is passed on (once, to stop after what is in flight, twice
    at once) and raised when the coroutine has come to its end, since the journal is closed after that.
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
                with suppress(RuntimeError):  # it came to its end meanwhile
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
