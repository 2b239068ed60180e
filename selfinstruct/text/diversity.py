"""Figures of how diverse a dataset's texts are: how they begin, how near they are to each other, how long.

What counts as a word follows the language as in the filters: `comparing` for openings and ROUGE-L, `counting`
for lengths. Every pair of texts is compared, once, by rapidfuzz's cdist over blocks of them, so that memory
grows with the texts and not with the pairs. To add a figure, give `diversity` one more key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import TYPE_CHECKING, Any

from selfinstruct.text.novelty import coded
from selfinstruct.text.tokenizers import comparing, counting, tokenizer

if TYPE_CHECKING:
    from array import array

    from numpy import float64
    from numpy.typing import NDArray

_AT_ONCE = 32  # texts in one table, which has a column for each of the others


def diversity(
    texts: Sequence[str], seeds: Sequence[str], language: str = "en"
) -> dict[str, float | int | None]:
    """Figures of the diversity of texts; a mean over nothing is None.

    Args:
        texts: the texts, such as the instructions of a dataset.
        seeds: the texts that they were made from, such as the instructions of the seed tasks.
        language: of both, as a BCP 47 tag.

    Returns:
        `distinct_first_words` and `distinct_openings`: how many different first words, and first two words,
        there are; a text of one word opens with that, a text without any with nothing;
        `mean_rouge_l_seed`: the mean ROUGE-L F-measure of a text to its nearest seed, which the paper shows
        as a histogram (arXiv 2212.10560, section 3.2);
        `mean_rouge_l_other`: the same to the nearest other one of the texts;
        `mean_novelty`: 1 - the mean of the larger of the two, from 0 (copies only) to 1 (no word shared);
        `mean_words`: the mean length in words.
    """
    words, length = tokenizer(comparing(language)), tokenizer(counting(language))
    openings = {tuple(found[:2]) for text in texts if (found := words(text))}
    seed, other = nearest_seed(texts, seeds, language), nearest_other(texts, language)
    nearest = list(map(max, seed, other)) if seed and other else seed or other
    return {
        "distinct_first_words": len({opening[0] for opening in openings}),
        "distinct_openings": len(openings),
        "mean_rouge_l_seed": _mean(seed),
        "mean_rouge_l_other": _mean(other),
        "mean_novelty": 1 - fsum(nearest) / len(nearest) if nearest else None,
        "mean_words": _mean(len(length(text)) for text in texts),
    }


def mean_lengths(records: Sequence[Mapping[str, Any]], language: str = "en") -> dict[str, float]:
    """The mean length in words of each field that is a text, as `mean_words_<field>`.

    Of the field `input` only values that are not empty are counted, as in the paper (arXiv 2212.10560,
    table 1); a field of which nothing is counted is left out.

    Args:
        records: the fields of each record.
        language: of the texts, as a BCP 47 tag.
    """
    words = tokenizer(counting(language))
    lengths: dict[str, list[int]] = {}
    for record in records:
        for field, value in record.items():
            if isinstance(value, str) and (field != "input" or value.strip()):
                lengths.setdefault(field, []).append(len(words(value)))
    return {f"mean_words_{field}": sum(each) / len(each) for field, each in lengths.items()}


def nearest_seed(texts: Sequence[str], seeds: Sequence[str], language: str = "en") -> list[float]:
    """The ROUGE-L F-measure of each text to the seed nearest to it; nothing where there are no seeds.

    Args:
        texts: the texts.
        seeds: what they are compared with.
        language: of both, as a BCP 47 tag.
    """
    rows = _rows([*texts, *seeds], language)
    asked, others = rows[: len(texts)], rows[len(texts) :]
    if not others:
        return []
    return [
        score
        for start in range(0, len(asked), _AT_ONCE)
        for score in _f_measures(asked[start : start + _AT_ONCE], others).max(axis=1).tolist()
    ]


def nearest_other(texts: Sequence[str], language: str = "en") -> list[float]:
    """The ROUGE-L F-measure of each text to the other text nearest to it; nothing where there is no other.

    An equal text at another place is another one. 10,000 instructions take a second of one core, and the
    time grows with the square of their number.

    Args:
        texts: the texts.
        language: of them, as a BCP 47 tag.
    """
    import numpy as np

    if len(texts) < 2:
        return []
    rows, best = _rows(texts, language), np.zeros(len(texts))
    for start in range(0, len(rows), _AT_ONCE):
        block, rest = best[start : start + _AT_ONCE], best[start:]
        # The F-measure is symmetric: what came before has been compared with these already.
        scores = _f_measures(rows[start : start + _AT_ONCE], rows[start:])
        np.fill_diagonal(scores, 0)  # each with itself
        np.maximum(block, scores.max(axis=1), out=block)
        np.maximum(rest, scores.max(axis=0), out=rest)
    return best.tolist()


def _rows(texts: Iterable[str], language: str) -> list[str | array[int]]:
    """Texts by the numbers of their tokens, as rapidfuzz compares them."""
    tokens = tokenizer(comparing(language))
    numbers: dict[str, int] = {}
    return [coded([numbers.setdefault(token, len(numbers)) for token in tokens(text)]) for text in texts]


def _f_measures(rows: Sequence[str | array[int]], others: Sequence[str | array[int]]) -> NDArray[float64]:
    """A table of ROUGE-L F-measures in rouge-score's own order of operations; 0 where nothing is common."""
    import numpy as np
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cdist

    common = cdist(rows, others, scorer=LCSseq.similarity, dtype=np.int32)
    precision = common / np.array([[max(len(row), 1)] for row in rows])
    recall = common / np.array([max(len(row), 1) for row in others])
    total = precision + recall
    total[total == 0] = 1
    scores: NDArray[float64] = 2 * precision * recall / total
    return scores


def _mean(values: Iterable[float]) -> float | None:
    """The mean, the same in whatever order they come; None of none."""
    listed = list(values)
    return fsum(listed) / len(listed) if listed else None
