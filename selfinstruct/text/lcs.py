"""The longest common subsequence of texts, by rapidfuzz, and the ROUGE-L F-measure that follows from it.

Scores are computed in rouge-score's order of operations, so they equal its scores to the last bit.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

_MANY = 64  # comparisons with one text that are quicker together
_ROUNDING = 1e-9  # of a score: far more than any rounding error


def coded(codes: list[int]) -> str | array[int]:
    """Numbers in the form that rapidfuzz compares fastest: as characters, if there are enough characters."""
    try:
        return "".join(map(chr, codes))
    except ValueError:  # over a million different tokens; for rapidfuzz, a character equals its number
        return array("I", codes)


def nearest(
    row: str | array[int], others: Sequence[str | array[int]], above: float
) -> tuple[int, float] | None:
    """The number of the most similar of the others, the earliest if equal, and its score.

    None if none has a score strictly above the given one.
    """
    best, found, size = above, None, len(row)
    for number, common in _common(row, others, above) if size else ():
        length = len(others[number])
        if common and 2 * common > (best - _ROUNDING) * (size + length):  # else it is certainly not above
            precision, recall = common / size, common / length
            score = 2 * precision * recall / (precision + recall)
            if score > best:
                best, found = score, number
    return None if found is None else (found, best)


def f_measures(common: NDArray[Any], count: int, lengths: NDArray[float64]) -> NDArray[float64]:
    """ROUGE-L F-measures; 0 if nothing is common.

    Args:
        common: the lengths of the longest common subsequences of a text with others.
        count: the number of its tokens.
        lengths: the numbers of tokens of the others.
    """
    import numpy as np

    scores = np.zeros(len(lengths))
    some = np.flatnonzero(common)
    precision, recall = common[some] / max(count, 1), common[some] / lengths[some]
    scores[some] = 2 * precision * recall / (precision + recall)
    return scores


def _common(
    row: str | array[int], others: Sequence[str | array[int]], above: float
) -> Iterable[tuple[int, int]]:
    """The lengths of the longest common subsequences, by number; of many, only those that may be the best."""
    from rapidfuzz.distance import LCSseq

    if len(others) < _MANY:
        return enumerate([LCSseq.similarity(row, other) for other in others])
    import numpy as np
    from rapidfuzz.process import cdist

    (common,) = cdist([row], others, scorer=LCSseq.similarity, dtype=np.int32)
    about = 2 * common / (len(row) + np.fromiter(map(len, others), np.float64, len(others)))
    numbers = np.flatnonzero(about > max(above, about.max()) - _ROUNDING)
    return zip(numbers.tolist(), common[numbers].tolist(), strict=True)
