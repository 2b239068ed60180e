"""The pool: seed tasks and accepted records, and the few-shot mix drawn from them.

Seeds are never filtered and always stay (arXiv 2212.10560, section 2.2). The pool remembers its size after
each reply, since a request is composed from the pool as it was after an earlier reply. Of accepted records
only the places are in memory: a prompt shows a few of them, which are read from the journal.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import Fault
from selfinstruct.journal.places import packed
from selfinstruct.records import ACCEPTED, Record, Rejection
from selfinstruct.sources.past_runs import read_table
from selfinstruct.sources.row_faults import RowFaults
from selfinstruct.sources.seed_columns import Mapped, mapped
from selfinstruct.sources.seed_content import notes as content_notes
from selfinstruct.sources.seed_content import unfit
from selfinstruct.sources.seed_files import read_seed_file
from selfinstruct.sources.seed_table import Row, Table
from selfinstruct.where import Condition, Where, shown

if TYPE_CHECKING:
    from selfinstruct.config import MixConfig, SeedsConfig
    from selfinstruct.schema.validation import Validate

SEED_STAGE = "seeds"
LONGEST = 200  # characters of a schema's message, which may quote a whole text


@dataclass
class Pool:
    """The seeds and the records that a bootstrap stage accepted.

    Attributes:
        seeds: the seed tasks.
        stored: reads the accepted record at a place; not needed in a pool of seeds alone.
        made: the places of the accepted records; see `journal.places`.
    """

    seeds: Sequence[Record]
    stored: Callable[[int], Record] | None = None
    made: array[int] = field(default_factory=lambda: array("Q"))
    _sizes: array[int] = field(default_factory=lambda: array("L", [0]))  # by reply

    def add(self, record: Record) -> None:
        """Add an accepted record, which is stored before a prompt may show it."""
        self.made.append(packed(record.request, record.position))

    def close(self, number: int) -> None:
        """Remember the size of the pool after reply `number`."""
        self._sizes.extend([0] * (number + 1 - len(self._sizes)))
        self._sizes[number] = len(self.made)

    def draw(self, mix: MixConfig, after: int, rng: random.Random) -> list[Record]:
        """Draw the few-shot examples of a prompt and shuffle them.

        Args:
            mix: how many examples, and how many of them machine-made.
            after: records of replies up to this number may be shown; 0 before the first reply.
            rng: the request's own random stream.

        Raises:
            DamagedJournal: if a drawn record is gone, or not as it was written.
        """
        size = self._sizes[after]
        machine = [self._record(place) for place in rng.sample(range(size), min(mix.generated, size))]
        drawn = machine + rng.sample(self.seeds, mix.examples - len(machine))
        rng.shuffle(drawn)
        return drawn

    def _record(self, place: int) -> Record:
        assert self.stored, "only a pool that can read them gets accepted records"
        return self.stored(self.made[place])


@dataclass(frozen=True)
class Seeds:
    """The content of a seed file.

    Attributes:
        tasks: one record for each row taken, with the fields of the row and of its first instance.
        rows: one record for each instance, for exports.
        path: the file.
        count: how many rows it has, taken or not.
        unit: the word for a row: line, item or row.
        format: the file's format, in words.
        digest: a digest of all its tasks; it does not depend on the format they are written in.
    """

    tasks: list[Record]
    rows: list[Record]
    path: Path
    count: int
    unit: str = "line"
    format: str = ""
    digest: str = ""


def load_seeds(
    config: SeedsConfig,
    schema: Mapping[str, Any],
    validate: Validate | None,
    project: Path,
    faults: list[Fault],
    notes: list[str],
) -> Seeds | None:
    """Read a seed file, or the records of a run; every fault goes to `faults`, with its place.

    Args:
        config: the file or the run, and which of its rows to take.
        schema: the JSON Schema of the seeds.
        validate: checks a seed; None if there is no check.
        project: the user's folder.
        faults: receives every fault found.
        notes: receives notes for the user on how the file was read.
    """
    if config.from_run:
        table = read_table(config.from_run, config.from_stage, project, faults)
    else:
        table = read_seed_file(config, project, faults)
    if table is None:
        return None
    found: list[Fault] = []
    read = mapped(table, config, schema, found)
    notes += [*read.notes, *content_notes(table)]
    wrong = RowFaults(table.path, table.unit)
    for row in read.rows if not read.lost else ():  # without the missing column, every row would have a fault
        _check(row, read, config.instances_key, validate, wrong)
    ids = _ids(read.rows, table.unit, wrong)
    found += wrong.faults()
    faults.extend(found)
    if found:
        return None
    where = Where.of(config.where)
    tasks, rows = _records(read.rows, ids, config.instances_key, where, text=table.header)
    if not tasks:
        lines = [flatten(row.data, config.instances_key)[0] for row in read.rows]
        faults.append(_nothing_fits(table, where, lines))
        return None
    digest = _digest(read.rows, ids)
    return Seeds(tasks, rows, table.path, len(read.rows), table.unit, table.format, digest)


def _ids(read: Sequence[Row], unit: str, wrong: RowFaults) -> list[str]:
    """The id of each row; a row without one gets a unique id made from its place."""
    given = {str(row.data["id"]) for row in read if isinstance(row.data, dict) and "id" in row.data}
    places: dict[str, str] = {}
    for nth, row in enumerate(read, 1):
        own = isinstance(row.data, dict) and "id" in row.data
        id = str(row.data["id"]) if own else _free(f"seed-{nth}", given)
        if places.setdefault(id, row.place) != row.place:
            what = f"the id {id!r} is on {unit} {places[id]} already"
            wrong.add(row.place, what, "give it another id")
    return list(places)


def _records(
    read: Sequence[Row], ids: Sequence[str], each: str | None, where: Where, text: bool
) -> tuple[list[Record], list[Record]]:
    """The tasks that are taken, and the instances of all of them."""
    tasks, rows = list[Record](), list[Record]()
    for row, id in zip(read, ids, strict=True):
        instances = flatten(row.data, each)
        if _fitting(instances[0], where, text):
            tasks.append(Record(id, SEED_STAGE, row.number, 0, instances[0], fate=ACCEPTED))
            rows += [
                Record(f"{id}-{place}", SEED_STAGE, row.number, place, data, fate=ACCEPTED)
                for place, data in enumerate(instances)
            ]
    return tasks, rows


def flatten(data: dict[str, Any], each: str | None) -> list[dict[str, Any]]:
    """One flat row for each instance of a line; a line without instances stays as it is."""
    instances = data.get(each) if each else None
    if not instances:
        return [data]
    rest = {key: value for key, value in data.items() if key != each}
    return [{**rest, **instance} for instance in instances]


def _check(row: Row, read: Mapped, each: str | None, validate: Validate | None, wrong: RowFaults) -> None:
    """Add a row's faults."""
    unreadable = list(unfit(row.data))
    for what, remedy in unreadable:
        wrong.add(row.place, what, remedy)
    if unreadable:
        return
    if not isinstance(row.data, dict):
        wrong.add(row.place, "is not of type 'object'", 'a seed is an object: {"instruction": …}')
    elif refused := validate(row.data) if validate else None:
        wrong.add(row.place, *_in_words(refused, read, each))
    elif each and not _is_list(row.data.get(each, [])):
        wrong.add(row.place, f"{each!r} is not a list of objects")


