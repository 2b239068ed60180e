"""The records that runs give to a merge, one after the other, and what each keeps of where it is from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from selfinstruct.journal import labelled_records
from selfinstruct.journal.lookup import Lookup
from selfinstruct.journal.store import Journal
from selfinstruct.records import KEPT, MENDED, OTHERWISE, Record
from selfinstruct.sources.giving_runs import GivingRun

FROM_RUN, FROM_ID, FIRST_RUN, FIRST_ID, MODEL = "from_run", "from_id", "first_run", "first_id", "model"
NEAREST = "nearest"
# Details that name other records of the run that they are from, or that have a place of their own here.
LEFT_BEHIND = {MENDED, OTHERWISE, KEPT, NEAREST, "score", "most_similar", "average_similarity"}
LEFT_BEHIND |= {"nearest_in_meaning", "score_in_meaning", FROM_RUN, FROM_ID, FIRST_RUN, FIRST_ID, MODEL}


def given_records(runs: Sequence[GivingRun], stage: str) -> Iterator[tuple[GivingRun, Record]]:
    """The records of a stage, run by run, as they join the merge; one run is open, one record in memory.

    Raises:
        DamagedJournal: if a row that is read is not as it was written.
        RunFolderError: if a run is gone.
    """
    for run in runs:
        with run.opened() as journal:
            models = _Models(journal, stage, run.outline.stage(stage).model)
            for record in labelled_records.one_by_one(run.outline, journal, stage):
                _join(record, run.name, models)
                yield run, record


class Merged:
    """The records of a stage that was merged before, by the run and the id that they had there.

    Args:
        journal: the journal of the merge.
        stage: the stage.
    """

    def __init__(self, journal: Journal, stage: str) -> None:
        self._journal = journal
        self._ids = Lookup(
            (_key(one.detail[FROM_RUN], one.detail[FROM_ID]), one.id)
            for one in journal.records(stage)
            if FROM_RUN in one.detail
        )
        self._last: tuple[str, Record | None] = ("", None)  # children of one parent follow each other

    def record(self, run: str, id: str) -> Record | None:
        """A record, whatever its fate; None if it was not merged."""
        key = _key(run, id)
        if key != self._last[0]:
            ids = self._ids.texts(key)
            self._last = key, self._journal.record(ids[0]) if ids else None
        return self._last[1]


class _Models:
    """The models that wrote the records of a stage."""

    def __init__(self, journal: Journal, stage: str, usual: str) -> None:
        self._journal, self._stage, self._usual = journal, stage, usual
        self._last = (0, "")  # records of one reply follow each other

    def of(self, record: Record) -> str:
        """The model that wrote a record; empty if none did."""
        number, name = self._last
        if number != record.request:
            name = self._journal.model(self._stage, record.request)
            self._last = record.request, name
        return name or record.detail.get(MODEL) or self._usual


def _join(record: Record, run: str, models: _Models) -> None:
    """Keep only the details that keep their meaning in the merge, and where the record is from."""
    before, model = record.detail, models.of(record)
    record.detail = {key: value for key, value in before.items() if key not in LEFT_BEHIND}
    record.detail |= {FROM_RUN: run, FROM_ID: record.id}
    if FROM_RUN in before:
        record.detail[FIRST_RUN] = before.get(FIRST_RUN) or before[FROM_RUN]
        record.detail[FIRST_ID] = before.get(FIRST_ID) or before[FROM_ID]
    if KEPT in before:
        record.detail[KEPT] = before[KEPT]
    elif model:
        record.detail[MODEL] = model


def _key(run: str, id: str) -> str:
    return f"{run}\n{id}"  # a line break is in no id
