"""ROUGE-L between a text and everything seen before it; usable on its own.

>>> index = RougeLIndex(0.7)
>>> index.add("Write a poem about the sea.", "seed-1")
>>> index.nearest("Write a short poem about the sea.").id
'seed-1'

Scores are rouge-score's F-measure without stemming: 2PR / (P + R), with precision and recall the longest
common subsequence over each length in tokens. Comparison is by rapidfuzz over texts coded as one character a
token, which finds the same subsequence lengths.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True)
class Match:
    """An entry of the index and its ROUGE-L F-measure, from 0 to 1, to the text asked about."""

    id: str
    score: float


@dataclass
class RougeLIndex:
    """Texts to compare with.

    Args:
        threshold: `nearest` gives only entries strictly above it; between 0 and 1.

    Raises:
        ValueError: for a threshold outside (0, 1).
    """

    threshold: float
    _ids: list[str] = field(default_factory=list, repr=False)
    _texts: list[str] = field(default_factory=list, repr=False)
    _codes: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold {self.threshold} is not between 0 and 1")

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, text: str, id: str) -> None:
        """Add a text under a name."""
        self._ids.append(id)
        self._texts.append(self._encode(text))

    def nearest(self, text: str) -> Match | None:
        """The most similar entry strictly above the threshold, the earliest of equals; None if none is."""
        from rapidfuzz.distance import Indel
        from rapidfuzz.process import extract

        query = self._encode(text)
        if not query:
            return None
        # The cutoff lies a little below the threshold: what is strictly above is decided by rouge-score's
        # own arithmetic, whose rounding differs in the last digit.
        cutoff = self.threshold - 1e-9
        hits = extract(
            query, self._texts, scorer=Indel.normalized_similarity, score_cutoff=cutoff, limit=None
        )
        matches = [Match(self._ids[place], _f_measure(query, self._texts[place])) for _, _, place in hits]
        above = [match for match in matches if match.score > self.threshold]
        return max(above, key=lambda match: match.score, default=None)

    def top(self, text: str, k: int) -> list[Match]:
        """The k most similar entries, the most similar first; compares with every entry."""
        query = self._encode(text)
        matches = [
            Match(id, _f_measure(query, other)) for id, other in zip(self._ids, self._texts, strict=True)
        ]
        return sorted(matches, key=lambda match: -match.score)[:k]

    def average(self, text: str) -> float:
        """The mean score over all entries; 0 in an empty index."""
        query = self._encode(text)
        scores = [_f_measure(query, other) for other in self._texts]
        return sum(scores) / len(scores) if scores else 0.0

    def _encode(self, text: str) -> str:
        from rouge_score.tokenize import tokenize

        return "".join(self._code(token) for token in tokenize(text, None))

    def _code(self, token: str) -> str:
        code = self._codes.get(token)
        if code is None:
            number = len(self._codes) + 1
            if number >= _SURROGATES.start:  # surrogates are no characters that rapidfuzz takes
                number += len(_SURROGATES)
            code = self._codes[token] = chr(number)
        return code


def _f_measure(first: str, second: str) -> float:
    """ROUGE-L F-measure of two coded texts, in rouge-score's own order of operations."""
    from rapidfuzz.distance import LCSseq

    common = LCSseq.similarity(first, second)
    if not common:
        return 0.0
    precision, recall = common / len(first), common / len(second)
    return 2 * precision * recall / (precision + recall)
