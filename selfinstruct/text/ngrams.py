"""Measures of repetition by n-grams (n words in a row): distinct-n and self-BLEU. Usable on their own.

>>> distinct([["write", "a", "poem"], ["write", "a", "letter"]], 2)
0.75

Texts are given as lists of words. Time grows with the number of words. That is so for self-BLEU, too,
although it compares each text with all others: for each n-gram it is enough to know the most times that one
text has it, and the most times that any other text has it. Distinct-n keeps the words of many texts on the
disk, and reads them in parts: those n-grams that begin with some of the words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from math import exp, fsum, log
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from selfinstruct.text.pieces import pieces

if TYPE_CHECKING:
    from numpy import uint32
    from numpy.typing import NDArray

Words = Sequence[str]
Gram = tuple[str, ...]

_PARTS = 32  # of all n-grams
_IN_MEMORY = 1_000_000  # bytes of a part that need no file
_TEXTS = 20_000  # that are divided into the parts together
_EPSILON = 0.1  # of a match, where there is none; as in NLTK's SmoothingFunction.method1


def distinct(texts: Sequence[Words], n: int) -> float | None:
    """Distinct-n: the number of different n-grams, divided by the number of all (arXiv 1510.03055).

    Args:
        texts: the words of each text.
        n: the number of words in a row.

    Returns:
        A share above 0 and up to 1; None if no text has n words.
    """
    return distinct_up_to(texts, n)[-1]


def distinct_up_to(texts: Iterable[Words], most: int) -> list[float | None]:
    """`distinct` for each number of words in a row, from 1 to the most."""
    numbers: dict[str, int] = {}
    different, every = [0] * most, [0] * most
    with ExitStack() as stack:
        parts = [stack.enter_context(SpooledTemporaryFile(_IN_MEMORY)) for _ in range(_PARTS)]
        for some in pieces(texts, _TEXTS):
            _divide(_windows(some, numbers, most), parts)
        for part in parts:
            part.seek(0)
            counts = _counted(part.read(), most, len(numbers) + 1)
            for place, (those, all_) in enumerate(counts):
                different[place] += those
                every[place] += all_
    return [those / all_ if all_ else None for those, all_ in zip(different, every, strict=True)]


def _windows(texts: Iterable[Words], numbers: dict[str, int], most: int) -> NDArray[uint32]:
    """Each word of some texts, as a number from 1, with the words after it; 0 after the last word of a text.

    Args:
        texts: the words of each text.
        numbers: the numbers of the words so far; gets those of new ones.
        most: how many words a row has.
    """
    import numpy as np

    # Each text is followed by zeros, so that no n-gram reaches from one text into the next.
    gap = [0] * (most - 1)
    flat: list[int] = []
    for words in texts:
        flat += [numbers.setdefault(word, len(numbers) + 1) for word in words]
        flat += gap
    codes = np.array([*flat, *[0] * most], np.uint32)
    rows = np.lib.stride_tricks.sliding_window_view(codes, most)
    return rows[rows[:, 0] > 0]


def _divide(windows: NDArray[uint32], parts: Sequence[SpooledTemporaryFile[bytes]]) -> None:
    """Add each row to a part, which its first word decides: equal n-grams are in the same one."""
    import numpy as np

    part = windows[:, 0] % len(parts)
    order = np.argsort(part, kind="stable")
    ends = np.searchsorted(part[order], np.arange(len(parts) + 1))
    for file, begin, end in zip(parts, ends, ends[1:], strict=False):
        file.write(windows[order[begin:end]].tobytes())


def _counted(raw: bytes, most: int, words: int) -> Iterator[tuple[int, int]]:
    """For each length, how many different n-grams a part has, and how many in all.

    Args:
        raw: the rows of the part.
        most: how many words a row has.
        words: a number above those of all words.
    """
    import numpy as np

    rows = np.frombuffer(raw, np.uint32).reshape(-1, most).astype(np.int64)
    grams = np.zeros(len(rows), np.int64)
    for place in range(most):
        whole = rows[:, place] > 0  # so are all before it
        rows, grams = rows[whole], grams[whole]
        # The n-grams so far have numbers without gaps, so that a product of two always fits into 64 bits.
        different, grams = np.unique(grams * words + rows[:, place], return_inverse=True)
        yield len(different), len(grams)


def self_bleu(texts: Sequence[Words], n: int = 4) -> float | None:
    """Self-BLEU: the mean BLEU of each text, with all other texts as references (arXiv 1802.01886).

    Equal to the mean of NLTK's `sentence_bleu` with equal weights and smoothing method 1.

    Args:
        texts: the words of each text.
        n: the longest n-grams to count.

    Returns:
        A share from 0 (no common word) to 1 (every text has a copy); None if there are fewer than two texts.
    """
    if len(texts) < 2:
        return None
    most = _Most(texts, n)
    lengths = Counter(map(len, texts))
    return fsum(_bleu(place, words, most, lengths) for place, words in enumerate(texts)) / len(texts)


class _Most:
    """For each n-gram the most times that one text has it, which text that is, and the most in any other."""

    def __init__(self, texts: Sequence[Words], n: int) -> None:
        self.n = n
        self._found: dict[Gram, tuple[int, int, int]] = {}
        for place, words in enumerate(texts):
            for size in range(1, n + 1):
                for gram, count in Counter(_grams(words, size)).items():
                    best, owner, second = self._found.get(gram, (0, -1, 0))
                    if count > best:
                        self._found[gram] = (count, place, best)
                    elif count > second:
                        self._found[gram] = (best, owner, count)

    def elsewhere(self, gram: Gram, place: int) -> int:
        """The most times that any text but the one at a place has an n-gram."""
        best, owner, second = self._found[gram]
        return second if owner == place else best


def _bleu(place: int, words: Words, most: _Most, lengths: Counter[int]) -> float:
    """The BLEU of one text."""
    logs = []
    for size in range(1, most.n + 1):
        counts = Counter(_grams(words, size))
        clipped = sum(min(count, most.elsewhere(gram, place)) for gram, count in counts.items())
        if size == 1 and not clipped:
            return 0.0
        logs.append(log((clipped or _EPSILON) / max(counts.total(), 1)))
    others = (length for length, count in lengths.items() if count > (length == len(words)))
    reference = min(others, key=lambda length: (abs(length - len(words)), length))
    return exp(fsum(logs) / most.n + min(0.0, 1 - reference / len(words)))


def _grams(words: Words, size: int) -> Iterator[Gram]:
    return zip(*(words[place:] for place in range(size)), strict=False)
