"""The records of a finished run, as the material of another run: its seeds, or the records of a stage.

They are the accepted records, with their labels, as in the JSONL file of their stage. They are read from the
journal, so a fault is found here: a folder that is gone or holds no run, a run that is not finished, a
journal that is damaged or of a newer format.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from selfinstruct.errors import MOST_ALIKE, DamagedJournal, Fault, RunFolderError, unknown
from selfinstruct.journal import labelled_records
from selfinstruct.journal.beside import JOURNAL, NOTE, REVIEWED, in_use
from selfinstruct.journal.outline import Outline, stored_outline
from selfinstruct.journal.repair import OTHER, looked_into
from selfinstruct.journal.store import FINISHED, Journal
from selfinstruct.project.layout import no_path, path_below
from selfinstruct.records import Record
from selfinstruct.sources.seed_table import Row, Table
from selfinstruct.where import Where, shown
from selfinstruct.where import faults as where_faults

RECORD = "record"  # the word for a row of a run
LONGEST = 40  # characters of a value that may be one of a closed set
MOST = 20  # values of a closed set


@dataclass(frozen=True)
class Asked:
    """The keys of a recipe that ask for the records of a run; faults are reported at these keys.

    Attributes:
        run: the key with the run's folder.
        stage: the key with the stage.
        where: the key with the conditions.
        unfinished: the key that allows a run that is not finished; empty if there is none.
    """

    run: str
    stage: str
    where: str
    unfinished: str = ""


@dataclass(frozen=True)
class PastRun:
    """Records of a finished run.

    Attributes:
        path: its folder.
        recipe: the name of its recipe.
        stage: the stage that made the records.
        own: the fields that this stage gave them itself.
        records: the records, in the order in which they were made.
        there: how many records the stage has, taken or not.
    """

    path: Path
    recipe: str
    stage: str
    own: Sequence[str]
    records: list[Record]
    there: int


def read_run(
    words: str,
    stage: str | None,
    where: Where,
    project: Path,
    asked: Asked,
    faults: list[Fault],
    unfinished: bool = False,
) -> PastRun | None:
    """The records of a run that fit; None after adding a fault.

    Args:
        words: the run's folder, as a user types it.
        stage: the stage that made the records; None for the last one that makes some.
        where: the conditions on the records.
        project: the user's folder.
        asked: the keys that ask for them.
        faults: receives every fault found.
        unfinished: take the records that an unfinished run has so far.
    """
    path = folder_of(words, project, asked, faults)
    if path is None:
        return None
    before = len(faults)
    try:
        refuse_damaged(path)
        with opened_to_read(path) as journal:
            found = _records(path, journal, stage, asked, faults, unfinished)
    except DamagedJournal as error:
        add_damage(error, asked, faults)
    except RunFolderError as error:
        faults.append(Fault(asked.run, str(error)))
    if len(faults) > before:
        return None
    return _fitting(found, where, asked, faults) if found else None


def read_table(words: str, stage: str | None, project: Path, faults: list[Fault]) -> Table | None:
    """The accepted records of a run as the rows of a file of seeds; None after adding a fault."""
    asked = Asked("seeds.from_run", "seeds.from_stage", "seeds.where")
    found = read_run(words, stage, Where(), project, asked, faults)
    if found is None:
        return None
    table = Table(found.path, format=f"records of {found.stage}", unit=RECORD)
    table.rows += [
        Row(number, one.id, {**one.data, "id": f"{found.recipe}/{one.id}"}, len(json.dumps(one.data)))
        for number, one in enumerate(found.records, 1)
    ]
    return table


def closed_values(values: Sequence[Any]) -> tuple[Any, ...]:
    """The different values of a field, if they are few, short and repeated, like labels; otherwise empty.

    The records of a finished run don't change, so no other value can come.
    """
    found: dict[str, Any] = {}
    for value in values:
        if not isinstance(value, bool | int | str) or (isinstance(value, str) and len(value) > LONGEST):
            return ()
        found.setdefault(json.dumps(value), value)
        if len(found) > MOST:
            return ()
    repeated = len(found) < len(values) or all(isinstance(value, bool) for value in found.values())
    return tuple(found.values()) if repeated else ()


def folder_of(words: str, project: Path, asked: Asked, faults: list[Fault]) -> Path | None:
    """The folder of a run; None after adding a fault."""
    example = f"name the folder of a finished run: {asked.run}=runs/chat"
    if wrong := no_path(words):
        faults.append(Fault(asked.run, f"{words[:40]!r} {wrong}", example))
        return None
    path = path_below(project, words)
    if not path.exists():
        named = path_below(project, f"runs/{words}")  # a run by its recipe's name
        hint = f"did you mean {asked.run}=runs/{words}?" if (named / JOURNAL).is_file() else example
        faults.append(Fault(asked.run, f"there is no folder {words}", hint))
    elif (path / NOTE).is_file():
        what = f"the run in {words} works in another folder ({NOTE} says where)"
        faults.append(Fault(asked.run, what, "finish it there with its own command"))
    elif (path / JOURNAL).is_file():
        return path
    elif (path / "0" / JOURNAL).is_file():
        faults.append(Fault(asked.run, f"{words} is a sweep", f"name one of its jobs: {asked.run}={words}/0"))
    else:
        faults.append(Fault(asked.run, f"{words} holds no run ({JOURNAL} is missing)", example))
    return None


def add_damage(error: DamagedJournal, asked: Asked, faults: list[Fault]) -> None:
    """Add the fault of a damaged run, unless another stage that takes its records has added it."""
    what = f"{error.path} is damaged: {'; '.join(error.damage[:MOST_ALIKE])}"
    if all(fault.what != what for fault in faults):
        faults.append(Fault(asked.run, what, error.remedy or OTHER))


@contextmanager
def opened_to_read(path: Path) -> Iterator[Journal]:
    """The journal of a run, to read from; each row is checked when it is read.

    Raises:
        DamagedJournal: if it is damaged.
        RunFolderError: if it cannot be read, or is of a newer format.
    """
    with looked_into(path / JOURNAL, _is_written(path), OTHER, whole=False) as journal:
        try:
            yield journal
        except sqlite3.DatabaseError as error:
            raise DamagedJournal(path / JOURNAL, [str(error)], OTHER) from error


def refuse_damaged(path: Path) -> None:
    """Refuse a run whose journal is not as it was written; rows that are gone are damage too.

    All of it is read, but only once in a process, as long as its files stay as they are.

    Raises:
        DamagedJournal: if it is damaged.
        RunFolderError: if it cannot be read, or is of a newer format.
    """
    files = [path / JOURNAL, path / f"{JOURNAL}-wal"]
    found = [file.stat() for file in files if file.is_file()]
    _whole(path, *((one.st_ino, one.st_mtime_ns, one.st_size) for one in found))


@lru_cache(maxsize=256)
def _whole(path: Path, *state: tuple[int, int, int]) -> None:
    """See `refuse_damaged`; an error is not remembered."""
    with looked_into(path / JOURNAL, _is_written(path), OTHER):
        pass


def _is_written(path: Path) -> bool:
    """Whether another process may write to the journal."""
    return in_use(path) or in_use(path, REVIEWED)


def _records(
    path: Path,
    journal: Journal,
    stage: str | None,
    asked: Asked,
    faults: list[Fault],
    unfinished: bool,
) -> PastRun | None:
    """All accepted records of a stage; None after adding a fault."""
    outline = stored_outline(journal)
    if outline is None:
        what = f"the run in {path} is of an earlier version, whose records cannot be read here"
        faults.append(Fault(asked.run, what, "run its own command once more, which brings it up to date"))
        return None
    if not unfinished and not journal.meta(FINISHED):
        faults.append(unfinished_fault(path, asked))
    makers = [one.name for one in outline.makers]
    if stage is not None and stage not in makers:
        faults.append(Fault(asked.stage, *unknown("stage", stage, makers)))
        return None
    name = stage or makers[-1]
    records = list(labelled_records.rows(outline, journal, name).values())
    if not records:
        what = f"the run in {path} has no accepted record of stage {name}"
        faults.append(Fault(asked.run, what, f"choose another run, or a stage: {asked.stage}=…"))
    return PastRun(path, outline.recipe, name, _own(outline, name), records, len(records))


def _own(outline: Outline, stage: str) -> list[str]:
    return list(outline.stage(stage).own)


def unfinished_fault(path: Path, asked: Asked) -> Fault:
    """The fault that a run is not finished."""
    if in_use(path):
        what, remedy = f"the run in {path} still works", "wait until it is finished"
    else:
        what, remedy = f"the run in {path} is not finished", "finish it with its own command"
    more = f", or take the records that it has: {asked.unfinished}=true" if asked.unfinished else ""
    return Fault(asked.run, what, remedy + more)


def _fitting(found: PastRun, where: Where, asked: Asked, faults: list[Fault]) -> PastRun | None:
    """The run with only the records that fit; None after adding a fault."""
    if not where:
        return found
    columns = columns_of([one.data for one in found.records])
    closed = {name: closed_values(values) for name, values in columns.items()}
    wrong = where_faults(asked.where, where, columns, closed)
    faults += wrong
    fitting = [one for one in found.records if where.fits(one.data)]
    if not fitting and not wrong:
        few = [f"{key}: {', '.join(_some(columns[key]))}" for key in where]
        faults.append(Fault(asked.where, f"no record of {found.path} fits: {where}", "; ".join(few)))
    if not fitting or wrong:
        return None
    return PastRun(found.path, found.recipe, found.stage, found.own, fitting, found.there)


def _some(values: Sequence[Any]) -> list[str]:
    different = list(dict.fromkeys(shown(value)[:LONGEST] for value in values))
    return different[:8] + (["…"] if len(different) > 8 else [])


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The values of each field, by its name, in the order in which the fields appear."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.items():
            found.setdefault(key, []).append(value)
    return found
