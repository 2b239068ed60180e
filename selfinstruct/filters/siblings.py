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
def at_most(*, count: Annotated[int, Field(ge=1, le=1_000_000)]) -> Filter:
    """Keeps at most this many candidates of a reply, drawn at random.

    Args:
        count: how many are kept.
    """

    def together(records: list[Record], rng: random.Random) -> dict[int, Rejection]:
        if len(records) <= count:
            return {}
        kept = set(rng.sample(range(len(records)), count))
        rejection = Rejection(f"not among the {count} drawn of {len(records)}")
        return {place: rejection for place in range(len(records)) if place not in kept}

    return Filter(together=together)


def _written(record: Record, field: str) -> str:
    """A field's value as JSON text, since a list cannot be a dictionary key."""
    return json.dumps(record.data.get(field, ""), sort_keys=True)
