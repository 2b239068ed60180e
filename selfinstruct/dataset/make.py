"""From the records of a run to its dataset: the rows of each export, the page about them, and the files."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from selfinstruct.dataset import trainers
from selfinstruct.dataset.card import README, card
from selfinstruct.dataset.contents import Contents
from selfinstruct.dataset.origins import Origins
from selfinstruct.dataset.source import Source
from selfinstruct.dataset.splits import TRAIN, Sides
from selfinstruct.dataset.written import Row, Written, written
from selfinstruct.errors import UserError
from selfinstruct.export import Export, converted
from selfinstruct.records import Record
from selfinstruct.safety.blot import blotted


@dataclass(frozen=True)
class Dataset:
    """A dataset, ready to be written.

    Attributes:
        exports: each export with its rows.
        left_out: the records that exports left out, with the reasons.
        files: the contents of each file by its name; README.md is the last one.
    """

    exports: list[Written]
    left_out: list[Record]
    files: dict[str, Contents]


def dataset_of(source: Source, exports: Mapping[str, Export]) -> Dataset:
    """The dataset of a run.

    Args:
        source: the run.
        exports: the exports by name.

    Raises:
        UserError: if an export needs the seed tasks, and they are gone.
    """
    needing = [name for name, export in exports.items() if export.seed_tasks or export.split]
    if needing and source.seeds is None:
        raise UserError(
            f"export.{needing[0]} needs the seed tasks: this run is of an earlier version that did not keep "
            "them, and their file is gone or has changed. Put it back, or leave out seed_tasks and split"
        )
    with _uncollected():
        return _made(source, exports)


def _made(source: Source, exports: Mapping[str, Export]) -> Dataset:
    origins = Origins(source)
    made: list[Written] = []
    left_out: list[Record] = []
    for name, export in exports.items():
        one, rejected = _written(source, origins, name, export)
        made.append(one)
        left_out += rejected
    files = {name: content for one in made for name, content in one.contents.items()}
    texts = trainers.files(source.outline.recipe, made)
    if made:
        texts[README] = card(source, origins, made)
    files |= {
        name: Contents([blotted(text).encode("utf-8", "backslashreplace")]) for name, text in texts.items()
    }
    return Dataset(made, left_out, files)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave out Python's search for cycles: there are millions of objects here, and no cycle."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _written(source: Source, origins: Origins, name: str, export: Export) -> tuple[Written, list[Record]]:
    """The rows of an export by split, and the records left out."""
    seed = source.outline.seed
    seeds = source.seeds.rows if source.seeds and export.seed_tasks else []
    sides = None
    if export.split:
        known = source.seeds.rows if source.seeds else []
        sides = Sides(export.split, seed, known, origins.root)
    records = [*seeds, *source.of(export.of)]
    unfit = sides.unfit if sides else lambda record: None
    pairs, rejected = converted(name, export, records, seed, origins, unfit)
    if "scores" in export.origins:
        _complete(pairs)
    splits: dict[str, list[Row]] = {split: [] for split in export.split or (TRAIN,)}
    for row, record in pairs:
        splits[sides.of(record) if sides else TRAIN].append(row)
    del pairs
    ids = {seed.id for seed in seeds}
    of_seeds = len(seeds) - sum(record.id in ids for record in rejected)
    counts = Counter(record.check or "" for record in rejected)
    return written(name, export, splits, of_seeds, counts), rejected


def _complete(pairs: list[tuple[Row, Any]]) -> None:
    """Give the scores of all rows the same names; a run whose checks keep none has no such column."""
    names = sorted({name for row, _ in pairs for name in row["scores"]})
    for row, _ in pairs:
        scores = row.pop("scores")
        if names:
            row["scores"] = {name: scores.get(name) for name in names}
