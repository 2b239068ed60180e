"""Exports: turn records into the rows of a training format.

A factory makes a format; the factory's keyword arguments are the options in `export.<name>`. A format turns
one record at a time into a row, with a separate random stream for each record. Exact duplicates, shuffling,
the limit of length and the check against the format's JSON Schema are the same for all formats; so are the
files (`dataset/`). To add a format, write a module and list it here.
"""

from __future__ import annotations

import marshal
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import repeat
from typing import Any

from selfinstruct.project.blocks import BLOCK, batched
from selfinstruct.project.firsts import KEY, Firsts
from selfinstruct.records import Record, Rejection, stream
from selfinstruct.registry import Registry
from selfinstruct.schema.validation import compile_schema
from selfinstruct.sources.pool import SEED_STAGE
from selfinstruct.where import Where, shown

LLAMA_FACTORY, AXOLOTL = TRAINERS = ("llama_factory", "axolotl")


@dataclass(frozen=True)
class Export:
    """A format ready to use, and the records to write in it.

    Attributes:
        convert: a function from a record's fields to a row of the format.
        schema: the JSON Schema of a row.
        fields: the record fields that it reads.
        templates: the Jinja templates that it fills in with a record's fields.
        of: the stage with the records to write.
        where: the conditions that a record must fit.
        seed_tasks: whether the seed tasks are written too.
        shuffle: whether the rows are shuffled.
        file: the name of the file in `dataset/`.
        columns: additional columns of the rows: fields of the records, and facts about the records.
        origins: the columns that are not fields of the records.
        format: how the rows are written: `jsonl`, `parquet` or `csv`.
        split: the splits, each with its share of the instructions; without any, all rows are in `train`.
        max_tokens: rows with more tokens are left out; None if there is no limit.
        tokens: counts the tokens of a text, if there is a limit.
        draws: whether the format uses the random stream; making one for each record takes time.
        trainers: the entry about such a file in the configuration of other projects, by `TRAINERS`.
        beside: whether files with these entries are written beside the dataset.
    """

    convert: Callable[[dict[str, Any], random.Random], dict[str, Any]]
    schema: dict[str, Any]
    fields: tuple[str, ...]
    templates: tuple[str, ...] = ()
    of: str = ""
    where: Where = field(default_factory=Where)
    seed_tasks: bool = False
    shuffle: bool = False
    file: str = ""
    columns: tuple[str, ...] = ()
    origins: frozenset[str] = frozenset()
    format: str = "jsonl"
    split: Mapping[str, float] = field(default_factory=dict)
    max_tokens: int | None = None
    tokens: Callable[[str], int] | None = None
    draws: bool = True
    trainers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    beside: bool = False


EXPORTS: Registry[Export] = Registry(
    "export format",
    (
        "selfinstruct.export.prompt_completion",
        "selfinstruct.export.alpaca",
        "selfinstruct.export.messages",
        "selfinstruct.export.preference",
        "selfinstruct.export.table",
    ),
    "exports",
    Export,
)


def convert(
    name: str,
    export: Export,
    records: Iterable[Record],
    seed: int,
    origin: Callable[[Record], Mapping[str, Any]] = lambda record: {},
) -> tuple[list[Any], list[Record]]:
    """Turn records into the rows of a format; also return the records left out.

    Args:
        name: the export's name in the recipe.
        export: the format.
        records: the records to write, in order.
        seed: the run's seed.
        origin: returns facts about a record other than its fields: its origin, the results of the checks.

    Returns:
        The rows, and the records left out, rejected by `where` (the record does not fit the conditions),
        `schema` (the row does not satisfy the format's schema), `duplicate` (the row is an exact duplicate of
        an earlier row; additional columns do not count) or `max_tokens` (the row is too long).
    """
    pairs, rejected = converted(name, export, records, seed, origin)
    return [row for row, _ in pairs], rejected


def converted(
    name: str,
    export: Export,
    records: Iterable[Record],
    seed: int,
    origin: Callable[[Record], Mapping[str, Any]] = lambda record: {},
) -> tuple[list[tuple[dict[str, Any], Record]], list[Record]]:
    """As `convert`, but each row is with its record."""
    pairs: list[tuple[dict[str, Any], Record]] = []
    rejected: list[Record] = []
    turn = Converter(name, export, seed, origin)
    for some in batched(records, BLOCK):
        for record, (row, left) in zip(some, turn(some), strict=True):
            if left is None:
                pairs.append((row, record))
            else:
                rejected.append(left)
    if export.shuffle:
        order(name, seed).shuffle(pairs)
    return pairs, rejected


