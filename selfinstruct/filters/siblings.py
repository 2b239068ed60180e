"""Filters that check the candidates of one reply together."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from typing import Annotated

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import Record, Rejection


@FILTERS.register
def contradicting(*, same: str, differs: str) -> Filter:
    """Rejects all candidates of a reply if two share a non-empty field and differ in another.

    Args:
        same: the field that the two share.
        differs: the field in which they differ.
    """

    def together(records: list[Record], rng: random.Random) -> dict[int, Rejection]:
        seen: dict[str, set[str]] = defaultdict(set)
        for record in records:
            if record.data.get(same, ""):
                seen[_written(record, same)].add(_written(record, differs))
        if all(len(values) == 1 for values in seen.values()):
            return {}
        rejection = Rejection(f"two of this reply share the {same} and differ in the {differs}")
        return dict.fromkeys(range(len(records)), rejection)

    return Filter(together=together, fields=(same, differs))


@FILTERS.register
def duplicate(*, fields: list[str]) -> Filter:
    """Rejects a candidate that has the same values in all of the fields as an earlier one of the same reply.

    Args:
        fields: the fields to compare.
    """

    def together(records: list[Record], rng: random.Random) -> dict[int, Rejection]:
        first: dict[tuple[str, ...], str] = {}
        rejections = {}
        for place, record in enumerate(records):
            key = tuple(str(record.data.get(field, "")) for field in fields)
            if key in first:
                rejections[place] = Rejection(
                    f"the same as {first[key]}", {"nearest": first[key], "score": 1.0}
                )
            else:
                first[key] = record.id
        return rejections

    return Filter(together=together, fields=tuple(fields))


@FILTERS.register
def one_sided(*, field: str, least: Annotated[int, Field(ge=2, le=100)] = 2) -> Filter:
    """Rejects all candidates of a reply if too few different values of a field are among them.

    A classification task for which a model finds inputs with only one label is seldom a good one: nothing
    shows that its label depends on the input.

    Args:
        field: the field, such as that of the label; case does not count.
        least: how many different values there must be.
    """

    def together(records: list[Record], rng: random.Random) -> dict[int, Rejection]:
        values = {_written(record, field).casefold(): record.data.get(field) for record in records}
        if len(values) >= least:
            return {}
        only = ", ".join(repr(str(one)[:40]) for one in values.values())
        rejection = Rejection(f"{field} is only {only} in this reply, and {least} different ones are needed")
        return dict.fromkeys(range(len(records)), rejection)

    return Filter(together=together, fields=(field,))


@FILTERS.register
def at_most(*, count: Annotated[int, Field(ge=1, le=1_000_000)], each: str | None = None) -> Filter:
    """Keeps at most this many candidates of a reply, drawn at random.

    Args:
        count: how many are kept.
        each: a field, of each value of which so many are kept; null: so many of all.
    """

    def together(records: list[Record], rng: random.Random) -> dict[int, Rejection]:
        groups: dict[str, list[int]] = defaultdict(list)
        for place, record in enumerate(records):
            groups[_written(record, each).casefold() if each else ""].append(place)
        rejections: dict[int, Rejection] = {}
        for places in groups.values():
            if len(places) > count:
                kept = set(rng.sample(places, count))
                rejection = Rejection(f"not among the {count} drawn of {len(places)}")
                rejections |= {place: rejection for place in places if place not in kept}
        return rejections

    return Filter(together=together, fields=(each,) if each else ())


def _written(record: Record, field: str) -> str:
    """A field's value as JSON text, since a list cannot be a dictionary key."""
    return json.dumps(record.data.get(field, ""), sort_keys=True)
