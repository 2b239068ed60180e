"""Where the records of a run come from, for the columns of exports: `columns` and `provenance`.

A record without a detail gets that of the record it was made from, so an instance has the scores of its
instruction. `recipe.origins` has the names of these columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from selfinstruct.dataset.reviews import EDITED
from selfinstruct.dataset.source import Source
from selfinstruct.journal.labelled_records import by_id
from selfinstruct.recipe.exports import REVIEWED
from selfinstruct.recipe.origins import ORIGIN, PAIRS
from selfinstruct.records import ACCEPTED, KEPT, Record
from selfinstruct.run_folder.outline import Outline

MEANINGS = {
    "recipe": "the recipe that made it",
    "scores": "the numbers that checks kept and judges gave; null where there is none",
    "parents": "the ids of the record that it was made from, of the one before that, and so on",
    "edited": "whether a reviewer has changed its text",
}

REMEMBERED = 1_000  # parents and models; the children of a record follow each other in most runs


def meanings(outline: Outline, of: str) -> dict[str, str]:
    """What each column means that is not a field of the records.

    Args:
        outline: the stages of the run.
        of: the stage with the records to write.
    """
    found: dict[str, str] = {}
    by_name, name = {stage.name: stage for stage in outline.stages}, of
    while name in by_name:
        stage = by_name[name]
        kept = dict.fromkeys(stage.lines, "the line of a file that the prompt drew")
        found = {**kept, **stage.tells, **found}
        name = stage.of or ""
    return {**REVIEWED, **MEANINGS, **found, **ORIGIN}


class Origins:
    """Reports the origin of a run's records.

    Args:
        source: the run.
    """

    def __init__(self, source: Source) -> None:
        self._outline, self._journal = source.outline, source.journal
        self._stages = {stage.name: stage for stage in source.outline.stages}
        self._made = source.records
        self._reading: dict[str, Callable[[str], Record | None]] = {}
        self._record = lru_cache(REMEMBERED)(self._read)
        self._model = lru_cache(REMEMBERED)(self._answered)
        self._named: dict[str, list[str]] = {}
        self._judged: dict[str, list[str]] = {}

    def __call__(self, record: Record) -> dict[str, Any]:
        """All that is known about a record besides its fields."""
        line = self.line(record)
        found: dict[str, Any] = {}
        for one in reversed(line):
            found |= {**one.detail, **_nearest(one.detail)}
        asked = record.stage in self._stages
        return {
            **found,
            "id": record.id,
            "parent": record.parent,
            "request": record.request if asked else None,
            "model": next(self._models_of(line), None),
            "recipe": self._outline.recipe,
            "scores": {**_numbers(found), **self._judgements(line)},
            "parents": [one.id for one in line[1:]],
            EDITED: EDITED in record.detail,
        }

    def line(self, record: Record) -> list[Record]:
        """A record, the one it was made from, and so on."""
        found = [record]
        while parent := self._record(found[-1].parent or "", found[-1].stage):
            found.append(parent)
        return found

    def root(self, record: Record) -> Record:
        """The record that the line of a record began with, as it was made: without a reviewer's edit."""
        first = self.line(record)[-1]
        made = self._read_of(first.stage, first.id) if EDITED in first.detail else None
        return made or first

    def named(self, stage: str) -> list[str]:
        """The models that wrote the records of a stage, or its labels; of a merge, those of its runs."""
        if stage not in self._named:
            replied = {name or self._configured(stage) for name in self._journal.models(stage)}
            kept = self._made[stage].models if stage in self._made else ()
            self._named[stage] = sorted({*replied, *kept} - {""})
        return self._named[stage]

    def _read(self, id: str, child: str) -> Record | None:
        """The record with this id, from which one of the stage `child` was made; None if there is none."""
        of = self._stages[child].of if id and child in self._stages else None
        found = self._read_of(of, id) if of else None
        if found is None and id and (other := self._journal.record(id)) and other.fate == ACCEPTED:
            return self._read_of(other.stage, id)
        return found

    def _read_of(self, stage: str, id: str) -> Record | None:
        if stage not in self._made:
            return None
        if stage not in self._reading:
            self._reading[stage] = by_id(self._outline, self._journal, stage)
        return self._reading[stage](id)

    def _configured(self, stage: str) -> str:
        return self._stages[stage].model if stage in self._stages else ""

    def _answered(self, stage: str, number: int) -> str:
        """The model that gave a reply; empty if there is none."""
        name = self._journal.model(stage, number)
        return name or (self._configured(stage) if self._journal.replied(stage, (number, number)) else "")

    def _models_of(self, line: Sequence[Record]) -> Iterator[str]:
        """The model that wrote the record; if a stage only passed it on unchanged, its parent's model."""
        for record in line:
            if KEPT not in record.detail:
                name = self._model(record.stage, record.request) or record.detail.get("model")
                yield from [name] if name else []
                return

    def _judgements(self, line: Sequence[Record]) -> dict[str, float]:
        """The numbers among the labels of a record, and of those that it was made from."""
        found: dict[str, float] = {}
        for record in reversed(line):
            if record.stage not in self._judged:
                labels = self._outline.labels_of(record.stage)
                self._judged[record.stage] = [name for stage in labels for name in stage.own]
            found |= _numbers({name: record.data.get(name) for name in self._judged[record.stage]})
        return found


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _nearest(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The most similar other record, and the score."""
    found: dict[str, Any] = {}
    for name, (nearest, score) in PAIRS.items():
        scores: dict[str, float] = detail.get(name) or {}
        if scores:
            found[nearest] = max(scores, key=scores.__getitem__)
            found[score] = scores[found[nearest]]
    return found