def order(name: str, seed: int) -> random.Random:
    """The random stream with which the rows of an export are shuffled."""
    return stream(seed, "export", name)


class Converter:
    """Turns records into the rows of a format, one block after the other; see `convert`.

    A block goes through one step after the other, since a step costs less if it is repeated at once.

    Args:
        name: the export's name in the recipe.
        export: the format.
        seed: the run's seed.
        origin: returns facts about a record other than its fields.
        unfit: one more check, of the name `split`.
    """

    def __init__(
        self,
        name: str,
        export: Export,
        seed: int,
        origin: Callable[[Record], Mapping[str, Any]] = lambda record: {},
        unfit: Callable[[Record], Rejection | None] = lambda record: None,
    ) -> None:
        validate = compile_schema(export.schema, f"export.{name}", [])
        assert validate, "the schema of a format is not valid"
        self._name, self._export, self._seed = name, export, seed
        self._validate, self._origin, self._unfit = validate, origin, unfit
        self._drawn = random.Random(0)
        self._first = Firsts()  # the ids of the records by their rows

    def __call__(self, records: Sequence[Record]) -> list[tuple[dict[str, Any], Record | None]]:
        """The row of each record, and the record as it is left out; None if it is not.

        Raises:
            RunFolderError: if a temporary file cannot be written.
        """
        export = self._export
        rows = list(map(export.convert, [record.data for record in records], self._draws(records)))
        left = list(map(self._left_out, records, rows, list(map(_key, rows))))
        if export.columns:
            rows = [
                row | _columns(export, record, self._origin) if out is None else row
                for record, row, out in zip(records, rows, left, strict=True)
            ]
        return list(zip(rows, left, strict=True))

    def _draws(self, records: Sequence[Record]) -> Iterable[random.Random]:
        if self._export.draws:
            return (stream(self._seed, "export", self._name, record.id) for record in records)
        return repeat(self._drawn)

    def _left_out(self, record: Record, row: dict[str, Any], key: bytes) -> Record | None:
        """The record as it is left out; None if it is not."""
        name, export = self._name, self._export
        wrong, check = _unfit(name, export.where, record) if export.where else None, "where"
        if wrong is None:
            wrong, check = self._validate(row), "schema"
        if wrong is None and (nearest := self._first.get(key)) is not None:
            wrong, check = Rejection("an exact duplicate", {"nearest": nearest, "score": 1.0}), "duplicate"
        if wrong is None:
            wrong, check = _too_long(export, row), "max_tokens"
        if wrong is None:
            wrong, check = self._unfit(record), "split"
        if wrong is None:
            self._first.put(key, record.id)
            return None
        left = Record(record.id, f"export.{name}", record.request, record.position, row, record.parent)
        left.reject(check, wrong)
        return left


def _key(row: Any) -> bytes:
    """What two rows have in common if they are exact duplicates: a digest, which is shorter than a row."""
    try:
        whole = marshal.dumps(row, 2)  # quicker than `repr`; later versions write equal texts differently
    except ValueError:  # types of a plug-in's own
        whole = repr(row).encode("utf-8", "surrogatepass")
    return blake2b(whole, digest_size=KEY).digest()


def _too_long(export: Export, row: Any) -> Rejection | None:
    if export.max_tokens is None or export.tokens is None:
        return None
    count = sum(map(export.tokens, texts(row)))
    if count <= export.max_tokens:
        return None
    return Rejection(f"{count:,} tokens, more than {export.max_tokens:,}", {"tokens": count})


def texts(value: Any) -> Iterator[str]:
    """The texts in a row, without its keys."""
    if isinstance(value, str):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from texts(one)


def _unfit(name: str, where: Where, record: Record) -> Rejection | None:
    """The reason why a record does not fit the conditions; a seed task is checked only for its own fields."""
    key = (where.among(record.data) if record.stage == SEED_STAGE else where).unfit(record.data)
    if key is None:
        return None
    fact = f"{key} is {shown(record.data[key])[:80]}" if key in record.data else f"it has no {key}"
    return Rejection(f"{fact}; export.{name}.where takes only records in which {key} is {where[key]}")


def _columns(export: Export, record: Record, origin: Callable[[Record], Mapping[str, Any]]) -> dict[str, Any]:
    """The additional columns of a row; a field of the record hides a fact with the same name."""
    known = origin(record)
    return {
        key: known.get(key) if key in export.origins else record.data.get(key, known.get(key))
        for key in export.columns
    }
