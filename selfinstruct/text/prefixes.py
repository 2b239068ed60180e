"""What two texts must have in common to score above a threshold: the bounds of `text.novelty`, as numbers.

Tokens are numbers here, the newest the highest. A text of n tokens is described by:

- the lengths of its prefixes (`Bounds`): its highest tokens, under which it is listed and looked up;
- a word of 64 bits. Each token sets one of the upper 44, and the length sets some of the lower 20;
- a second signature of 64 bits, in which each token sets one bit by another rule.

Two texts that differ in k token bits differ in at least k tokens. To be above the threshold t, texts of n and
m tokens may differ in at most D(n + m) = n + m - 2 (⌊t (n + m) / 2⌋ + 1) tokens. The length bits bring D into
the comparison of two words, so that it is one comparison with one number (`Traits.limit`), whatever m is:

- If m grows by one, D rises or falls by exactly one.
- An entry has its first m - 4 length bits set, so each token more changes one bit.
- The text that is looked up has that bit set if D rises there. Then the two words differ in one bit less, and
  one token more may differ. If D falls, they differ in one bit more.

The first and last length bits stand for all lengths beyond, with the greatest D of these.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

# Bounds are loosened by this part of a token, which is far more than any rounding error in them.
SLACK = 1e-6
# A text has to share one token for every 16 that it has, and at least one.
_TOKENS_A_SHARED = 16
TOKEN_BITS = 44  # of a word
_LENGTHS = 64 - TOKEN_BITS  # its other bits
_SHORTEST = 4  # the length with none of them set
_SPREAD = 2654435761  # Knuth's multiplicative hash

Codes = TypeVar("Codes", int, "NDArray[int64]")


class Bounds(NamedTuple):
    """The numbers for looking up a text among texts that may be above the threshold.

    Attributes:
        shared: how many tokens the prefixes have to share; of two texts, the smaller number counts.
        short: length of its prefix for texts that are at least as long.
        long: length of its prefix for texts that are at most as long.
    """

    shared: int
    short: int
    long: int


class Traits(NamedTuple):
    """What follows from the length of a text.

    Attributes:
        shared, short, long: see `Bounds`.
        listed: the length bits of its word as an entry.
        asked: the length bits of its word as a text that is looked up.
        limit: an entry can be above the threshold only if fewer bits of the two words differ.
    """

    shared: int
    short: int
    long: int
    listed: int
    asked: int
    limit: int


def bounds(count: int, distinct: int, threshold: float) -> Bounds:
    """The bounds of a text of `count` tokens, `distinct` of them different.

    Two texts above the threshold share at least `equal` tokens if the other text is at least as long, and at
    least `fewest` in any case; the shortest such text has that many tokens. A prefix has only different
    tokens: two texts that share c of n tokens share at least c - (n - distinct) different ones.
    """
    equal = int(threshold * count - SLACK) + 1
    fewest = int(threshold * count / (2 - threshold) - SLACK) + 1
    shared = max(1, min(count // _TOKENS_A_SHARED, fewest - (count - distinct), 255))
    return Bounds(shared, count - equal + shared, count - fewest + shared)


def most_differing(total: int, threshold: float) -> int:
    """In how many tokens two texts of `total` tokens together may differ: D of the docstring above."""
    return total - 2 * (int(threshold * total / 2 - SLACK) + 1)


@lru_cache(maxsize=1 << 16)
def traits(count: int, distinct: int, threshold: float) -> Traits:
    """The traits of a text of `count` tokens, `distinct` of them different."""
    listed = (1 << min(max(count - _SHORTEST, 0), _LENGTHS)) - 1
    return Traits(*bounds(count, distinct, threshold), listed, *_asked(count, threshold))


def word_bit(code: Codes) -> Codes:
    """The place of a token's bit in a word."""
    return _LENGTHS + code % TOKEN_BITS


def second_bit(code: Codes) -> Codes:
    """The place of a token's bit in a second signature."""
    return (code * _SPREAD >> 7) % 64


@lru_cache(maxsize=1 << 12)
def _asked(count: int, threshold: float) -> tuple[int, int]:
    """The length bits of a text that is looked up, and the limit."""
    allowed = _allowed(count, threshold)
    rises = [after > before for before, after in pairwise(allowed)]
    bits = sum(1 << place for place, rise in enumerate(rises) if rise)
    # An entry of the shortest length has no length bit set, so all the bits of the other text differ.
    return bits, max(0, min(sum(rises) + allowed[0] + 1, 65 + _LENGTHS))


def _allowed(count: int, threshold: float) -> list[int]:
    """By the length bits that an entry has, 0 to all: in how many tokens it may differ. Steps are of one."""
    allowed = [most_differing(count + _SHORTEST + bits, threshold) for bits in range(_LENGTHS + 1)]
    allowed[0] += 2  # shorter entries may differ in one token more; two keep the steps odd
    longest = count * (2 - threshold) / threshold + SLACK
    if longest >= _SHORTEST + _LENGTHS:
        most = ceil(min((1 - threshold) * (count + longest), 1000))
        allowed[-1] = max(allowed[-1], most + (most - allowed[-1]) % 2)
    return [
        max(most - abs(place - bits) for place, most in enumerate(allowed)) for bits in range(_LENGTHS + 1)
    ]
