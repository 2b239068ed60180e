"""`where`: the records that a part of a recipe is for, chosen by the values of their fields.

    where: {is_classification: true}                 # the field has this value
    where: {score: [4, 5], language: en}             # one of these; both fields must fit
    where: {score: {at_least: 4}}                    # a number: at_least, at_most, above, below
    where: {verdict: {not: undecided}}               # any other value; not: [a, b] excludes several

Stages, seeds, the variants of a prompt, exports and filters all use it. Values are compared with their type:
1 is not true, and "4" is not 4. A record without the field never fits, whatever the condition. To add a
condition, add it to `_TESTS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator

from selfinstruct.errors import Fault, unknown

NOT = "not"
_NOT_PLAIN = re.compile(r"(?i)[-+\d.e_]+|true|false|yes|no|on|off|null|~")
# The conditions on a number: the test, and its name in words.
_TESTS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "at_least": (lambda value, bound: value >= bound, "at least"),
    "at_most": (lambda value, bound: value <= bound, "at most"),
    "above": (lambda value, bound: value > bound, "above"),
    "below": (lambda value, bound: value < bound, "below"),
}


def shown(value: Any) -> str:
    """A value as a recipe writes it: a text in quotes only if YAML would read it as something else."""
    if isinstance(value, str) and value.strip() and not _NOT_PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def is_one_of(value: Any, values: Iterable[Any]) -> bool:
    """Whether a value is one of several; 1 == True in Python, but a label 1 is not the label true."""
    return any(one == value and isinstance(one, bool) is isinstance(value, bool) for one in values)


@dataclass(frozen=True)
class Condition:
    """The condition on one field.

    Attributes:
        values: the values that fit; empty if any value may.
        excluded: the values that do not fit.
        bounds: the numbers to compare with, by the name of the test.
    """

    values: tuple[Any, ...] = ()
    excluded: tuple[Any, ...] = ()
    bounds: Mapping[str, float] = field(default_factory=dict)

    def fits(self, value: Any) -> bool:
        """Whether a value fits."""
        if self.bounds and (isinstance(value, bool) or not isinstance(value, int | float)):
            return False
        return (
            (not self.values or is_one_of(value, self.values))
            and not is_one_of(value, self.excluded)
            and all(_TESTS[name][0](value, bound) for name, bound in self.bounds.items())
        )

    def examples(self) -> list[Any]:
        """The values and bounds that it names, and the numbers around these, if they fit."""
        near = [bound + step for bound in self.bounds.values() for step in (0, 1, -1)]
        return [value for value in (*self.values, *near) if self.fits(value)]

    @property
    def named(self) -> tuple[Any, ...]:
        """The values that it names."""
        return (*self.values, *self.excluded)

    def __str__(self) -> str:
        parts = [" or ".join(map(shown, self.values))] if self.values else []
        parts += [f"not {' or '.join(map(shown, self.excluded))}"] if self.excluded else []
        parts += [f"{_TESTS[name][1]} {bound:g}" for name, bound in self.bounds.items()]
        return " and ".join(parts)


@dataclass(frozen=True)
class Where(Mapping[str, Condition]):
    """The conditions on the fields of a record, by field; a record must meet all of them.

    Attributes:
        conditions: one for each named field; with none, every record fits.
    """

    conditions: Mapping[str, Condition] = field(default_factory=dict)

    @classmethod
    def of(cls, written: Mapping[str, Any] | None) -> Where:
        """The conditions from a recipe's form.

        Raises:
            ValueError: with the field whose condition cannot be read, and what to write there.
        """
        return cls({str(key): _condition(str(key), value) for key, value in (written or {}).items()})

    def fits(self, data: Mapping[str, Any]) -> bool:
        """Whether a record with these fields fits."""
        return self.unfit(data) is None

    def unfit(self, data: Mapping[str, Any]) -> str | None:
        """The first field that does not fit, or that the record lacks; None if all of them fit."""
        for key, condition in self.conditions.items():
            if key not in data or not condition.fits(data[key]):
                return key
        return None

    def among(self, fields: Iterable[str]) -> Where:
        """Only the conditions on these fields."""
        names = set(fields)
        return Where({key: one for key, one in self.conditions.items() if key in names})

    def example(self) -> dict[str, Any]:
        """Values that fit, by field, if a condition names some."""
        return {key: found[0] for key, one in self.conditions.items() if (found := one.examples())}

    def implies(self, other: Where) -> bool:
        """Whether every record that fits this is sure to fit the other too."""
        return all(key in self and _implies(self[key], condition) for key, condition in other.items())

    def __getitem__(self, key: str) -> Condition:
        return self.conditions[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.conditions)

    def __len__(self) -> int:
        return len(self.conditions)

    def __str__(self) -> str:
        return " and ".join(f"{key} is {condition}" for key, condition in self.conditions.items())


def faults(
    place: str, where: Where, names: Iterable[str], values: Mapping[str, Sequence[Any]]
) -> list[Fault]:
    """Faults of conditions: fields that no record has, and values that a field never has.

    Args:
        place: the config key of the conditions.
        where: the conditions.
        names: the fields that may exist.
        values: all the values of a field, by field, if they are a closed set.
    """
    names, found = list(names), []
    for key, condition in where.items():
        if key not in names:
            found.append(Fault(f"{place}.{key}", *unknown("field", key, names)))
        known = values.get(key)
        if not known:
            continue
        remedy = f"there are: {', '.join(map(shown, known))}"
        wrong = [value for value in condition.named if not is_one_of(value, known)]
        found += [Fault(f"{place}.{key}", f"{key!r} is never {shown(value)}", remedy) for value in wrong]
        if not wrong and not any(map(condition.fits, known)):
            found.append(Fault(f"{place}.{key}", f"{key!r} is never {condition}", remedy))
    return found


def _implies(one: Condition, other: Condition) -> bool:
    return one == other or bool(one.values and all(map(other.fits, filter(one.fits, one.values))))


def _condition(key: str, written: Any) -> Condition:
    if not isinstance(written, Mapping):
        return Condition(_listed(key, written))
    unknown = [name for name in written if name != NOT and name not in _TESTS]
    if unknown or not written:
        what = f"{unknown[0]!r} is not a condition" if unknown else "has no condition"
        raise ValueError(f"{key}: {what}; write a value, a list of values, or {', '.join([NOT, *_TESTS])}")
    bounds = {name: value for name, value in written.items() if name != NOT}
    for name, bound in bounds.items():
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise ValueError(f"{key}.{name}: {bound!r} is not a number")
    return Condition((), _listed(key, written[NOT]) if NOT in written else (), bounds)


def _listed(key: str, written: Any) -> tuple[Any, ...]:
    values: Sequence[Any] = written if isinstance(written, list) else [written]
    if not values:
        raise ValueError(f"{key}: the list is empty, so no record fits; name some values, or leave it out")
    return tuple(values)


def _readable(written: dict[str, Any]) -> dict[str, Any]:
    Where.of(written)
    return written


# A key or an option with conditions as a recipe writes them; conditions that cannot be read are a fault.
Conditions = Annotated[dict[str, Any], AfterValidator(_readable)]
