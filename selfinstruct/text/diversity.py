"""Figures of a dataset's diversity: the openings of its texts, their similarity to each other, their length.

The language decides how texts are split into words, as in the filters: `comparing` for openings and ROUGE-L,
`counting` for lengths. Each pair of texts is compared once, by rapidfuzz's cdist on blocks of texts, so that
memory grows with the number of texts and not of pairs. `measures`, `nearest_of` and `nearest_seed`, which a
report takes, go through the texts a few at a time: their texts may be on the disk (`text.on_disk`). To add a
figure, add a key to the result of `diversity`; to add one with an explanation for the reader of a report, add
a line to `HOW_TO_READ` and one to `measures`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, log2
from typing import TYPE_CHECKING, Any

from selfinstruct.text.lcs import coded
from selfinstruct.text.ngrams import Words, distinct_up_to, self_bleu
from selfinstruct.text.pieces import pieces
from selfinstruct.text.tokenizers import comparing, counting, tokenizer
from selfinstruct.text.vendi import vendi

if TYPE_CHECKING:
    from array import array

    from numpy import float64, floating, int64
    from numpy.typing import NDArray

NEAR = 0.7  # ROUGE-L; the paper rejects what is nearer than this
SAMPLE = 1000  # texts for self-BLEU, which grows with their number
_AT_ONCE = 32  # texts (rows) in one table, which has a column for each text
_COLUMNS = 4_096  # texts in one table, where not all have a column
_OTHER = 0  # the number of all tokens that none of the texts asked about has

_GROWING = "It falls as a set grows, so compare only sets of about the same size."
HOW_TO_READ = {
    "distinct_1": f"The share of different words among all words; low means much repetition. {_GROWING}",
    "distinct_2": f"The share of different pairs of words in a row among all such pairs. {_GROWING}",
    "distinct_3": f"The share of different runs of three words among all such runs. {_GROWING}",
    "opening_entropy": "How varied the first two words are, in bits: 10 bits are as varied as 2^10 = 1,024 "
    "equally common openings.",
    "near_pairs": f"The share of texts with a near copy: another text with a ROUGE-L of at least {NEAR}.",
    "self_bleu": "How much a text repeats the phrases of others, from 0 (not at all) to 1 (a copy): the mean "
    "BLEU of {sample:,} texts drawn at random, each compared with all others of them.",
    "vendi": "As many texts about quite different things would be as diverse as these {vectors:,}, by their "
    "embeddings; 1 means that all say the same.",
}


@dataclass(frozen=True)
class Measure:
    """One figure of diversity, with a sentence or two on how to read it; None if the texts are too few."""

    name: str
    value: float | None
    how_to_read: str


def diversity(
    texts: Sequence[str], seeds: Sequence[str], language: str = "en"
) -> dict[str, float | int | None]:
    """The figures of the diversity of texts; a mean of no values is None.

    Args:
        texts: the texts, such as the instructions of a dataset.
        seeds: the texts that they were made from, such as the instructions of the seed tasks.
        language: the language of both, as a BCP 47 tag.

    Returns:
        `distinct_first_words` and `distinct_openings`: the number of different first words, and of different
        first two words; a text of one word has that as its opening, a text without words has none;
        `mean_rouge_l_seed`: the mean ROUGE-L F-measure of a text to its nearest seed; the paper shows this
        as a histogram (arXiv 2212.10560, section 3.2);
        `mean_rouge_l_other`: the mean ROUGE-L F-measure of a text to the nearest other text;
        `mean_novelty`: 1 - the mean of the larger of the two, from 0 (only copies) to 1 (no shared words);
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


def measures(
    texts: Sequence[str],
    language: str = "en",
    nearest: Sequence[float | None] | None = None,
    vectors: NDArray[floating] | None = None,
) -> list[Measure]:
    """The measures of the diversity of texts that `HOW_TO_READ` explains, in its order.

    Args:
        texts: the texts.
        language: their language, as a BCP 47 tag.
        nearest: the ROUGE-L of each text to the nearest other, from `nearest_other` or from an index; None
            where the index found none. Without it there is no `near_pairs`.
        vectors: an embedding of each text, as a table of shape (texts, dimensions). Without it there is no
            `vendi`.
    """
    split = tokenizer(comparing(language))
    drawn = random.Random(0).sample(range(len(texts)), min(SAMPLE, len(texts)))
    found = {f"distinct_{n}": share for n, share in enumerate(distinct_up_to(map(split, texts), 3), 1)}
    found["opening_entropy"] = _opening_entropy(map(split, texts))
    if nearest is not None:
        found["near_pairs"] = _mean(score is not None and score >= NEAR for score in nearest)
    found["self_bleu"] = self_bleu([split(texts[place]) for place in drawn])
    if vectors is not None:
        found["vendi"] = vendi(vectors)
    counts = {"sample": len(drawn), "vectors": 0 if vectors is None else len(vectors)}
    return [Measure(name, value, HOW_TO_READ[name].format(**counts)) for name, value in found.items()]


def mean_lengths(records: Sequence[Mapping[str, Any]], language: str = "en") -> dict[str, float]:
    """The mean length in words of each text field, as `mean_words_<field>`.

    Empty values of the field `input` are not counted, as in the paper (arXiv 2212.10560, table 1). A field
    without a counted value is left out.

    Args:
        records: the fields of each record.
        language: the language of the texts, as a BCP 47 tag.
    """
    words = tokenizer(counting(language))
    lengths: dict[str, list[int]] = {}
    for record in records:
        for field, value in record.items():
            if isinstance(value, str) and (field != "input" or value.strip()):
                lengths.setdefault(field, []).append(len(words(value)))
    return {f"mean_words_{field}": sum(each) / len(each) for field, each in lengths.items()}


