"""Which fields the records have that come to each stage, followed through the pipeline without running it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import Fault, unknown

if TYPE_CHECKING:
    from selfinstruct.stages import Stage

Where = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Field:
    """A field of the records that come to a stage.

    Attributes:
        value: a sample of its values.
        stage: the stage that gives it.
        values: all its values, where they are a closed set.
        where: only the records whose fields have these values are sure to have it; empty for all.
    """

    value: Any
    stage: str
    values: tuple[Any, ...] = ()
    where: Where = field(default_factory=dict)


Sample = dict[str, Field]


def is_one_of(value: Any, values: Iterable[Any]) -> bool:
    """Whether a value is among others; 1 == True in Python, but a label 1 is not the label true."""
    return any(one == value and type(one) is type(value) for one in values)


def picked(fields: Sample, where: Where) -> Sample:
    """The fields of those records that a stage's `where` picks."""
    found = {}
    for name, one in fields.items():
        if name in where:
            one = replace(one, value=where[name][0], values=where[name], where={})
        elif all(key in where and _within(where[key], values) for key, values in one.where.items()):
            one = replace(one, where={})
        found[name] = one
    return found


def sure(fields: Sample) -> Sample:
    """Those that every record has."""
    return {name: one for name, one in fields.items() if not one.where}


def read_from(stage: Stage, own: Sample) -> Sample:
    """The fields that a stage's replies are read for, and those that it gives besides."""
    fields = dict(own)
    for prompt in stage.prompts:
        for key in prompt.parse.fields:
            values = [*(fields[key].values if key in fields else ()), *prompt.parse.values.get(key, ())]
            sample = values[0] if values else stage.fields.get(key, "text")
            fields[key] = Field(sample, stage.name, tuple(values))
    return fields


def passed_on(own: Sample, stage: Stage, before: Sequence[Stage], records: dict[str, Sample]) -> None:
    """Enter the records that a stage makes: the fields of those it makes them of, and its own.

    Args:
        own: the fields that it gives them.
        stage: the stage.
        before: the stages before it.
        records: by stage that makes records, their fields; gets this stage's.
    """
    records[stage.name] = {**picked(records.get(stage.of or "", {}), stage.kind.where), **own}


def set_on(own: Sample, stage: Stage, before: Sequence[Stage], records: dict[str, Sample]) -> None:
    """Enter what a stage sets in the records of another, and in all that were made of those; see above."""
    of, where = records.get(stage.of or "", {}), stage.kind.where
    if where:
        own = {key: _set_in_some(of.get(key), one, where) for key, one in own.items()}
    records[stage.of or ""], family = {**of, **own}, {stage.of}
    for other in before:
        if other.of in family and not other.labels:
            family.add(other.name)
            records[other.name] = {**own, **records[other.name]}


def where_faults(stage: Stage, fields: Sample, names: Mapping[str, Any]) -> list[Fault]:
    """A `where` names fields that the records have, and values that these may have.

    Args:
        stage: the stage.
        fields: of the records that come to it.
        names: the fields that there may be, as far as it is known.
    """
    found = []
    for key, values in stage.kind.where.items():
        place = f"pipeline.{stage.name}.where.{key}"
        if key not in names:
            found.append(Fault(place, *unknown("field", key, names)))
        known = fields[key].values if key in fields else ()
        for value in values:
            if known and not is_one_of(value, known):
                remedy = f"there are: {', '.join(map(repr, known))}"
                found.append(Fault(place, f"{value!r} is no value of {key!r}", remedy))
    return found


def _set_in_some(old: Field | None, new: Field, where: Where) -> Field:
    """A field that a stage sets in some records, and that the others have as it was, if they have it."""
    if old is None:
        return replace(new, where=where)
    values = (*old.values, *new.values) if old.values and new.values else ()
    return replace(new, stage=old.stage, values=tuple(_different(values)), where=old.where)


def _within(values: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(is_one_of(value, others) for value in values)


def _different(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if not is_one_of(value, found):
            found.append(value)
    return found
