"""The bounds on what two texts must share, and the lists that they leave to compare."""

from __future__ import annotations

import random
from fractions import Fraction
from math import floor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfinstruct.text.blocks import Block
from selfinstruct.text.postings import Postings
from selfinstruct.text.prefixes import TOKEN_BITS, Bounds, bounds, most_differing, traits, word_bit

THRESHOLDS = ["0.01", "0.3", "0.5", "0.6", "0.7", "0.75", "0.9", "0.99"]
many = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.mark.parametrize("threshold", ["0.01", "0.3", "0.5", "0.6", "0.7", "0.75", "0.9", "0.99"])
def test_bounds(threshold: str) -> None:
    """The bounds are the tightest that lose nothing: found here by trying every length."""
    exact = Fraction(threshold)
    for count in range(1, 140):
        equal = next(c for c in range(1, count + 1) if Fraction(2 * c, 2 * count) >= exact)
        fewest = next(m for m in range(1, count + 1) if Fraction(2 * m, count + m) >= exact)
        shared = max(1, min(count // 16, fewest))
        want = Bounds(shared, count - equal + shared, count - fewest + shared)
        assert bounds(count, count, float(threshold)) == want


def test_bounds_of_repeated_words() -> None:
    """A text of few different words is not asked to share more of them than it must have in common."""
    assert bounds(100, 100, 0.7).shared == 6
    assert bounds(100, 49, 0.7).shared == 3, "54 common tokens, of which 51 may be repetitions"
    assert bounds(100, 1, 0.7).shared == 1
    assert bounds(31, 31, 0.7).shared == 1
    assert bounds(100_000, 100_000, 0.7).shared == 255


def allowed(total: int, threshold: str) -> int:
    """In how many tokens two texts of `total` tokens together may differ, in exact numbers."""
    return total - 2 * (floor(Fraction(threshold) * total / 2) + 1)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_most_differing(threshold: str) -> None:
    """Texts may differ in what the threshold leaves; against rounding, an equal score counts too."""
    for total in range(2, 300):
        exact = Fraction(threshold) * total / 2
        equal = 2 if exact == floor(exact) else 0
        assert most_differing(total, float(threshold)) == allowed(total, threshold) + equal


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_length_bits(threshold: str) -> None:
    """Two words pass if as many token bits differ as may, and not if one more does.

    Where a length is beyond the length bits, more may pass, but not fewer.
    """
    limit = float(threshold)
    for first in range(1, 90):
        asked = traits(first, first, limit)
        for second in range(1, 90):
            most = most_differing(first + second, limit)
            listed = traits(second, second, limit).listed
            passing = asked.limit - 1 - (asked.asked ^ listed).bit_count()
            if 2 * min(first, second) > limit * (first + second):  # else no score is above
                assert passing >= min(most, TOKEN_BITS)
            longest = first * (2 - limit) / limit
            if 4 < second < 24 and longest < 24:
                assert passing <= max(most, most_differing(first + 4, limit) + 2 - (second - 4))


def left(codes: list[list[int]], asked: list[int], threshold: float) -> list[int]:
    """The places of the texts that prefixes and words leave, by their definition."""

    def described(text: list[int]) -> tuple[list[int], Bounds, set[int]]:
        order = sorted(set(text), reverse=True)
        return order, bounds(len(text), len(order), threshold), set(map(word_bit, order))

    order, mine, bits = described(asked)
    its = traits(len(asked), len(order), threshold)
    places = []
    for place, text in enumerate(codes):
        other, limits, set_bits = described(text)
        common = set(order[: mine.long]) & set(other[: limits.short])
        common |= set(order[: mine.short]) & set(other[: limits.long])
        listed = traits(len(text), len(other), threshold).listed
        differing = len(bits ^ set_bits) + (listed ^ its.asked).bit_count()
        alike = its.limit > TOKEN_BITS or differing < its.limit  # beyond, token bits tell nothing
        if alike and len(common) >= max(1, min(mine.shared, limits.shared)):
            places.append(place)
    return places


def tokens(rng: random.Random, vocabulary: int) -> list[int]:
    """A text of up to 120 tokens, the low numbers the most frequent."""
    size = rng.choice([0, 1, 3, 6, 9, 12, 16, 31, 32, 40, 64, 120])
    return [int(vocabulary * rng.random() ** 2) for _ in range(size)]


@many
@given(seed=st.integers(0, 2**32), threshold=st.sampled_from(THRESHOLDS))
def test_what_is_compared(seed: int, threshold: str) -> None:
    """No more texts are left to compare than the bounds leave; alone and in a block they are the same."""
    rng = random.Random(seed)
    vocabulary = rng.choice([1, 5, 30, 200])
    texts = [tokens(rng, vocabulary) for _ in range(4)]
    texts += [[*text[: rng.randint(0, len(text))], *tokens(rng, vocabulary)[:3]] for text in texts]
    alone, together = Postings(float(threshold)), Postings(float(threshold))
    for postings in (alone, together):
        postings.learn(vocabulary)
    for text in texts:
        alone.insert(alone.ask(text))
    together.insert_some(Block(texts, float(threshold)), range(len(texts)))
    block = Block(texts, float(threshold))
    found = dict(together.search_all(block))
    for number, text in enumerate(texts):
        places = alone.search(alone.ask(text))
        assert set(places) <= set(left(texts, text, float(threshold)))
        assert number in places or not text
        assert places == together.search(together.ask(text))
        assert set(found.get(number, [])) <= set(places)
        assert number in found.get(number, []) or not text


@many
@given(seed=st.integers(0, 2**32), threshold=st.sampled_from(THRESHOLDS))
def test_block_as_alone(seed: int, threshold: str) -> None:
    """A block describes each of its texts as it is described alone."""
    rng = random.Random(seed)
    texts = [tokens(rng, 50) for _ in range(rng.randint(1, 6))]
    block, postings = Block(texts, float(threshold)), Postings(float(threshold))
    postings.learn(50)
    for number, text in enumerate(texts):
        asked = postings.ask(text)
        own, low = asked.traits, (1 << 64) - 1
        order = asked.order
        assert block.prefixes[number] == (order[: own.short], order[own.short : own.long])
        assert int(block.words[number]) == asked.bits & low | own.listed
        assert int(block.asked[number]) == asked.bits & low | own.asked
        assert int(block.second[number]) == asked.bits >> 64
        assert (block.limits[number], block.shared[number]) == (own.limit, own.shared)
        assert block.texts[number] == "".join(map(chr, text))