def nearest_seed(texts: Sequence[str], seeds: Sequence[str], language: str = "en") -> list[float]:
    """The ROUGE-L F-measure of each text to its nearest seed; empty if there are no seeds.

    Args:
        texts: the texts.
        seeds: the texts to compare them with.
        language: the language of both, as a BCP 47 tag.
    """
    others, row = _numbered(seeds, language)
    if not others:
        return []
    lengths = _lengths(others)
    return [
        score
        for some in pieces(map(row, texts), _AT_ONCE)
        for score in _f_measures(some, others, lengths).max(axis=1).tolist()
    ]


def nearest_other(texts: Sequence[str], language: str = "en") -> list[float]:
    """The ROUGE-L F-measure of each text to the nearest other text; empty if there is only one text.

    An equal text at another place counts as another text. 10,000 instructions take a second on one core, and
    the time grows with the square of their number.

    Args:
        texts: the texts.
        language: their language, as a BCP 47 tag.
    """
    import numpy as np

    if len(texts) < 2:
        return []
    rows, best = _rows(texts, language), np.zeros(len(texts))
    lengths = _lengths(rows)
    for start in range(0, len(rows), _AT_ONCE):
        block, rest = best[start : start + _AT_ONCE], best[start:]
        # The F-measure is symmetric: earlier blocks have been compared with these texts already.
        scores = _f_measures(rows[start : start + _AT_ONCE], rows[start:], lengths[start:])
        np.fill_diagonal(scores, 0)  # a text compared with itself
        np.maximum(block, scores.max(axis=1), out=block)
        np.maximum(rest, scores.max(axis=0), out=rest)
    return best.tolist()


def nearest_of(
    texts: Sequence[str], places: Sequence[int], language: str = "en", earlier: bool = False
) -> list[float | None]:
    """The ROUGE-L F-measure of some of the texts to the nearest other text; None if there is no other.

    Args:
        texts: the texts.
        places: the places of the texts that are asked about, in ascending order.
        language: the language of all texts, as a BCP 47 tag.
        earlier: compare only with the texts before each.
    """
    import numpy as np

    asked, row = _numbered((texts[place] for place in places), language)
    own, best, start = np.array(places, np.int64), np.zeros(len(places)), 0
    for others in pieces(map(row, texts), _COLUMNS) if asked else ():
        lengths, columns = _lengths(others), np.arange(start, start + len(others))
        after = int(np.searchsorted(own, start, "right")) if earlier else 0
        for first in range(after, len(asked), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            scores = _f_measures(asked[some], others, lengths)
            these = own[some, None]
            if these[0] <= columns[-1] and (earlier or these[-1] >= start):  # mostly not, and it takes long
                scores[columns >= these if earlier else columns == these] = 0
            np.maximum(best[some], scores.max(axis=1), out=best[some])
        start += len(others)
    alone = own == 0 if earlier else np.full(len(own), len(texts) == 1)
    return [None if without else score for score, without in zip(best.tolist(), alone, strict=True)]


def _opening_entropy(texts: Iterable[Words]) -> float | None:
    """The Shannon entropy of the first two words, in bits; texts without words do not count."""
    counts = Counter(tuple(words[:2]) for words in texts if words)
    total = counts.total()
    shares = [count / total for count in counts.values()]
    return fsum(-share * log2(share) for share in shares) if shares else None


def _numbered(
    texts: Iterable[str], language: str
) -> tuple[list[str | array[int]], Callable[[str], str | array[int]]]:
    """Each text as the numbers of its tokens, and what gives the row of a text to compare them with.

    Tokens that none of the texts has cannot match, so all of them are one number: what is in memory does not
    grow with the texts that are compared.
    """
    tokens = tokenizer(comparing(language))
    numbers: dict[str, int] = {}
    rows = [coded([numbers.setdefault(one, len(numbers) + 1) for one in tokens(text)]) for text in texts]
    return rows, lambda text: coded([numbers.get(one, _OTHER) for one in tokens(text)])


def _rows(texts: Iterable[str], language: str) -> list[str | array[int]]:
    """Each text as the numbers of its tokens, in the form that rapidfuzz compares."""
    tokens = tokenizer(comparing(language))
    numbers: dict[str, int] = {}
    return [coded([numbers.setdefault(token, len(numbers)) for token in tokens(text)]) for text in texts]


def _lengths(rows: Sequence[str | array[int]]) -> NDArray[int64]:
    """The number of tokens of each text; 1 for one without any, which shares none."""
    import numpy as np

    return np.fromiter(map(len, rows), np.int64, len(rows)).clip(1)


def _f_measures(
    rows: Sequence[str | array[int]], others: Sequence[str | array[int]], lengths: NDArray[int64]
) -> NDArray[float64]:
    """A table of ROUGE-L F-measures, in rouge-score's order of operations; 0 if nothing is common.

    Args:
        rows: the texts of the lines.
        others: the texts of the columns; mostly many more.
        lengths: `_lengths` of these.
    """
    import numpy as np
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cdist

    common = cdist(rows, others, scorer=LCSseq.similarity, dtype=np.int32)
    precision, recall = common / _lengths(rows)[:, None], common / lengths
    total = precision + recall
    total[total == 0] = 1
    scores: NDArray[float64] = 2 * precision * recall / total
    return scores


def _mean(values: Iterable[float]) -> float | None:
    """The mean, exactly the same for any order of the values; None if there are none."""
    listed = list(values)
    return fsum(listed) / len(listed) if listed else None
