"""Items a few at a time, for what is quicker with many together and needs too much memory with all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of this size; the last may be shorter."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
