"""How often each value of a field occurs: classes and their balance, and the scores of judges.

Which fields are classes is read from the values themselves, so it holds for any recipe: texts or truth values
of which a few occur again and again. Numbers are scores.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum, log
from typing import Any

from selfinstruct.records import ACCEPTED, REJECTED, Record
from selfinstruct.report.numbers.histogram import histogram, scale

LONGEST = 40  # characters of a class's name; a longer text is a text
MOST = 100  # different values of a class
TRUTH = ("no", "yes")
OFTEN = 2  # how often a value has to occur on average
HOW_TO_READ = (
    "A balance of 1 means that all values are equally frequent, 0 that there is only one. What a model should"
    " learn needs enough records; a lopsided set teaches it the most frequent value."
)


@dataclass
class Values:
    """Counts the values of fields.

    Attributes:
        fields: the fields.
        fates: the fates of the records that count.
    """

    fields: Sequence[str]
    fates: tuple[str, ...] = (ACCEPTED,)
    counts: dict[str, Counter[Any]] = field(default_factory=dict)
    numbers: dict[str, array[float]] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)  # fields whose values are no classes

    def see(self, record: Record) -> None:
        """Count the values of a record."""
        if record.fate in self.fates:
            self.add(record.data)

    def add(self, data: Mapping[str, Any]) -> None:
        """Count the values of these fields."""
        for name in self.fields:
            value = data.get(name)
            if isinstance(value, bool):
                self.counts.setdefault(name, Counter())[TRUTH[value]] += 1
            elif isinstance(value, int | float):
                self.numbers.setdefault(name, array("d")).append(float(value))
            elif isinstance(value, str) and value and name not in self.texts:
                self._text(name, value)

    def _text(self, name: str, value: str) -> None:
        counts = self.counts.setdefault(name, Counter())
        counts[value] += 1
        if len(value) > LONGEST or len(counts) > MOST:
            self.texts.add(name)
            del self.counts[name]

    def classes(self, stage: str) -> list[dict[str, Any]]:
        """The fields whose values are classes."""
        return [
            described(name, stage, counts)
            for name in self.fields
            if name not in self.numbers and (counts := self.counts.get(name)) and _repeats(counts)
        ]

    def scores(self, stage: str) -> list[dict[str, Any]]:
        """The fields whose values are numbers, with how many records have a word instead."""
        return [
            {
                "field": name,
                "stage": stage,
                "histogram": histogram(found, scale(found)),
                "without": self.counts.get(name, Counter()).total(),
            }
            for name in self.fields
            if (found := self.numbers.get(name))
        ]


def judged(fields: Sequence[str]) -> Values:
    """Counts what a stage that labels has said, also of records that were rejected for it."""
    return Values(fields, (ACCEPTED, REJECTED))


def described(name: str, stage: str, counts: Mapping[str, int], title: str = "") -> dict[str, Any]:
    """A class with its most frequent values."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return {
        "field": name,
        "stage": stage,
        "title": title or name,
        "values": [{"value": value, "count": count} for value, count in ordered[:MOST]],
        "others": {"values": len(ordered[MOST:]), "count": sum(count for _, count in ordered[MOST:])},
        "balance": balance(counts.values()),
        "how_to_read": HOW_TO_READ,
    }


def balance(counts: Iterable[int]) -> float:
    """The entropy of the counts, divided by the greatest it could be: 0 to 1; 0 for a single class."""
    some = [count for count in counts if count]
    whole = sum(some)
    if len(some) < 2:
        return 0.0
    return fsum(-count / whole * log(count / whole) for count in some) / log(len(some))


def _repeats(counts: Counter[Any]) -> bool:
    """Whether the values occur again and again; truth values are classes however few records there are."""
    return set(counts) <= {*TRUTH} or counts.total() >= OFTEN * len(counts)
