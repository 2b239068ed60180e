"""Several texts at once, described as arrays: what `text.prefixes` says of one text.

NumPy takes about a microsecond for a call, whatever its size. For a text alone, the calls take longer than
the work; for hundreds together, they do not count.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfinstruct.text.lcs import coded
from selfinstruct.text.prefixes import SLACK, second_bit, traits, word_bit

_CODE = 0xFFFFFFFF  # the bits of a key that hold a token


class Block:
    """Texts as arrays with an entry for each text.

    Args:
        rows: the tokens of each text, as numbers.
        threshold: see `text.prefixes`.

    Attributes:
        rows: as given.
        counts: the number of tokens.
        words: the words of the texts as entries.
        asked: the words of the texts when they are looked up.
        second: the second signatures.
        limits, shared: see `Traits`.
    """

    def __init__(self, rows: Sequence[list[int]], threshold: float) -> None:
        self.rows, self._threshold = rows, threshold
        sizes = list(map(len, rows))
        self.counts = np.array(sizes, np.float64)
        self._tokens = np.fromiter(chain.from_iterable(rows), np.int64, sum(sizes))
        # Each text's different tokens, the newest first: sorted by text, then by token.
        keys = np.repeat(np.arange(len(rows)), sizes) << 32 | _CODE - self._tokens
        keys.sort()
        keys = keys[np.diff(keys, prepend=-1) != 0]
        codes = _CODE - (keys & _CODE)
        distinct = np.bincount(keys >> 32, minlength=len(rows))
        self._starts = distinct.cumsum() - distinct
        self._codes = codes
        # Many texts have the same two numbers, and so the same traits.
        kinds, kind = np.unique(distinct << 32 | np.array(sizes, np.int64), return_inverse=True)
        several = map(traits, (kinds & _CODE).tolist(), (kinds >> 32).tolist(), repeat(threshold))
        found = np.array(list(several), np.int64).reshape(-1, 6)[kind]
        self.shared, self._short, self._long = (found[:, place] for place in range(3))
        self._distinct = distinct
        signatures = self._union(word_bit(codes))
        self.words = signatures | found[:, 3].astype(np.uint64)
        self.asked = signatures | found[:, 4].astype(np.uint64)
        self.limits = found[:, 5].astype(np.uint8)
        self.second = self._union(second_bit(codes))

    @cached_property
    def prefixes(self) -> list[tuple[list[int], list[int]]]:
        """By text: the tokens of its short prefix, and the rest of its long one."""
        codes, ends = self._codes.tolist(), self._starts + self._distinct
        middles = np.minimum(self._starts + self._short, ends).tolist()
        lasts = np.minimum(self._starts + self._long, ends).tolist()
        limits = zip(self._starts.tolist(), middles, lasts, strict=True)
        return [(codes[start:middle], codes[middle:last]) for start, middle, last in limits]

    @property
    def listed(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """The tokens of all short prefixes with the numbers of their texts; the same of the rests."""
        owners = np.repeat(np.arange(len(self.rows)), self._distinct)
        places = np.arange(len(owners)) - self._starts[owners]
        short = places < self._short[owners]
        for chosen in (short, ~short & (places < self._long[owners])):
            yield self._codes[chosen], owners[chosen]

    @cached_property
    def texts(self) -> Sequence[str | array[int]]:
        """Each row as `lcs.coded` gives it."""
        try:
            whole = self._tokens.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        except UnicodeDecodeError:  # some token has no character
            return list(map(coded, self.rows))
        ends = self.counts.astype(np.int64).cumsum().tolist()
        return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def pairs(self) -> dict[int, list[int]]:
        """By text that has any: the texts before it with which it may be above the threshold."""
        table = np.bitwise_count(self.asked[:, None] ^ self.words) < self.limits[:, None]
        later, earlier = np.tril(table, -1).nonzero()
        alike = np.bitwise_count(self.second.take(later) ^ self.second.take(earlier)) < (
            (1 - self._threshold) * (self.counts.take(later) + self.counts.take(earlier)) + SLACK
        )
        found: dict[int, list[int]] = {}
        later, earlier = later[alike], earlier[alike]
        for one, other in zip(later.tolist(), earlier.tolist(), strict=True):
            found.setdefault(one, []).append(other)
        return found

    def _union(self, places: NDArray[Any]) -> NDArray[np.uint64]:
        """By text: the bits at the places of all its tokens."""
        found = np.zeros(len(self.rows), np.uint64)
        some = self._distinct > 0
        if len(places):
            bits = np.uint64(1) << places.astype(np.uint64)
            found[some] = np.bitwise_or.reduceat(bits, self._starts[some])
        return found