def _in_words(refused: Rejection, read: Mapped, each: str | None) -> tuple[str, str, str]:
    """The schema's message, the remedy (the key to set if a column was not found), and the kind of fault."""
    lacking = re.fullmatch(r"'([\w-]+)' is a required property", refused.reason)
    if lacking and lacking[1] == each:
        what = "has no output, which this recipe needs"
        return what, f"{read.told}; name the output's column with seeds.columns.output=NAME", what
    if lacking:
        remedy = f"{read.told}; name the column that holds it with seeds.columns.{lacking[1]}=NAME"
        return refused.reason, remedy, refused.reason
    message = (
        refused.reason if len(refused.reason) < LONGEST else f"{refused.reason[:80]} … {refused.reason[-80:]}"
    )
    rule = re.search(r"(?s)(is not|does not|is too|should) .{,200}$", refused.reason)
    kind = re.sub(r"\d+", "", str(refused.detail.get("path"))) + (rule[0] if rule else message)
    return message, "", kind


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _free(id: str, taken: set[str]) -> str:
    """An id that no other task has."""
    return id if id not in taken else next(new for n in count(2) if (new := f"{id}-{n}") not in taken)


def _digest(read: Sequence[Row], ids: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for row, id in zip(read, ids, strict=True):
        digest.update(f"{json.dumps([id, row.data], sort_keys=True)}\n".encode())
    return digest.hexdigest()[:16]


def _fitting(data: dict[str, Any], where: Where, text: bool) -> bool:
    """Whether a line is taken.

    Args:
        data: its fields.
        where: the conditions.
        text: whether every cell of the file is text; a cell is then read as the type it is compared with.
    """
    if text:
        cells = {key: _read_as(where[key], data[key]) for key in where if key in data}
        data = {**data, **cells}
    return where.fits(data)


def _read_as(condition: Condition, cell: Any) -> Any:
    """A text cell as a boolean or a number, if the condition compares it with one."""
    if not isinstance(cell, str):
        return cell
    text, named = cell.strip(), [*condition.named, *condition.bounds.values()]
    if any(isinstance(one, bool) for one in named) and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if any(isinstance(one, int | float) and not isinstance(one, bool) for one in named):
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _nothing_fits(table: Table, where: Where, rows: Sequence[Mapping[str, Any]]) -> Fault:
    """The fault that no line is taken, with the columns or the values that the file has."""
    what = f"no {table.unit} of {table.path} fits: {where}"
    for key, condition in where.items():
        found = list(dict.fromkeys(shown(row[key])[:40] for row in rows if key in row))
        if not found:
            names = ", ".join(dict.fromkeys(name for row in rows for name in row))
            return Fault("seeds.where", f"{what}; no {table.unit} has {key!r}", f"the columns are: {names}")
        if not any(condition.fits(row[key]) for row in rows if key in row):
            few = ", ".join(found[:8]) + (", …" if len(found) > 8 else "")
            return Fault("seeds.where", what, f"the values of {key!r} are: {few}")
    return Fault("seeds.where", what, f"no {table.unit} fits all of them together")
