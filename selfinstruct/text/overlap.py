"""Finds, among many texts, one that shares a run of words with another text. Usable on its own.

>>> overlaps = Overlaps(["The kettle is on the stove in the kitchen."], run=4, shortest=4)
>>> overlaps.best("Is the kettle on the stove in the hall?")
Overlap(number=0, words='on the stove in the', share=0.5555555555555556)

Case, punctuation and spacing make no difference. In scripts without spaces two characters are a word
(`text.copies`). The hash of each run of each text is kept in one sorted array: 12 bytes a run. The time for a
look-up grows with the length of the text that is looked up, and hardly with the number of texts. Hashes can
be equal by chance, so each text that is found is compared word by word.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from selfinstruct.text.copies import Copies, Words
from selfinstruct.text.tokenizers import unspaced


@dataclass(frozen=True)
class Overlap:
    """A text of the index that shares words with a text that was looked up.

    Attributes:
        number: its place among the texts.
        words: the longest run of words that both have, in lower case.
        share: the share of its own words that are in shared runs: 0 to 1.
    """

    number: int
    words: str
    share: float


class Overlaps:
    """An index of texts.

    Args:
        texts: the texts.
        run: the fewest words in a row that count as shared; None to find only texts with the same words.
        shortest: the fewest words of a text that is compared; a text with fewer words than `run` is found
            only by a text with exactly the same words.
    """

    def __init__(self, texts: Sequence[str], run: int | None, shortest: int) -> None:
        import numpy as np

        self._texts, self._run = texts, run
        self._equal: dict[tuple[str, ...], int] = {}
        self.compared = 0  # how many texts have at least `shortest` words
        sizes, counts = array("L", [0]) * len(texts), array("L", [0]) * len(texts)
        codes = array("q")
        for number, text in enumerate(texts):
            words = Words(text)
            if words.length < 2 * shortest or not words.tokens:
                continue
            self.compared += 1
            if run is None or words.length < 2 * run:
                self._equal.setdefault(words.tokens, number)
                continue
            before = len(codes)
            codes.extend(_codes(words, run))
            sizes[number], counts[number] = words.length, len(codes) - before
        runs = np.frombuffer(codes, np.int64) if codes else np.empty(0, np.int64)
        order = np.argsort(runs)
        self._runs, self._order = runs[order], order.astype(np.uint32)
        self._sizes = np.array(sizes)  # the length of each text, in half words
        self._ends = np.cumsum(np.array(counts))  # by text, how many runs it and those before have

    def best(self, text: str, share: float = 0.0) -> Overlap | None:
        """The text that shares the most words with this one, the first if several do; None if there is none.

        Args:
            text: the text to look up.
            share: the least share of the found text's own words that are in shared runs.
        """
        words = Words(text)
        same = self._equal.get(words.tokens)
        if same is not None:
            return Overlap(same, joined(words.tokens), 1.0)
        if self._run is None or words.length < 2 * self._run or not len(self._runs):
            return None
        copies: Copies | None = None
        for number in self._near(words, share):
            copies = copies or Copies([text], self._run)
            its = Words(self._texts[number])
            mask = copies.masks(its).get(0, 0)
            if mask and its.measure(mask) >= share * its.length:
                longest = max(re.finditer("1+", f"{mask:b}"[::-1]), key=lambda run: len(run[0]))
                shared = joined(its.tokens[longest.start() : longest.end()])
                return Overlap(number, shared, its.measure(mask) / its.length)
        return None

    def _near(self, words: Words, share: float) -> Sequence[int]:
        """The texts that may share enough, by the most words that they can share, then in order."""
        import numpy as np

        assert self._run
        codes = np.fromiter(set(_codes(words, self._run)), np.int64)
        begins = np.searchsorted(self._runs, codes)
        known = self._runs[np.minimum(begins, len(self._runs) - 1)] == codes
        if not known.any():
            return ()  # the usual case
        ends = np.searchsorted(self._runs, codes[known], "right")
        found = [self._order[begin:end] for begin, end in zip(begins[known], ends, strict=True)]
        runs = np.sort(np.concatenate(found)).astype(np.int64)
        owners = np.searchsorted(self._ends, runs, "right")
        numbers, starts = np.unique(owners, return_index=True)
        most = np.full(len(runs), 2 * self._run + 1)  # half words that a run adds to those before it
        inside = owners[1:] == owners[:-1]
        most[:-1][inside] = np.minimum(2 * np.diff(runs)[inside], most[:-1][inside])
        bounds = np.add.reduceat(most, starts)
        enough = bounds >= share * self._sizes[numbers]
        numbers, bounds = numbers[enough], bounds[enough]
        return [int(number) for number in numbers[np.argsort(-bounds, kind="stable")]]


def joined(tokens: Sequence[str]) -> str:
    """Words as a text, with spaces only where their script has them."""
    text = "".join(tokens[:1])
    for before, token in pairwise(tokens):
        text += token if unspaced(before[0]) and unspaced(token[0]) else f" {token}"
    return text


def _codes(words: Words, run: int) -> Iterator[int]:
    """The hash of each run of words, in order; another one in each process, so it is never stored."""
    return map(hash, words.runs(2 * run))
