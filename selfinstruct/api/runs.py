"""A run folder in Python: its records, its figures, and what the verbs on a run do with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import UserError, unknown

if TYPE_CHECKING:
    import datasets
    import pandas

REJECTED = "rejected"


@dataclass(frozen=True)
class Run:
    """A run folder to read from, finished or not, also while the run goes on.

    Attributes:
        folder: the run folder.
    """

    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """The contents of `summary.json`; of a run that has not ended, its figures so far."""
        path = self.folder / "summary.json"
        if path.is_file() and not self._running:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        with self._opened() as run:
            stages = {stage.name: asdict(run.journal.stats(stage.name)) for stage in run.outline.stages}
            return {"recipe": run.outline.recipe, "finished": False, "state": run.state, "stages": stages}

    @property
    def state(self) -> str:
        """`finished`, `missed` (it is short of its target, or has no record), `unfinished` or `running`."""
        return str(self.summary["state"])

    def records(self, stage: str | None = None) -> list[dict[str, Any]]:
        """The records of a stage, as dicts.

        Args:
            stage: its name, or `rejected` for the rejected records; the default is the last stage that makes
                records.

        Raises:
            UserError: if the run has no such stage.
        """
        return list(self.each(stage))

    def each(self, stage: str | None = None) -> Iterator[dict[str, Any]]:
        """The records that `records` has, one by one, for a run whose records do not fit into memory.

        Args:
            stage: its name, or `rejected`, as for `records`.

        Raises:
            UserError: if the run has no such stage.
        """
        if self._running or not (self.folder / "summary.json").is_file():
            yield from self._so_far(stage)
            return
        there = [name for name in [*self.summary["stages"], REJECTED] if self._file(name).exists()]
        name = stage or there[-2]
        if name not in there:
            raise UserError("; ".join(unknown("stage", name, there)))
        with self._file(name).open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)

    def frame(self, stage: str | None = None) -> pandas.DataFrame:
        """The records of a stage as a pandas frame.

        Raises:
            ImportError: if pandas is not installed.
            UserError: if the run has no such stage.
        """
        import pandas

        return pandas.DataFrame(self.records(stage))

    def record(self, id: str) -> dict[str, Any]:
        """The whole story of a record, a label or a seed task; see `selfinstruct.show.story`.

        Args:
            id: the record's id.

        Raises:
            UserError: if the run has no record with this id.
        """
        from selfinstruct.show.story import story

        with self._opened() as run:
            return story(run, id)

    def show(
        self,
        words: str = "",
        *,
        find: str = "",
        rejected: str | bool = False,
        stage: str = "",
        where: str | Iterable[str] = (),
        n: int = 10,
    ) -> None:
        """Print what `selfinstruct show` prints: the run, the story of a record, or a list of records.

        Args:
            words: the id of a record, or words from it; without them and without a list, the whole run.
            find: list the records with these words.
            rejected: list the records that this check rejected; True for those of any check.
            stage: list only records of this stage.
            where: list only records with these values, such as `score>=4`.
            n: the most records in a list.

        Raises:
            UserError: if the run has no record, stage or check of this name.
        """
        from selfinstruct.show.command import main

        given = [where] if isinstance(where, str) else where
        options = [f"--where={condition}" for condition in given]
        options += [f"--find={find}"] if find else []
        options += [f"--stage={stage}"] if stage else []
        if rejected:
            options.append("--rejected" if rejected is True else f"--rejected={rejected}")
        listed = [f"-n={n}"] if options else []
        main([str(self.folder), *([words] if words else []), *options, *listed], Path.cwd())

    def report(self, *overrides: str) -> Path:
        """Write the page that explains the run, as `selfinstruct report` does; return the page.

        Args:
            overrides: keys, such as `report.figures=svg` or `to=FILE.html`.

        Raises:
            UserError: for a key that cannot be used.
        """
        from selfinstruct.report.command import main

        main([str(self.folder), *overrides], Path.cwd())
        return _given("to", overrides) or self.folder / "report.html"

    def export(self, *overrides: str) -> Path:
        """Write the dataset again, as `selfinstruct export` does; return its folder.

        Args:
            overrides: keys, such as `export=[chat]`, `export.chat.format=parquet` or `to=DIR`.

        Raises:
            UserError: for a key that cannot be used, or if the files cannot be written.
        """
        from selfinstruct.dataset.command import main

        main([str(self.folder), *overrides], Path.cwd())
        return _given("to", overrides) or self.folder / "dataset"

    def dataset(self, export: str | None = None) -> datasets.DatasetDict:
        """The rows of an export with their splits, loaded by the `datasets` library.

        Args:
            export: its name; the default is the first one of the run.

        Raises:
            ImportError: if `datasets` is not installed.
            UserError: if the run has written no such export.
        """
        import datasets

        folder = self.folder / "dataset"
        names = datasets.get_dataset_config_names(str(folder)) if (folder / "README.md").is_file() else []
        if not names:
            raise UserError(f"{folder} has no export; `run.export()` writes one")
        if export and export not in names:
            raise UserError("; ".join(unknown("export", export, names)))
        first = datasets.get_dataset_default_config_name(str(folder)) or names[0]
        return datasets.load_dataset(str(folder), export or first)

    def _repr_html_(self) -> str:
        from selfinstruct.api.html import page
        from selfinstruct.report.funnel import draw_samples

        return page(self.folder.name, self.summary, draw_samples(self.each, 0))

    def _so_far(self, stage: str | None) -> Iterator[dict[str, Any]]:
        from selfinstruct.journal.labelled_records import rejected_row, row

        with self._opened() as run:
            names = [one.name for one in run.outline.makers]
            name = stage or names[-1]
            if name == REJECTED:
                for one in run.outline.stages:
                    yield from map(rejected_row, run.journal.records(one.name, REJECTED))
                return
            if name not in names:
                raise UserError("; ".join(unknown("stage", name, [*names, REJECTED])))
            yield from map(row, run.records(name))

    @property
    def _running(self) -> bool:
        from selfinstruct.run_folder.folder import in_use

        return in_use(self.folder)

    def _opened(self) -> Any:
        from selfinstruct.run_folder.opened import opened

        return opened(self.folder)

    def _file(self, stage: str) -> Path:
        return self.folder / f"{stage}.jsonl"


def _given(key: str, overrides: Iterable[str]) -> Path | None:
    """The path that an override names; None if there is none."""
    values = [value for name, _, value in (one.partition("=") for one in overrides) if name == key]
    return Path(values[-1]) if values else None


def open_run(path: str | Path) -> Run:
    """Open the folder of a run, finished or not.

    Args:
        path: the folder, such as `runs/chat`.

    Raises:
        UserError: if it is not the folder of a run; the message names the jobs of a sweep.
    """
    from selfinstruct.run_folder.opened import run_of

    return Run(run_of(str(path), Path.cwd(), "open_run"))
