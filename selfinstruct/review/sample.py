"""The sample to review: drawn at random, the same for each review of a run, and able to grow.

The records are put in an order that depends only on the run's seed and their ids; the sample is the beginning
of it. A larger sample has the same records first. Records that were given to somebody stay in the sample,
also when the run has grown since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from heapq import nsmallest

from selfinstruct.records import Record
from selfinstruct.review.store import Given


def place_of(seed: int, id: str) -> bytes:
    """The place of an id in the random order of all ids; it depends on no other id."""
    return blake2b(f"{seed}/{id}".encode(), digest_size=16).digest()


def sample_of(seed: int, records: Iterable[Record], given: Given, size: int) -> list[Record]:
    """The records of the sample, in order; only so many are in memory at a time.

    Args:
        seed: the run's seed.
        records: all records, each once.
        given: the ids that were given, by reviewer.
        size: how many the sample has, at least; those that were given are all in it.
    """
    ids = {id for some in given.values() for id in some}
    taken: list[Record] = []

    def others() -> Iterable[Record]:
        for record in records:
            if record.id in ids:
                taken.append(record)
            else:
                yield record

    rest = nsmallest(size, others(), key=lambda record: place_of(seed, record.id))
    more = rest[: max(0, size - len(taken))]
    return sorted([*taken, *more], key=lambda record: place_of(seed, record.id))


def next_for(name: str, sample: Sequence[str], given: Given, overlap: int) -> str | None:
    """The next record of the sample for a reviewer; None if there is none left.

    Args:
        name: the reviewer.
        sample: the ids of the sample, in order.
        given: the ids that were given, by reviewer.
        overlap: how many records, from the beginning of the sample, go to everybody.
    """
    mine = set(given.get(name, ()))
    taken = {id for ids in given.values() for id in ids}
    free = (id for place, id in enumerate(sample) if id not in mine and (place < overlap or id not in taken))
    return next(free, None)
