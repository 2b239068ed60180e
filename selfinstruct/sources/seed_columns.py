"""Map the columns of a seed file to the fields of a seed task.

`seeds.columns` names, for each field, the column that holds it, or several that may. A row with a question
and its answer, or with a list of turns, becomes a task with one instance. Rows with the same question stay
separate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import Fault
from selfinstruct.sources.row_faults import RowFaults
from selfinstruct.sources.seed_json import Unfit
from selfinstruct.sources.seed_table import JSON_LINES, Row, Table, plain
from selfinstruct.sources.seed_turns import TURNS, first_turns
from selfinstruct.sources.seed_values import INPUT, INSTRUCTION, OUTPUT, instances, list_in, typed

if TYPE_CHECKING:
    from selfinstruct.config import SeedsConfig

OWN = ("id", "name", "is_classification", "instances")  # other fields of a seed task, in every recipe


@dataclass
class Mapped:
    """The rows of a file as seed tasks.

    Attributes:
        rows: each with its place, and its fields under the names that the recipe uses.
        notes: notes for the user on which column was read as which field.
        told: the columns of the file, in words.
        lost: whether a column that `seeds.columns` sets is missing.
    """

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    told: str = ""
    lost: bool = False


def known_names(config: SeedsConfig) -> set[str]:
    """The column names that a seed file may have, in their plain form (see `plain`)."""
    names = {OUTPUT, INPUT, INSTRUCTION, *config.columns}
    for value in config.columns.values():
        names.update([value] if isinstance(value, str) else value or ())
    return {plain(name) for name in names}


def is_task(data: Mapping[str, Any], config: SeedsConfig) -> bool:
    """Whether an object is a seed task itself: it has an instruction, or turns."""
    asks = [INSTRUCTION, *_listed(config.columns.get(INSTRUCTION)), *_listed(config.columns.get(TURNS))]
    return bool({plain(name) for name in asks} & {plain(key) for key in data})


def mapped(table: Table, config: SeedsConfig, schema: Mapping[str, Any], faults: list[Fault]) -> Mapped:
    """The rows of a file with their fields under the names that the recipe uses.

    Args:
        table: the file.
        config: says which column is which field.
        schema: the JSON Schema of the seeds; a column that it names keeps its name.
        faults: receives every fault found, each once for all rows that have it.
    """
    found = _Columns(table, config, schema, faults)
    wrong = RowFaults(table.path, table.unit)
    rows = []
    for row in table.rows:
        try:
            data = found.task(row.data) if isinstance(row.data, dict) else row.data
            rows.append(Row(row.number, row.place, data, row.size))
        except Unfit as error:
            wrong.add(row.place, str(error), error.remedy)
    faults.extend(wrong.faults())
    return Mapped(rows, found.notes(), found.told, found.lost)


class _Columns:
    """The columns of one file, and the field that each is read as."""

    def __init__(
        self, table: Table, config: SeedsConfig, schema: Mapping[str, Any], faults: list[Fault]
    ) -> None:
        self.table, self.config = table, config
        self.fields: dict[str, Any] = dict(schema.get("properties") or {})
        self.filled: Counter[str] = Counter()
        for data in (row.data for row in table.rows if isinstance(row.data, dict)):
            self.filled.update({key: value is not None for key, value in data.items()})
        self.set = {field: name for field, name in config.columns.items() if isinstance(name, str)}
        self.lost = self._check(faults)
        self.sources = {field: self._sources(field) for field in self._wanted()}
        self.turns = self._sources(TURNS) if INSTRUCTION in self.sources else []
        self.used: Counter[tuple[str, str]] = Counter()
        self.numbers: Counter[str] = Counter()
        self.systems = self.later = 0

    @property
    def told(self) -> str:
        """The columns of the file, in words."""
        names = [name if len(name) <= 30 else f"{name[:29]}…" for name in self.filled]
        named = "its first line names the columns" if self.table.header else "its columns are"
        return f"{named} {', '.join(names[:20]) or 'none'}{', …' if len(names) > 20 else ''}"

    def _check(self, faults: list[Fault]) -> bool:
        """Whether a column that `seeds.columns` sets is missing; adds a fault for each."""
        before = len(faults)
        for key, name in self.set.items():
            if not self._columns([name]):
                near = get_close_matches(name, list(self.filled), n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}? " if near else ""
                what = f"{self.table.path} has no column {name!r}"
                faults.append(Fault(f"seeds.columns.{key}", what, f"{hint}{self.told}"))
        return len(faults) > before

    def _wanted(self) -> list[str]:
        """The fields to look for: a task's, the schema's, and those in `seeds.columns`."""
        task = [INSTRUCTION, INPUT, OUTPUT] if INSTRUCTION in self.fields else []
        wanted = dict.fromkeys([*self.set, *task, *self.fields, *self.config.columns])
        return [key for key in wanted if key != TURNS]

    def _sources(self, field: str) -> list[str]:
        """The columns of the file that may hold a field, the best first."""
        configured = self.config.columns.get(field)
        if isinstance(configured, str):
            return self._columns([configured])
        mine = set(self._columns(self.set.values())) | (set(self.fields) - {field})
        wanted = INSTRUCTION in self.fields or field in self.fields
        names = [field, *(configured or ())] if wanted else [field]
        found = [name for name in self._columns(names) if name not in mine]
        if field == INSTRUCTION:  # an input is the instruction only if no other column is
            asks = [name for name in found if self.filled[name] and plain(name) not in (INPUT, "inputs")]
            return asks or found
        return found

    def _columns(self, names: Iterable[str]) -> list[str]:
        """The columns with these names; exact matches come before similar names, empty columns come last."""
        found: dict[str, None] = {}
        for name in names:
            alike = [column for column in self.filled if plain(column) == plain(name)]
            found |= dict.fromkeys(sorted(alike, key=lambda column: column != name))
        return sorted(found, key=lambda column: not self.filled[column])

    def task(self, data: dict[str, Any]) -> dict[str, Any]:
        """A row as a task: its columns renamed, its texts as text, its one instance in the list of instances.

        Raises:
            Unfit: if the row cannot become a task.
        """
        turns = next((name for name in self.turns if data.get(name) is not None), None)
        if turns and (TURNS in self.set or data.get(INSTRUCTION) is None):
            data = self._from_turns(data, turns)
        made = self._renamed(data)
        for key in [key for key, value in made.items() if value is None and key in self.sources]:
            del made[key]
        made = {key: self._typed(key, value) for key, value in made.items()}
        if INPUT in self.fields and OUTPUT in made:
            made.setdefault(INPUT, "")
        return self._nested(made, self.config.instances_key) if self.config.instances_key else made

    def _renamed(self, data: dict[str, Any]) -> dict[str, Any]:
        """The row with its columns renamed to fields."""
        names: dict[str, str] = {}
        for key, sources in self.sources.items():
            column = next((name for name in sources if name in data and name not in names), None)
            if column is not None:
                names[column] = key
        for column, name in names.items():
            if data[column] is not None and name in (INSTRUCTION, INPUT, OUTPUT, *self.set):
                self.used[column, name] += 1
        taken = set(names.values()) - set(names)
        return {names.get(key, key): value for key, value in data.items() if key not in taken}

    def _from_turns(self, data: dict[str, Any], column: str) -> dict[str, Any]:
        """The row with its conversation replaced by the first question and answer in it."""
        found = first_turns(list_in(data[column], column), column)
        self.used[column, TURNS] += 1
        self.systems += found.system is not None
        self.later += found.later
        rest = {key: value for key, value in data.items() if key != column}
        for name in [name for key in (INSTRUCTION, INPUT, OUTPUT) for name in self.sources[key]]:
            rest.pop(name, None)
        system = {} if found.system is None else {"system": found.system}
        return {**rest, **system, INSTRUCTION: found.question, OUTPUT: found.answer}

    def _typed(self, key: str, value: Any) -> Any:
        if key == self.config.instances_key:
            return instances(list_in(value, key), self.numbers)
        return typed(key, value, self.fields.get(key), self.numbers)

    def _nested(self, made: dict[str, Any], each: str) -> dict[str, Any]:
        """A flat row as a task with one instance, or with none if it has no output."""
        if each in made or OUTPUT in self.fields or INSTRUCTION not in self.sources:
            return made
        output, given = made.get(OUTPUT), made.get(INPUT)
        rest = {key: value for key, value in made.items() if key != OUTPUT}
        if output is None or (isinstance(output, str) and not output.strip()):
            return rest if given or INPUT not in rest else _without(rest, INPUT)
        return {**_without(rest, INPUT), each: [{INPUT: given or "", OUTPUT: output}]}

    def notes(self) -> list[str]:
        """Notes on which column was read as which field, and on the parts that were left out."""
        notes = [*self._mapping()]
        converted = [
            f"{count} {'numbers' if count > 1 else 'number'} in {key}" for key, count in self.numbers.items()
        ]
        if converted:
            notes.append(f"seeds: read as text: {', '.join(converted)}")
        if self.systems:
            notes.append(
                f"seeds: {self.systems} of the conversations have a system message, kept as the field "
                "'system'; a prompt shows it only if its template does"
            )
        if self.later:
            notes.append(f"seeds: {self.later} of the conversations go on; their later turns are left out")
        return notes

    def _mapping(self) -> Iterator[str]:
        """The note on which columns are which fields, unless the file already has our own form."""
        order = [*self.sources]
        pairs = sorted((one for one in self.used if one[1] != TURNS), key=lambda one: order.index(one[1]))
        turns = [column for column, key in self.used if key == TURNS]
        left = self._left()
        flat = any(column != key or key == OUTPUT for column, key in pairs)
        odd = turns or flat or self.set or (left and self.table.format != JSON_LINES)
        if not odd or not (pairs or turns):
            return
        found = [_arrow(column, key) for column, key in pairs if key not in self.set]
        found += [f"{column}: first question → {INSTRUCTION}, its answer → {OUTPUT}" for column in turns]
        given = [_arrow(column, key) for column, key in pairs if key in self.set]
        parts = [f"{', '.join(words)} ({how})" for words, how in ((found, "found"), (given, "set")) if words]
        if left:
            parts.append(f"left as they are: {', '.join(left)}")
        answered = {OUTPUT, TURNS} & {key for _, key in self.used} or self.config.instances_key in self.filled
        if left and not answered:
            parts.append("no output; name its column with seeds.columns.output=NAME")
        yield f"seeds: {'; '.join(parts)}"

    def _left(self) -> list[str]:
        """The columns that no field was read from, except those of our own form."""
        used = {*OWN, self.config.instances_key, *(column for column, _ in self.used)}
        used |= {name for key in self.fields for name in self.sources[key] if plain(name) == plain(key)}
        return [name for name, count in self.filled.items() if count and name not in used]


def _arrow(column: str, field: str) -> str:
    return field if column == field else f"{column} → {field}"


def _without(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []
