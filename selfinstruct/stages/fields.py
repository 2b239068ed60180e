"""The fields that the records have at each stage, found from the pipeline without running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import Fault
from selfinstruct.where import Where, faults, is_one_of

if TYPE_CHECKING:
    from selfinstruct.stages import Stage


@dataclass(frozen=True)
class Field:
    """A field of the records that a stage receives.

    Attributes:
        value: a sample value.
        stage: the stage that sets it.
        values: all its values, if they are a closed set.
        where: only the records that meet these conditions are sure to have it; empty if all have it.
    """

    value: Any
    stage: str
    values: tuple[Any, ...] = ()
    where: Where = field(default_factory=Where)


Sample = dict[str, Field]


def picked(fields: Sample, where: Where) -> Sample:
    """The fields of the records that a stage's `where` picks."""
    found = {}
    for name, one in fields.items():
        if name in where:
            fitting = tuple(filter(where[name].fits, one.values or where[name].values))
            one = replace(one, value=fitting[0] if fitting else one.value, values=fitting, where=Where())
        elif where.implies(one.where):
            one = replace(one, where=Where())
        found[name] = one
    return found


def sure(fields: Sample) -> Sample:
    """The fields that every record has."""
    return {name: one for name, one in fields.items() if not one.where}


def read_from(stage: Stage, own: Sample) -> Sample:
    """The fields that a stage reads from its replies, and its other own fields."""
    fields = dict(own)
    for prompt in stage.prompts:
        for key in prompt.parse.fields:
            values = [*(fields[key].values if key in fields else ()), *prompt.parse.values.get(key, ())]
            sample = values[0] if values else stage.fields.get(key, "text")
            fields[key] = Field(sample, stage.name, tuple(values))
    return fields


def passed_on(own: Sample, stage: Stage, before: Sequence[Stage], records: dict[str, Sample]) -> None:
    """Add the fields of the records that a stage makes: their parents' fields and its own.

    Args:
        own: the fields that the stage gives them.
        stage: the stage.
        before: the stages before it.
        records: the fields by stage that makes records; this stage's fields are added.
    """
    records[stage.name] = {**picked(records.get(stage.of or "", {}), stage.kind.where), **own}


def set_on(own: Sample, stage: Stage, before: Sequence[Stage], records: dict[str, Sample]) -> None:
    """Add the fields that a stage sets in another's records, and in all made from them; see `passed_on`."""
    of, where = records.get(stage.of or "", {}), stage.kind.where
    if where:
        own = {key: _set_in_some(of.get(key), one, where) for key, one in own.items()}
    records[stage.of or ""], family = {**of, **own}, {stage.of}
    for other in before:
        if other.of in family and not other.labels:
            family.add(other.name)
            records[other.name] = {**own, **records[other.name]}


def where_faults(stage: Stage, fields: Sample, names: Mapping[str, Any]) -> list[Fault]:
    """The faults of a stage's `where`.

    Args:
        stage: the stage.
        fields: the fields of the records that it receives.
        names: the fields that may exist, as far as known.
    """
    values = {name: one.values for name, one in fields.items()}
    return faults(f"pipeline.{stage.name}.where", stage.kind.where, names, values)


def _set_in_some(old: Field | None, new: Field, where: Where) -> Field:
    """A field that a stage sets in some records; the others keep their old value, if they have one."""
    if old is None:
        return replace(new, where=where)
    values = (*old.values, *new.values) if old.values and new.values else ()
    return replace(new, stage=old.stage, values=tuple(_different(values)), where=old.where)


def _different(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if not is_one_of(value, found):
            found.append(value)
    return found
