"""The tables of a report: the first records, and rejected ones of every check with their nearest texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfinstruct.records import REJECTED, Record
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import StageOutline
from selfinstruct.text.readable import readable

LONGEST = 20_000  # characters of a text; `show` has the whole of a longer one
REJECTED_COLUMNS = ("id", "stage", "check", "reason", "text", "nearest", "nearest_text", "score")


def record_table(stage: str, shown: Sequence[Record], total: int) -> dict[str, Any]:
    """The first records of a stage: a column for each field, and the id of the record each was made from."""
    fields = dict.fromkeys(name for record in shown for name in record.data)
    rows = [
        [record.id, *(_cell(record.data.get(name)) for name in fields), record.parent] for record in shown
    ]
    return {"stage": stage, "columns": ["id", *fields, "parent"], "rows": rows, "total": total}


@dataclass
class Rejections:
    """Collects rejected records, some of every check.

    Attributes:
        quotas: by stage and check, how many to collect.
    """

    quotas: Mapping[tuple[str, str], int]
    found: list[Record] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def see(self, record: Record) -> None:
        """Count a rejected record, and collect it if there is room for its check."""
        if record.fate == REJECTED:
            place = record.stage, record.check or ""
            self.counts[place] += 1
            if self.counts[place] <= self.quotas.get(place, 0):
                self.found.append(record)

    def table(self, run: OpenedRun) -> dict[str, Any]:
        """The table, with the texts of the records that they were too like."""
        own = {stage.name: stage for stage in run.outline.stages}
        rows = [_rejected(run, own[record.stage], record) for record in self.found]
        by_check = [
            {"stage": stage, "check": check, "count": count}
            for (stage, check), count in sorted(self.counts.items(), key=lambda one: (-one[1], one[0]))
        ]
        total = self.counts.total()
        return {"columns": list(REJECTED_COLUMNS), "rows": rows, "total": total, "by_check": by_check}


def quotas(counts: Mapping[tuple[str, str], int], most: int) -> dict[tuple[str, str], int]:
    """How many records of each check to show: the same number of each, and the rest of the frequent ones.

    Args:
        counts: by stage and check, how many were rejected.
        most: how many rows there are room for.
    """
    given = dict.fromkeys(counts, 0)
    for done, place in enumerate(sorted(counts, key=lambda one: (counts[one], one))):
        given[place] = min(counts[place], (most - sum(given.values())) // (len(counts) - done))
    return given


def text_of(stage: StageOutline, data: Mapping[str, Any]) -> str:
    """The fields that a stage gives its records itself, as one text."""
    return _joined(data.get(name) for name in stage.own)


def _rejected(run: OpenedRun, stage: StageOutline, record: Record) -> list[Any]:
    near = record.detail.get("nearest")
    text = text_of(stage, record.data) or _reply(run, record)
    near_text = _nearest_text(run, str(near), stage) if near else None
    score = record.detail.get("score")
    return [record.id, stage.name, record.check, record.reason, _cell(text), near, _cell(near_text), score]


def _reply(run: OpenedRun, record: Record) -> str:
    """The whole reply, where nothing could be read from it."""
    reply = run.journal.reply(record.stage, record.request)
    return (reply.text or reply.thought) if reply else ""


def _nearest_text(run: OpenedRun, id: str, stage: StageOutline) -> str | None:
    """The text of a neighbour; a seed task is shown by the fields of the stage that was too like it."""
    near = run.record(id)
    if near is None:
        return None
    own = {stage.name: stage for stage in run.outline.stages}
    return text_of(own.get(near.stage, stage), near.data)


def _joined(parts: Iterable[Any]) -> str:
    return "\n".join(_text(part) for part in parts if part not in (None, ""))


def _text(value: Any) -> str:
    return readable(value)


def _cell(value: Any) -> Any:
    """A value that a table can show: a number, a truth value, a text, or the start of a long one."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = _text(value)
    return text if len(text) <= LONGEST else {"text": text[:LONGEST], "of": len(text)}
