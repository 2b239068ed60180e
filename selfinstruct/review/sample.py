"""The sample to review: drawn at random, the same for each review of a run, and able to grow.

The records are put in an order that depends only on the run's seed and their ids; the sample is the beginning
of it. A larger sample has the same records first. Records that were given to somebody stay in the sample,
also when the run has grown since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from selfinstruct.review.store import Given


def shuffled(seed: int, ids: Iterable[str]) -> list[str]:
    """The ids in a random order; of any part of them, the order is the same."""
    return sorted(ids, key=lambda one: blake2b(f"{seed}/{one}".encode(), digest_size=16).digest())


def sample_of(order: Sequence[str], given: Given, size: int) -> list[str]:
    """The ids of the sample.

    Args:
        order: all ids, shuffled.
        given: the ids that were given, by reviewer.
        size: how many the sample has, at least; those that were given are all in it.
    """
    known = set(order)
    taken = {id for ids in given.values() for id in ids} & known
    rest = (id for id in order if id not in taken)
    more = {id for _, id in zip(range(size - len(taken)), rest, strict=False)}
    return [id for id in order if id in taken or id in more]


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
