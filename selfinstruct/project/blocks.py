"""Items in blocks: a step costs less if it is repeated at once, and a block takes little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
BLOCK = 200  # records that go through a step at once


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items, so many at a time."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
