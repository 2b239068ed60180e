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
from functools import cached_property, lru_cache, reduce
from operator import or_

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
        if text.isascii():
            self.halves = [2] * len(self.tokens)
            self.length = 2 * len(self.tokens)
            return
        self.halves = [_half_words(token[0]) for token in self.tokens]
        self.length = sum(self.halves)

    @cached_property
    def _whole_words(self) -> int:
        return sum(1 << place for place, halves in enumerate(self.halves) if halves == 2)

    def measure(self, mask: int) -> int:
        """The length of the words in a mask, in half words."""
        return mask.bit_count() + (mask & self._whole_words).bit_count()

    def runs(self, least: int) -> list[tuple[str, ...]]:
        """From each place in the text, the shortest run of words with at least `least` half words."""
        tokens = self.tokens
        if self.length == 2 * len(tokens) or self.length == len(tokens):  # all words equally long: fast
            size = -(-least // 2) if self.length == 2 * len(tokens) else least
            return list(zip(*(tokens[place:] for place in range(size)), strict=False))
        return list(self._runs(least))

    def _runs(self, least: int) -> Iterator[tuple[str, ...]]:
        tokens, halves = self.tokens, self.halves
        end = long = 0
        for start, first in enumerate(halves):
            while long < least and end < len(tokens):
                long += halves[end]
                end += 1
            if long < least:
                return
            yield tokens[start:end]
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
            for key in dict.fromkeys(words.runs(self._run)):
                self._runs.setdefault(key, []).append(number)

    def equal(self, words: Words) -> int | None:
        """The number of the first text with exactly the same words; None if there is none."""
        return self._equal.get(words.tokens)

    def masks(self, words: Words) -> dict[int, int]:
        """By number of each text that shares a run with the words: a mask, a bit for each shared word."""
        found: dict[int, int] = {}
        runs, get = words.runs(self._run), self._runs.get
        for place, key in () if self._runs.keys().isdisjoint(runs) else enumerate(runs):
            for number in get(key, ()):
                found[number] = found.get(number, 0) | ((1 << len(key)) - 1) << place
        same = self.equal(words)
        if same is not None and words.tokens:  # even if it is shorter than a run
            found[same] = (1 << len(words.tokens)) - 1
        return found


class Few:
    """A few texts, to find their words in other texts, as `Copies` does.

    It is made in no time if its texts were among those of another one a moment ago, as those of a prompt are.

    Args:
        texts: the texts.
        run: see `Copies`.
    """

    def __init__(self, texts: Sequence[str], run: int) -> None:
        self._run = 2 * run
        self._known = [_known(text, self._run) for text in texts]

    @property
    def texts(self) -> list[Words]:
        """The texts, in words."""
        return [words for words, _ in self._known]

    def masks(self, words: Words) -> dict[int, int]:
        """See `Copies`."""
        runs = words.runs(self._run)
        keys = set(runs)
        found: dict[int, int] = {}
        for number, (_, its) in enumerate(self._known):
            if not its.isdisjoint(keys):
                places = (((1 << len(key)) - 1) << place for place, key in enumerate(runs) if key in its)
                found[number] = reduce(or_, places)
        for number, (own, _) in enumerate(self._known if words.tokens else ()):
            if own.tokens == words.tokens:  # even if it is shorter than a run
                found[number] = (1 << len(words.tokens)) - 1
                break
        return found


@lru_cache(maxsize=4096)
def _known(text: str, least: int) -> tuple[Words, frozenset[tuple[str, ...]]]:
    """The words of a text, and its runs."""
    words = Words(text)
    return words, frozenset(words.runs(least))
