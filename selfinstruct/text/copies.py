"""Finds the words of a text that other texts have too, in runs of several words. Usable on its own.

>>> copies = Copies(["The kettle is on the stove in the kitchen."], run=4)
>>> copies.masks(Words("Is the kettle is on the stove?"))
{0: 126}

The mask has a bit for each word; here all words except the first are in text 0. Lengths are in half words: in
scripts without spaces between words, a character is half a word, since about two of them make one word. So
the same length is right for a text in any language. Case, punctuation and spacing make no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

from selfinstruct.text.tokenizers import tokenizer, unspaced

_tokens = tokenizer("unicode")  # for an English text, it gives the same words as the tokenizer of English


@lru_cache(maxsize=65536)
def _half_words(first: str) -> int:
    return 1 if unspaced(first) else 2


class Words:
    """The words of a text, with their lengths.

    Args:
        text: the text.

    Attributes:
        tokens: its words.
        halves: the length of each word, in half words.
        length: the length of the whole text, in half words.
    """

    def __init__(self, text: str) -> None:
        self.tokens = tuple(_tokens(text))
        self.halves = [2] * len(self.tokens)
        if not text.isascii():
            self.halves = [_half_words(token[0]) for token in self.tokens]
        self.length = sum(self.halves)

    @cached_property
    def _whole_words(self) -> int:
        return sum(1 << place for place, halves in enumerate(self.halves) if halves == 2)

    def measure(self, mask: int) -> int:
        """The length of the words in a mask, in half words."""
        return mask.bit_count() + (mask & self._whole_words).bit_count()

    def runs(self, least: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """From each place in the text, the shortest run of words with at least `least` half words."""
        tokens, halves = self.tokens, self.halves
        if self.length == 2 * len(tokens) or self.length == len(tokens):  # all words equally long: fast
            size = -(-least // 2) if self.length == 2 * len(tokens) else least
            yield from enumerate(zip(*(tokens[place:] for place in range(size)), strict=False))
            return
        end = long = 0
        for start, first in enumerate(halves):
            while long < least and end < len(tokens):
                long += halves[end]
                end += 1
            if long < least:
                return
            yield start, tokens[start:end]
            long -= first


class Copies:
    """An index of texts, to find their words in other texts.

    Args:
        texts: the texts.
        run: the least number of words in a row that counts as copied; shorter runs may be chance.
    """

    def __init__(self, texts: Sequence[str], run: int) -> None:
        self.texts = [Words(text) for text in texts]
        self._run = 2 * run
        self._runs: dict[tuple[str, ...], list[int]] = {}
        self._equal: dict[tuple[str, ...], int] = {}
        for number, words in enumerate(self.texts):
            self._equal.setdefault(words.tokens, number)
            for key in {key: None for _, key in words.runs(self._run)}:
                self._runs.setdefault(key, []).append(number)

    def equal(self, words: Words) -> int | None:
        """The number of the first text with exactly the same words; None if there is none."""
        return self._equal.get(words.tokens)

    def masks(self, words: Words) -> dict[int, int]:
        """By number of each text that shares a run with the words: a mask, a bit for each shared word."""
        found: dict[int, int] = {}
        get = self._runs.get
        for place, key in words.runs(self._run):
            for number in get(key, ()):
                found[number] = found.get(number, 0) | ((1 << len(key)) - 1) << place
        same = self.equal(words)
        if same is not None and words.tokens:  # even if it is shorter than a run
            found[same] = (1 << len(words.tokens)) - 1
        return found
