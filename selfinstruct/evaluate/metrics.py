"""Scores of an answer against its references, from 0 to 100; the best of the references counts.

To add one, write a function of an answer and a reference, and name it in `METRICS`, in
`report.numbers.verdict.NAMES` and in `config.tuning.Metric`.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import cache, lru_cache

from selfinstruct.text.lcs import coded
from selfinstruct.text.tokenizers import is_english, tokenizer

Score = Callable[[str, str], float]

ROUGE_L, ROUGE_L_CHARACTERS, CHRF, EXACT_MATCH = "rouge_l", "rouge_l_characters", "chrf", "exact_match"
# Languages whose scripts put no spaces between words.
UNSPACED = {"zh", "yue", "wuu", "ja", "th", "lo", "km", "my", "bo", "dz"}
ORDER, BETA = 6, 2  # of chrF: the longest n-gram, and how many times recall weighs as much as precision
KEPT = 50_000  # texts whose tokens are kept; an answer is scored several times, whole and cut


def scored(metric: str, answer: str | None, references: Sequence[str]) -> float:
    """The score of an answer: that for the best of the references, or 0 if there is no answer."""
    if not answer or not answer.strip():
        return 0.0
    return max(METRICS[metric](answer, one) for one in references)


def rouge_l(answer: str, reference: str) -> float:
    """ROUGE-L's F-measure with Porter stemming, as the paper's evaluation has it (section 4.3).

    It equals that of rouge-score to the last bit. rapidfuzz finds the longest common subsequence.
    """
    return _f_measure(_stemmed(answer), _stemmed(reference))


def rouge_l_characters(answer: str, reference: str) -> float:
    """ROUGE-L's F-measure over characters that are not spaces; NFKC, case folded."""
    return _f_measure(_characters(answer), _characters(reference))


def chrf(answer: str, reference: str) -> float:
    """chrF2 of a sentence (Popović 2015): F-measures of n-grams of characters, without spaces.

    Precision and recall are averaged over the orders from 1 to 6 that both texts have, as in sacrebleu.
    """
    ours, theirs = _grams(answer), _grams(reference)
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a and b]
    if not pairs:
        return 0.0
    common = [(sum((a & b).values()), a.total(), b.total()) for a, b in pairs]
    precision = sum(hits / of for hits, of, _ in common) / len(common)
    recall = sum(hits / of for hits, _, of in common) / len(common)
    weighed = BETA**2 * precision + recall
    return 100 * (1 + BETA**2) * precision * recall / weighed if weighed else 0.0


def exact_match(answer: str, reference: str) -> float:
    """100 if both are the same but for case, punctuation and spaces (as Super-NaturalInstructions has it)."""
    return 100.0 * (plain(answer) == plain(reference))


def plain(text: str) -> str:
    """A label without case, punctuation (of any script) and surplus white space."""
    kept = (one for one in text.lower() if one not in _PUNCTUATION and unicodedata.category(one)[0] != "P")
    return " ".join("".join(kept).split())


METRICS: dict[str, Score] = {
    ROUGE_L: rouge_l,
    ROUGE_L_CHARACTERS: rouge_l_characters,
    CHRF: chrf,
    EXACT_MATCH: exact_match,
}


def fitting(language: str) -> list[str]:
    """The metrics for a language: rouge-score knows only the letters a to z, and stems as in English."""
    if is_english(language):
        return [ROUGE_L]
    return [ROUGE_L_CHARACTERS, CHRF] if unspaced(language) else [CHRF]


def scorable(metric: str, reference: str) -> bool:
    """Whether an answer can have a score above 0: rouge-score finds no token in a Greek text."""
    return bool(_stemmed(reference)) if metric == ROUGE_L else bool(reference.strip())


def unspaced(language: str) -> bool:
    """Whether a language (a BCP 47 tag) puts no spaces between words."""
    return re.split("[-_]", language)[0].lower() in UNSPACED


def _f_measure(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> float:
    from rapidfuzz.distance import LCSseq

    if not ours or not theirs:
        return 0.0
    common = LCSseq.similarity(theirs, ours)
    precision, recall = common / len(ours), common / len(theirs)
    return 2 * precision * recall / (precision + recall) * 100 if common else 0.0


@lru_cache(maxsize=KEPT)
def _stemmed(text: str) -> Sequence[Hashable]:
    """The stemmed tokens of rouge-score, each as a number, in the form that rapidfuzz compares fastest."""
    return coded([_number(token) for token in tokenizer("rouge")(text)])


_numbers: dict[str, int] = {}  # of stems


@cache
def _number(token: str) -> int:
    stem = token if len(token) <= 3 else _stemmer()(token)
    return _numbers.setdefault(stem, len(_numbers))


@cache
def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer  # rouge-score brings it, and uses it

    stem: Callable[[str], str] = PorterStemmer().stem
    return stem


@lru_cache(maxsize=KEPT)
def _characters(text: str) -> str:
    return "".join(tokenizer("characters")(text))


@lru_cache(maxsize=KEPT // 10)
def _grams(text: str) -> list[Counter[str]]:
    joined = "".join(text.split())
    return [
        Counter(joined[place : place + size] for place in range(len(joined) - size + 1))
        for size in range(1, ORDER + 1)
    ]


_PUNCTUATION = frozenset(string.punctuation)
