"""From the records of a run to its dataset: the rows of each export, the page about them, and the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from selfinstruct.dataset import trainers
from selfinstruct.dataset.card import README, card
from selfinstruct.dataset.contents import Contents
from selfinstruct.dataset.features import promised
from selfinstruct.dataset.origins import Origins
from selfinstruct.dataset.rejected import LeftOut
from selfinstruct.dataset.rows import SCORES, Row, Rows
from selfinstruct.dataset.source import Source
from selfinstruct.dataset.splits import TRAIN, Sides
from selfinstruct.dataset.written import Written, written
from selfinstruct.errors import UserError
from selfinstruct.export import Converter, Export, order
from selfinstruct.project.blocks import BLOCK, batched
from selfinstruct.records import Record
from selfinstruct.safety.blot import blotted


@dataclass(frozen=True)
class Dataset:
    """A dataset, ready to be written.

    Attributes:
        exports: each export with its files.
        left_out: the records that each export left out, with the reasons.
        files: the contents of each file by its name; README.md is the last one.
    """

    exports: list[Written]
    left_out: list[LeftOut]
    files: dict[str, Contents]


def dataset_of(source: Source, exports: Mapping[str, Export]) -> Dataset:
    """The dataset of a run.

    Args:
        source: the run.
        exports: the exports by name.

    Raises:
        UserError: if an export needs the seed tasks, and they are gone.
        RunFolderError: if a temporary file cannot be written.
    """
    making = Making(source, exports)
    for stage in source.records:
        for _ in making.passing(stage):
            pass
    return making.dataset()


class Making:
    """Makes a dataset while the records pass by, so that they are read only once and never all in memory.

    Args:
        source: the run.
        exports: the exports by name.

    Raises:
        UserError: if an export needs the seed tasks, and they are gone.
    """

    def __init__(self, source: Source, exports: Mapping[str, Export]) -> None:
        needing = [name for name, export in exports.items() if export.seed_tasks or export.split]
        if needing and source.seeds is None:
            raise UserError(
                f"export.{needing[0]} needs the seed tasks: this run is of an earlier version that did not "
                "keep them, and their file is gone or has changed. Put it back, or leave out seed_tasks and "
                "split"
            )
        self._source, self._origins = source, Origins(source)
        self._exports = [_Rows(source, self._origins, name, export) for name, export in exports.items()]

    def passing(self, stage: str) -> Iterator[Record]:
        """The records of a stage, without edits of reviewers.

        A block of records goes to the exports of the stage when the next record is asked for.
        """
        exports = [one for one in self._exports if one.export.of == stage]
        for some in batched(self._source.records[stage], BLOCK):
            yield from some
            reviewed = list(map(self._source.reviews.applied, some))
            for export in exports:
                export.take(reviewed)

    def dataset(self) -> Dataset:
        """The dataset, after the records of all stages have passed."""
        left_out = [one.left_out for one in self._exports]
        made = []
        while self._exports:  # the rows of an export are not needed after its files are made
            made.append(self._exports.pop(0).written())
        files = {name: content for one in made for name, content in one.contents.items()}
        texts = trainers.files(self._source.outline.recipe, made)
        if made:
            texts[README] = card(self._source, self._origins, made)
        files |= {
            name: Contents([blotted(text).encode("utf-8", "backslashreplace")])
            for name, text in texts.items()
        }
        return Dataset(made, left_out, files)


class _Rows:
    """The rows of an export by split, and the records left out."""

    def __init__(self, source: Source, origins: Origins, name: str, export: Export) -> None:
        self.export, self.left_out = export, LeftOut()
        self._name, self._seed, self._counts = name, source.outline.seed, Counter[str]()
        self._sides = None
        if export.split:
            known = source.seeds.rows if source.seeds else []
            self._sides = Sides(export.split, self._seed, known, origins.root)
        unfit = self._sides.unfit if self._sides else lambda record: None
        self._convert = Converter(name, export, self._seed, origins, unfit)
        self._rows = Rows(export.split or (TRAIN,), promised(export.schema), SCORES in export.origins)
        if source.seeds and export.seed_tasks:
            self.take(source.seeds.rows)
        self._of_seeds = len(self._rows)

    def take(self, records: Sequence[Record]) -> None:
        """Make the rows of more records, or leave records out."""
        kept: list[Record] = []
        rows: list[Row] = []
        for record, (row, left) in zip(records, self._convert(records), strict=True):
            if left is None:
                kept.append(record)
                rows.append(row)
            else:
                self.left_out.add(left)
                self._counts[left.check or ""] += 1
        self._rows.extend(rows, list(map(self._sides.of, kept)) if self._sides else [TRAIN] * len(kept))

    def written(self) -> Written:
        """The files."""
        if self.export.shuffle:
            self._rows.shuffle(order(self._name, self._seed))
        return written(self._name, self.export, self._rows, self._of_seeds, self._counts)
