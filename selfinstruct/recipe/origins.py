"""The origin of a record, and the details that checks have kept, for the columns of exports.

The columns of an export name fields of the records. They may also name `id`, `parent`, `request` and `model`,
the details that filters keep of the records that pass (`tells`), and the lines that a prompt drew. A record
without a detail gets that of the record it was made from, so an instance has the scores of its instruction.
If a field of the records has one of these names, the field is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfinstruct.journal.store import Journal
from selfinstruct.records import KEPT, Record
from selfinstruct.stages import Stage

ORIGIN = {
    "id": "the record's name, as in the file of its stage",
    "parent": "the id of the record that it was made from; null where it was made from none",
    "request": "the number of the request whose reply it was read from; null for a seed task",
    "model": "the model whose reply it was read from, as the provider calls it; null for a seed task",
}
# Details of the form id: score, and the two columns for the best of them.
PAIRS = {
    "most_similar": ("nearest", "score"),
    "nearest_in_meaning": ("nearest_in_meaning", "score_in_meaning"),
}


def names(stages: Sequence[Stage], of: str) -> dict[str, str]:
    """The names that a column may have besides the fields of the records, and what each means.

    Args:
        stages: all the stages.
        of: the stage with the records to write.
    """
    found: dict[str, str] = {}
    for stage in _line(stages, of):
        kept = dict.fromkeys(stage.lines, "the line of a file that the prompt drew")
        for _, check in stage.judge.checks:
            kept |= check.tells
        found = {**kept, **found}
    return {**found, **ORIGIN}


def unkept(stages: Sequence[Stage], of: str) -> dict[str, str]:
    """Those of these names that no filter keeps as it is set now, each with the key that changes this."""
    could: dict[str, str] = {}
    kept: set[str] = set()
    for stage in _line(stages, of):
        for name, check in stage.judge.checks:
            for detail in check.tells:
                if check.tells_with:
                    could.setdefault(detail, f"filters.{stage.name}.{name}.{check.tells_with}")
                else:
                    kept.add(detail)
    return {detail: key for detail, key in could.items() if detail not in kept}


class Origins:
    """Reports the origin of a run's records.

    Args:
        stages: the stages of the recipe.
        journal: the journal of the run.
        made: the records, by stage that makes records.
    """

    def __init__(
        self, stages: Sequence[Stage], journal: Journal, made: Mapping[str, Sequence[Record]]
    ) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._journal = journal
        self._records = {record.id: record for records in made.values() for record in records}
        self._models: dict[str, dict[int, str]] = {}

    def __call__(self, record: Record) -> dict[str, Any]:
        """All that is known about a record besides its fields."""
        line = list(self._ancestry(record))
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
        }

    def models(self, stage: str) -> dict[int, str]:
        """The model that gave each reply of a stage, by request number."""
        if stage not in self._models:
            configured = self._stages[stage].model.name if stage in self._stages else ""
            replies = self._journal.models(stage)
            self._models[stage] = {number: name or configured for number, name in replies.items()}
        return self._models[stage]

    def _ancestry(self, record: Record | None) -> Iterator[Record]:
        """A record, the one it was made from, and so on."""
        while record:
            yield record
            record = self._records.get(record.parent or "")

    def _models_of(self, line: Sequence[Record]) -> Iterator[str]:
        """The model that wrote the record; if a stage only passed it on unchanged, its parent's model."""
        for record in line:
            if KEPT not in record.detail:
                name = self.models(record.stage).get(record.request)
                yield from [name] if name else []
                return


def _nearest(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The most similar other record, and the score."""
    found: dict[str, Any] = {}
    for name, (nearest, score) in PAIRS.items():
        scores: dict[str, float] = detail.get(name) or {}
        if scores:
            found[nearest] = max(scores, key=scores.__getitem__)
            found[score] = scores[found[nearest]]
    return found


def _line(stages: Sequence[Stage], of: str) -> Iterator[Stage]:
    """A stage, the stage that makes its records, and so on."""
    by_name, name = {stage.name: stage for stage in stages}, of
    while name in by_name:
        yield by_name[name]
        name = by_name[name].of or ""
