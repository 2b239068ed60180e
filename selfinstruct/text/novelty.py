"""An exact index of texts by ROUGE-L: is any earlier text too similar? Usable on its own.

>>> index = RougeLIndex(0.7)
>>> index.add("Write a poem about the sea.", "seed-1")
>>> index.nearest("Write a short poem about the sea.").id
'seed-1'

Scores equal rouge-score's F-measure without stemming, to the last bit: 2PR / (P + R). Precision P and recall
R are the length L of the longest common subsequence, divided by the length of each text in tokens. So
F = 2 L / (n + m), and texts of n and m tokens score above a threshold t only if they share more than
t (n + m) / 2 tokens. From this follow three filters. Each is cheaper than the next, and none loses a match:

1. Prefixes. If all tokens are sorted in one order, two texts that share c tokens share at least one among
   their first n - c + 1 and m - c + 1. So each text is listed only under its rarest tokens, and looked up
   only by its rarest. The prefixes of long texts are k - 1 tokens longer and have to share k. Tokens are
   sorted by first appearance, the newest first: that is nearly the rarest first, and the order does not
   change as texts are added.
2. Signatures. Each text has 64 bits; each of its tokens sets one. Two texts differ in at least as many
   tokens as bits, and to match they must differ in fewer than (1 - t) (n + m) tokens.
3. The subsequence itself, by rapidfuzz, for the few texts that are left.

docs/novelty.md has its costs.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Any, NamedTuple

from selfinstruct.text.tokenizers import tokenizer as by_name

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

_BITS = [1 << place for place in range(64)]
# Bounds are loosened by this part of a token, which is far more than any rounding error in them.
_SLACK = 1e-6
# A text has to share one token for every 16 that it has, and at least one.
_TOKENS_A_SHARED = 16
_QUERIES_AT_ONCE = 8


@dataclass(frozen=True)
class Match:
    """An entry of the index and its ROUGE-L F-measure (0 to 1) to the text that was looked up."""

    id: str
    score: float


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


def bounds(count: int, distinct: int, threshold: float) -> Bounds:
    """The bounds of a text of `count` tokens, `distinct` of them different.

    Two texts above the threshold share at least `equal` tokens if the other text is at least as long, and at
    least `fewest` in any case; the shortest such text has that many tokens. A prefix has only different
    tokens: two texts that share c of n tokens share at least c - (n - distinct) different ones.
    """
    equal = int(threshold * count - _SLACK) + 1
    fewest = int(threshold * count / (2 - threshold) - _SLACK) + 1
    shared = max(1, min(count // _TOKENS_A_SHARED, fewest - (count - distinct), 255))
    return Bounds(shared, count - equal + shared, count - fewest + shared)


def coded(codes: list[int]) -> str | array[int]:
    """Numbers in the form that rapidfuzz compares fastest: as characters, if there are enough characters."""
    try:
        return "".join(map(chr, codes))
    except ValueError:  # over a million different tokens; for rapidfuzz, a character equals its number
        return array("I", codes)


class RougeLIndex:
    """An index of texts.

    Args:
        threshold: `nearest` returns only entries strictly above it; between 0 and 1.
        tokenizer: the name of a tokenizer (`text.tokenizers`).

    Raises:
        ValueError: if the threshold is not between 0 and 1, or the tokenizer is unknown.
    """

    def __init__(self, threshold: float, tokenizer: str = "rouge") -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold {threshold} is not between 0 and 1")
        self.threshold = threshold
        # The text that was just looked up is mostly added next, so its tokens are kept.
        self._tokens = lru_cache(maxsize=1)(by_name(tokenizer))
        self._numbers: dict[str, int] = {}  # a number for each token, by first appearance
        self._ids: list[str] = []
        self._texts: list[str | array[int]] = []
        self._lengths = array("d")
        self._shared = array("B")
        self._signatures = array("Q")
        # By token: the places of the entries with it in their short prefix, or in the rest of the long one.
        self._short: dict[int, array[int]] = {}
        self._rest: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, text: str, id: str) -> None:
        """Add a text under a name."""
        numbers = self._numbers
        codes = [numbers.setdefault(token, len(numbers)) for token in self._tokens(text)]
        order = sorted(set(codes), reverse=True)
        limits = bounds(len(codes), len(order), self.threshold)
        _post(self._short, order[: limits.short], len(self._ids))
        _post(self._rest, order[limits.short : limits.long], len(self._ids))
        self._ids.append(id)
        self._texts.append(coded(codes))
        self._lengths.append(len(codes))
        self._shared.append(limits.shared)
        self._signatures.append(_signature(order))

    def add_all(self, entries: Iterable[tuple[str, str]]) -> None:
        """Add texts, each with its name."""
        for text, id in entries:
            self.add(text, id)

    def nearest(self, text: str, excluding: Collection[str] = ()) -> Match | None:
        """The most similar entry strictly above the threshold (the earliest if equal); None if none is above.

        Args:
            text: the text to compare.
            excluding: names of entries to skip, as if they had never been added.
        """
        codes = self._known(text)
        places = self._candidates(codes)
        if excluding:  # the bounds judge each entry separately, so a skipped one cannot hide another
            places = [place for place in places if self._ids[place] not in excluding]
        if not places:
            return None
        best, found = self.threshold, None
        for place, common in zip(places, self._common(codes, places), strict=True):
            if common:
                precision, recall = common / len(codes), common / len(self._texts[place])
                score = 2 * precision * recall / (precision + recall)
                if score > best:
                    best, found = score, place
        return None if found is None else Match(self._ids[found], best)

    def nearest_all(self, texts: Iterable[str]) -> list[Match | None]:
        """`nearest` for each of several texts, which are not compared with each other."""
        return [self.nearest(text) for text in texts]

    def top(self, text: str, k: int) -> list[Match]:
        """The k most similar entries, the best first (the earlier if equal); compares with every entry."""
        return self.similar(text, k)[0]

    def top_all(self, texts: Iterable[str], k: int) -> list[list[Match]]:
        """`top` for each of several texts, in half the time."""
        return [self._best(scores, k) for scores in self._scores(list(texts))]

    def similar(self, text: str, k: int) -> tuple[list[Match], float]:
        """`top`, and the mean score of all entries (0 if the index is empty), in one pass."""
        (scores,) = self._scores([text])
        return self._best(scores, k), float(scores.mean()) if len(scores) else 0.0

    def _known(self, text: str) -> list[int]:
        """The tokens of a text as numbers; all tokens that no entry has get one number, the newest."""
        get, new = self._numbers.get, len(self._numbers)
        return [get(token, new) for token in self._tokens(text)]

    def _candidates(self, codes: list[int]) -> list[int]:
        """The places of the entries that pass the bounds, in order."""
        import numpy as np

        order = sorted(set(codes), reverse=True)
        shared, short, long = bounds(len(codes), len(order), self.threshold)
        lists = [self._short[code] for code in order[:long] if code in self._short]
        lists += [self._rest[code] for code in order[:short] if code in self._rest]
        if not lists:
            return []
        places = np.frombuffer(b"".join(lists), np.uintc)
        if shared > 1:
            places, seen = np.unique(places, return_counts=True)
            places = places[seen >= np.minimum(np.frombuffer(self._shared, np.uint8).take(places), shared)]
        signatures = np.frombuffer(self._signatures, np.uint64).take(places)
        lengths = np.frombuffer(self._lengths, np.float64).take(places)
        differing = np.bitwise_count(signatures ^ np.uint64(_signature(order)))
        spare = 1 - self.threshold
        allowed = spare * lengths + (spare * len(codes) + _SLACK)
        return sorted(set(places[differing < allowed].tolist()))

    def _common(self, codes: list[int], places: Sequence[int]) -> list[int]:
        """The lengths of the longest common subsequences with some entries."""
        from rapidfuzz.distance.LCSseq import similarity

        row, texts = coded(codes), self._texts
        return [similarity(row, texts[place]) for place in places]

    def _scores(self, texts: Sequence[str]) -> Iterator[NDArray[float64]]:
        """The scores of each text to every entry, as an array."""
        import numpy as np
        from rapidfuzz.distance import LCSseq
        from rapidfuzz.process import cdist

        lengths = np.array(self._lengths)
        for start in range(0, len(texts), _QUERIES_AT_ONCE):
            rows = [coded(self._known(text)) for text in texts[start : start + _QUERIES_AT_ONCE]]
            table = cdist(rows, self._texts, scorer=LCSseq.similarity, dtype=np.int32)
            for row, common in zip(rows, table, strict=True):
                yield _f_measures(common, len(row), lengths)

    def _best(self, scores: NDArray[float64], k: int) -> list[Match]:
        import numpy as np

        if 0 < k < len(scores):
            least = np.partition(scores, -k)[-k]
            places = np.flatnonzero(scores >= least)
        else:
            places = np.arange(len(scores))
        order = places[np.argsort(-scores[places], kind="stable")][: max(k, 0)]
        return [Match(self._ids[place], float(scores[place])) for place in order]


def _post(lists: dict[int, array[int]], codes: Iterable[int], place: int) -> None:
    for code in codes:
        if code in lists:
            lists[code].append(place)
        else:
            lists[code] = array("I", (place,))


def _signature(codes: Iterable[int]) -> int:
    return reduce(or_, [_BITS[code & 63] for code in codes], 0)


def _f_measures(common: NDArray[Any], count: int, lengths: NDArray[float64]) -> NDArray[float64]:
    """ROUGE-L F-measures, computed in rouge-score's order of operations; 0 if nothing is common."""
    import numpy as np

    scores = np.zeros(len(lengths))
    some = np.flatnonzero(common)
    precision, recall = common[some] / max(count, 1), common[some] / lengths[some]
    scores[some] = 2 * precision * recall / (precision + recall)
    return scores
