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
   tokens as bits, and to match they must differ in fewer than (1 - t) (n + m) tokens. `text.prefixes` has
   both filters, and `text.postings` the lists.
3. The subsequence itself, by rapidfuzz, for the few texts that are left.

Up to some 200,000 entries, many texts at once take less time than one by one (`text.blocks`), with the same
result. So added texts wait until the next question. docs/novelty.md has the costs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, count
from typing import TYPE_CHECKING

from selfinstruct.text.lcs import coded, f_measures, nearest
from selfinstruct.text.pieces import pieces
from selfinstruct.text.tokenizers import tokenizer as by_name

if TYPE_CHECKING:
    from array import array

    from numpy import float64
    from numpy.typing import NDArray

    from selfinstruct.text.blocks import Block
    from selfinstruct.text.postings import Asked, Postings

_BLOCK = 256  # texts at once
_MANY = 1 << 16
_FEW = 8  # texts that are quicker one by one
_QUERIES_AT_ONCE = 8

Best = tuple[int, float]  # the place of the nearest entry, and its score


@dataclass(frozen=True)
class Match:
    """An entry of the index and its ROUGE-L F-measure (0 to 1) to the text that was looked up."""

    id: str
    score: float


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
        self._numbers = _numbering(())
        self._sorted = False  # whether they have been sorted
        self._ids: list[str] = []
        self._texts: list[str | array[int]] = []
        self._waiting: list[tuple[str, str]] = []  # added texts that are not in the lists yet
        self._last: tuple[str, int, Asked] | None = None

    def __len__(self) -> int:
        return len(self._ids) + len(self._waiting)

    def add(self, text: str, id: str) -> None:
        """Add a text under a name."""
        self._waiting.append((text, id))
        if len(self._waiting) >= (_MANY if self._sorted else _BLOCK):
            self._settle()

    def add_all(self, entries: Iterable[tuple[str, str]]) -> None:
        """Add texts, each with its name."""
        for text, id in entries:
            self.add(text, id)
        self._settle()

    def add_novel(self, entries: Iterable[tuple[str, str]]) -> list[Match | None]:
        """Look up each text, each with its name, and add it if no entry is above the threshold.

        It is the same as `nearest` and `add` for each after the other, and mostly faster.

        Returns:
            What `nearest` gives for each; None for those that were added.
        """
        self._settle()
        found: list[Match | None] = []
        for block in pieces(entries, _BLOCK):
            found += self._sifted(block)
        return found

    def nearest(self, text: str, excluding: Collection[str] = ()) -> Match | None:
        """The most similar entry strictly above the threshold (the earliest if equal); None if none is above.

        Args:
            text: the text to compare.
            excluding: names of entries to skip, as if they had never been added.
        """
        if self._waiting:
            self._settle()
        asked = self._ask(text)
        self._last = text, len(self._numbers), asked
        places = self._postings.search(asked)
        if excluding:  # the bounds judge each entry separately, so a skipped one cannot hide another
            places = [place for place in places if self._ids[place] not in excluding]
        return self._match(self._nearest(coded(asked.codes), places)) if places else None

    def nearest_all(self, texts: Iterable[str]) -> list[Match | None]:
        """`nearest` for each of several texts, which are not compared with each other."""
        self._settle()
        found: list[Match | None] = []
        for block in pieces(texts, _BLOCK):
            best = self._nearest_of(self._block([self._known(text) for text in block]))
            found += [self._match(best.get(number)) for number in range(len(block))]
        return found

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

    @cached_property
    def _postings(self) -> Postings:
        from selfinstruct.text.postings import Postings  # imports NumPy

        return Postings(self.threshold)

    def _known(self, text: str) -> list[int]:
        """The tokens of a text as numbers; all tokens that no entry has get one number, the newest."""
        get, new = self._numbers.get, len(self._numbers)
        return [get(token, new) for token in self._tokens(text)]

    def _numbered(self, text: str) -> list[int]:
        """The tokens of a text as numbers; a token that no entry has gets the next number."""
        return list(map(self._numbers.__getitem__, self._tokens(text)))

    def _ask(self, text: str) -> Asked:
        return self._postings.ask(self._known(text))

    def _block(self, rows: Sequence[list[int]]) -> Block:
        from selfinstruct.text.blocks import Block

        return Block(rows, self.threshold)

    def _settle(self) -> None:
        """Put the texts that wait into the lists."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) < _FEW:
            for text, id in waiting:
                self._insert(text, id)
        else:
            block = self._block([self._numbered(text) for text, _ in waiting])
            self._insert_some(block, waiting, range(len(waiting)))
        self._sort_tokens()

    def _sort_tokens(self) -> None:
        """Number the tokens anew, rare ones last, once, as soon as there are enough texts to tell.

        The numbers change no result. The rarer the highest tokens are, the shorter are the lists.
        """
        if self._sorted or len(self._ids) < _BLOCK:
            return
        self._sorted = True
        rows = [list(map(ord, row)) if isinstance(row, str) else list(row) for row in self._texts]
        often = Counter(chain.from_iterable(rows))
        order = sorted(range(len(self._numbers)), key=often.__getitem__, reverse=True)
        tokens, numbers = list(self._numbers), {old: new for new, old in enumerate(order)}
        self._numbers = _numbering(tokens[code] for code in order)
        block = self._block([[numbers[code] for code in row] for row in rows])
        del self._postings  # made anew at the next use
        self._postings.learn(len(order))
        self._postings.insert_some(block, range(len(rows)))
        self._texts = list(block.texts)
        self._last = None

    def _insert(self, text: str, id: str) -> None:
        asked = self._just_asked(text)
        if asked is None:
            codes = self._numbered(text)
            self._postings.learn(len(self._numbers))
            asked = self._postings.ask(codes)
        self._postings.insert(asked)
        self._ids.append(id)
        self._texts.append(coded(asked.codes))

    def _just_asked(self, text: str) -> Asked | None:
        """What was worked out when the text was looked up; None if it has a token that had no number then."""
        last, known, asked = self._last or ("", 0, None)
        fresh = asked is not None and asked.order[:1] == [known]
        return None if last != text or fresh else asked

    def _insert_some(self, block: Block, entries: Sequence[tuple[str, str]], which: Sequence[int]) -> None:
        """Add some texts of a block, by their numbers in it."""
        self._postings.learn(len(self._numbers))
        self._postings.insert_some(block, which)
        rows = block.texts
        self._ids += [entries[number][1] for number in which]
        self._texts += [rows[number] for number in which]

    def _sifted(self, entries: Sequence[tuple[str, str]]) -> list[Match | None]:
        """`add_novel` for as many texts as a block has."""
        block = self._block([self._numbered(text) for text, _ in entries])
        self._postings.learn(len(self._numbers))
        before = self._nearest_of(block)
        rows, pairs = block.texts, block.pairs()
        found = [self._match(before.get(number)) for number in range(len(entries))]
        for number, earlier in pairs.items():
            added = [other for other in earlier if found[other] is None]
            match = found[number]
            above = match.score if match else self.threshold
            inside = nearest(rows[number], [rows[other] for other in added], above)
            if inside:
                found[number] = Match(entries[added[inside[0]]][1], inside[1])
        self._insert_some(block, entries, [number for number, match in enumerate(found) if match is None])
        self._sort_tokens()
        return found

    def _match(self, best: Best | None) -> Match | None:
        return Match(self._ids[best[0]], best[1]) if best else None

    def _nearest(self, row: str | array[int], places: Sequence[int]) -> Best | None:
        """The nearest of the entries at some places in order."""
        best = nearest(row, [self._texts[place] for place in places], self.threshold)
        return (places[best[0]], best[1]) if best else None

    def _nearest_of(self, block: Block) -> dict[int, Best]:
        """By text of a block, if an entry is above the threshold: the nearest."""
        rows = block.texts
        found = (
            (number, self._nearest(rows[number], places))
            for number, places in self._postings.search_all(block)
        )
        return {number: best for number, best in found if best}

    def _scores(self, texts: Sequence[str]) -> Iterator[NDArray[float64]]:
        """The scores of each text to every entry, as an array."""
        import numpy as np
        from rapidfuzz.distance import LCSseq
        from rapidfuzz.process import cdist

        self._settle()
        lengths = self._postings.lengths()
        for start in range(0, len(texts), _QUERIES_AT_ONCE):
            rows = [coded(self._known(text)) for text in texts[start : start + _QUERIES_AT_ONCE]]
            table = cdist(rows, self._texts, scorer=LCSseq.similarity, dtype=np.int32)
            for row, common in zip(rows, table, strict=True):
                yield f_measures(common, len(row), lengths)

    def _best(self, scores: NDArray[float64], k: int) -> list[Match]:
        import numpy as np

        if 0 < k < len(scores):
            least = np.partition(scores, -k)[-k]
            places = np.flatnonzero(scores >= least)
        else:
            places = np.arange(len(scores))
        order = places[np.argsort(-scores[places], kind="stable")][: max(k, 0)]
        return [Match(self._ids[place], float(scores[place])) for place in order]


def _numbering(tokens: Iterable[str]) -> defaultdict[str, int]:
    """Numbers from 0 for tokens; any other token gets the next number when it is looked up by []."""
    known = {token: number for number, token in enumerate(tokens)}
    return defaultdict(count(len(known)).__next__, known)
