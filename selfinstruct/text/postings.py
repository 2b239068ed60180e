"""The lists of `text.novelty`: under each token, the entries that have it in their prefix.

A list holds 16 bytes for each entry: its word (see `text.prefixes`) and its place. To look up a text, the
lists of its prefix are put together, and NumPy compares all their words in one pass. The words are in the
lists, and not in one table, because reading memory in order is many times as fast as here and there.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import groupby, pairwise
from operator import itemgetter, or_
from struct import Struct
from sys import byteorder
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfinstruct.text.blocks import Block
from selfinstruct.text.prefixes import SLACK, TOKEN_BITS, Traits, second_bit, traits, word_bit

Places = list[int]

_record = Struct("=QQ").pack  # word and place
_SIZE = 16  # bytes of it
_PLACE = slice(2 if byteorder == "little" else 3, None, 4)  # of a place below 2^32, in numbers of 32 bits
_FEW = 32  # with so few places, comparing the texts is quicker than another check
_AT_ONCE = 1 << 19  # bytes of lists that are put together for several texts; more would not fit into a cache
_WORD = (1 << 64) - 1


class Asked(NamedTuple):
    """A text, as it is looked up and inserted.

    Attributes:
        codes: its tokens as numbers.
        order: its different tokens, the newest first.
        traits: see `Traits`.
        bits: the token bits of its word, and above these 64 bits its second signature.
    """

    codes: list[int]
    order: list[int]
    traits: Traits
    bits: int


class Postings:
    """The entries of an index, by the tokens of their prefixes; an entry's place is its number from 0.

    Args:
        threshold: of ROUGE-L.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._lengths = array("d")
        self._shared = array("B")
        self._second = array("Q")
        # By token; the last is for a token that no entry has. The long prefix has the rest besides the short.
        self._short: list[bytearray] = []
        self._rest: list[bytearray] = []
        self._bits: list[int] = []
        self.learn(0)

    def __len__(self) -> int:
        return len(self._lengths)

    def lengths(self) -> NDArray[np.float64]:
        """The number of tokens of each entry."""
        return np.array(self._lengths)

    def learn(self, tokens: int) -> None:
        """Make room for this many tokens."""
        for code in range(len(self._bits), tokens + 1):
            self._short.append(bytearray())
            self._rest.append(bytearray())
            self._bits.append(1 << word_bit(code) | 1 << 64 + second_bit(code))

    def ask(self, codes: list[int]) -> Asked:
        """A text of these tokens."""
        order = sorted(set(codes), reverse=True)
        bits = reduce(or_, map(self._bits.__getitem__, order), 0)
        return Asked(codes, order, traits(len(codes), len(order), self._threshold), bits)

    def insert(self, asked: Asked) -> None:
        """Add a text as an entry."""
        order, found = asked.order, asked.traits
        record = _record(asked.bits & _WORD | found.listed, len(self))
        self._list(record, order[: found.short], order[found.short : found.long])
        self._lengths.append(len(asked.codes))
        self._shared.append(found.shared)
        self._second.append(asked.bits >> 64)

    def insert_some(self, block: Block, which: Sequence[int]) -> None:
        """Add some texts of a block, by their numbers in it, in order."""
        records = np.zeros((len(block.rows), 2), np.uint64)
        records[:, 0] = block.words
        records[which, 1] = np.arange(len(self), len(self) + len(which))
        added = np.zeros(len(block.rows), bool)
        added[which] = True
        for lists, (codes, owners) in zip((self._short, self._rest), block.listed, strict=True):
            here = added[owners]
            _append(lists, codes[here], records[owners[here]])
        self._lengths.frombytes(block.counts.take(which).tobytes())
        self._shared.frombytes(block.shared.take(which).astype(np.uint8).tobytes())
        self._second.frombytes(block.second.take(which).tobytes())

    def search(self, asked: Asked) -> Places:
        """The places, in order, of the entries that may be above the threshold."""
        found = asked.traits
        lists = self._lists(asked.order[: found.short], asked.order[found.short : found.long])
        records = np.frombuffer(b"".join(lists), np.uint64)
        places = records.view(np.uint32)[_PLACE]
        if found.limit <= TOKEN_BITS:
            word = np.uint64(asked.bits & _WORD | found.asked)
            places = places[np.bitwise_count(records[::2] ^ word) < np.uint8(found.limit)]
        if found.shared > 1:  # an entry passed above under each of its tokens or under none
            places, seen = np.unique(places, return_counts=True)
            shared = np.frombuffer(self._shared, np.uint8).take(places)
            places = places[seen >= np.minimum(shared, found.shared)]
        if len(places) > _FEW:
            places = places[self._alike(places, np.uint64(asked.bits >> 64), len(asked.codes))]
        return sorted(set(places.tolist()))

    def search_all(self, block: Block) -> Iterator[tuple[int, Places]]:
        """By text of a block: the places as `search` gives them; not for each text that has none."""
        shared = block.shared.tolist()
        numbers: list[int] = []
        lists: list[bytearray] = []
        sizes: list[int] = []
        total = 0
        for number, prefix in enumerate(block.prefixes):
            if shared[number] > 1:  # what it shares has to be counted, so it is quicker alone
                yield number, self.search(self.ask(block.rows[number]))
                continue
            own = self._lists(*prefix)
            size = sum(map(len, own))
            if size:
                numbers.append(number)
                lists += own
                sizes.append(size)
                total += size
            if total >= _AT_ONCE:
                yield from self._together(block, numbers, sizes, b"".join(lists))
                numbers, lists, sizes, total = [], [], [], 0
        if numbers:
            yield from self._together(block, numbers, sizes, b"".join(lists))

    def _lists(self, short: Iterable[int], rest: Iterable[int]) -> list[bytearray]:
        """The lists to look through for a text with these prefixes.

        A short prefix is compared with short and long ones, the rest of a long one with short ones.
        """
        by_short, by_rest = self._short, self._rest
        found = [by_short[code] for code in short]
        found += [by_short[code] for code in rest]
        found += [by_rest[code] for code in short]
        return found

    def _list(self, record: bytes, short: Iterable[int], rest: Iterable[int]) -> None:
        """Put a record under the tokens of its prefixes."""
        for own in map(self._short.__getitem__, short):
            own += record
        for own in map(self._rest.__getitem__, rest):
            own += record

    def _together(
        self, block: Block, numbers: Sequence[int], sizes: Sequence[int], lists: bytes
    ) -> Iterator[tuple[int, Places]]:
        """`search_all` for some texts of a block, whose lists have these sizes."""
        records, counts = np.frombuffer(lists, np.uint64), np.array(sizes) // _SIZE
        words = np.repeat(block.asked.take(numbers), counts)
        limits = np.repeat(block.limits.take(numbers), counts)
        near = (np.bitwise_count(records[::2] ^ words) < limits).nonzero()[0]
        places = records[1::2].take(near)
        owners = np.array(numbers).take(np.searchsorted(counts.cumsum(), near, side="right"))
        alike = self._alike(places, block.second.take(owners), block.counts.take(owners))
        keys = owners[alike].astype(np.uint64) << np.uint64(32) | places[alike]
        keys.sort()
        keys = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]
        return _grouped((keys >> np.uint64(32)).tolist(), (keys & np.uint64(0xFFFFFFFF)).tolist())

    def _alike(self, places: NDArray[Any], second: Any, counts: Any) -> NDArray[np.bool_]:
        """Which entries pass the second signature.

        Args:
            places: the places of the entries.
            second: the second signature of the text that is looked up, or of the text for each place.
            counts: the number of its tokens, likewise.
        """
        differing = np.bitwise_count(np.frombuffer(self._second, np.uint64).take(places) ^ second)
        lengths = np.frombuffer(self._lengths, np.float64).take(places)
        spare = 1 - self._threshold
        alike: NDArray[np.bool_] = differing < spare * lengths + (spare * counts + SLACK)
        return alike


def _append(lists: list[bytearray], codes: NDArray[Any], records: NDArray[np.uint64]) -> None:
    """Put records into the lists of their tokens, those of one list at once.

    Args:
        lists: by token.
        codes: the token of each record.
        records: word and place, in the order of the places.
    """
    order = codes.argsort(kind="stable")
    codes, written = codes[order], records[order].tobytes()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    limits = [*(starts * _SIZE).tolist(), len(written)]
    for code, (start, end) in zip(codes[starts].tolist(), pairwise(limits), strict=True):
        lists[code] += written[start:end]


def _grouped(owners: Sequence[int], values: Sequence[int]) -> Iterator[tuple[int, Places]]:
    """By owner: its values. The owners are sorted."""
    for owner, pairs in groupby(zip(owners, values, strict=True), itemgetter(0)):
        yield owner, [value for _, value in pairs]
