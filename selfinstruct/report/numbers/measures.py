"""The measures of texts in a report: root verbs or common words, lengths, and diversity."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfinstruct.llm import tokens
from selfinstruct.records import stream
from selfinstruct.report.numbers.histogram import histogram
from selfinstruct.text.common_words import common_words
from selfinstruct.text.diversity import SAMPLE, measures, nearest_of
from selfinstruct.text.tokenizers import counting, is_english, tokenizer
from selfinstruct.text.verbs import parser, sunburst

USUAL = ("instruction", "input", "output", "chosen", "rejected")
WORDS_HOW = "The words that most texts have; articles and other words that are in every text are left out."
TITLES = {
    "distinct_1": "distinct words",
    "distinct_2": "distinct pairs of words",
    "distinct_3": "distinct runs of three words",
    "opening_entropy": "variety of openings, in bits",
    "near_pairs": "texts with a near copy",
    "self_bleu": "self-BLEU",
    "vendi": "Vendi score",
}
COMPARED = 2_000  # texts that are compared with all others, to find near copies
PARSED = 5_000  # texts that a slow parser reads, in 10 to 20 seconds


def verbs_or_words(texts: Sequence[str], language: str, seed: int) -> dict[str, Any]:
    """`verbs` for English texts: the most common root verbs and their objects; `words` for others.

    Args:
        texts: the texts.
        language: their language, as a BCP 47 tag.
        seed: the run's seed, for the draw of the texts that a slow parser reads.
    """
    if not is_english(language):
        words = [{"word": word, "count": count} for word, count in common_words(texts, language)]
        return {"words": {"how": WORDS_HOW, "words": words}}
    read = parser(language)
    how, whole = read.how, len(texts)
    if read.slow and whole > PARSED:
        texts = stream(seed, "verbs").sample(texts, PARSED)
        how += f" It was used on a random sample of {PARSED:,} of the {whole:,} texts."
    drawn = sunburst(read.each(texts))
    verbs = [
        {
            "verb": verb.name,
            "count": verb.count,
            "objects": [{"object": noun, "count": count} for noun, count in verb.objects],
        }
        for verb in drawn.verbs
    ]
    found = {"how": how, "covered": drawn.covered, "paired": drawn.paired, "texts": drawn.texts}
    return {"verbs": {**found, "verbs": verbs}}


def diversity(texts: Sequence[str], language: str, seed: int) -> list[dict[str, Any]]:
    """The measures of diversity that have a value, each with a sentence on how to read it.

    Args:
        texts: the texts.
        language: their language, as a BCP 47 tag.
        seed: the run's seed, for the draw of the texts that are compared with all others.
    """
    drawn = sorted(stream(seed, "near").sample(range(len(texts)), min(COMPARED, len(texts))))
    sizes = {"near_pairs": len(drawn), "self_bleu": min(SAMPLE, len(texts))}
    return [
        {
            "name": one.name,
            "title": TITLES.get(one.name, one.name),
            "value": one.value,
            "how_to_read": one.how_to_read,
            "sample": sizes.get(one.name, len(texts)),
        }
        for one in measures(texts, language, nearest_of(texts, drawn, language))
        if one.value is not None
    ]


@dataclass
class Lengths:
    """Measures the texts of fields.

    Attributes:
        language: the language of the texts, as a BCP 47 tag.
        fields: the fields, in the order in which they are shown.
    """

    language: str
    fields: Sequence[str]

    def __post_init__(self) -> None:
        self._split = tokenizer(counting(self.language))
        self._words, self._tokens = ({name: array("I") for name in self.fields} for _ in range(2))
        self._empty = dict.fromkeys(self.fields, 0)

    def add(self, name: str, text: Any) -> None:
        """Measure a text of a field; an empty one is only counted."""
        if isinstance(text, str):
            if text.strip():
                self._words[name].append(len(self._split(text)))
                self._tokens[name].append(tokens.count(text))
            else:
                self._empty[name] += 1

    def figures(self) -> dict[str, Any]:
        """The histograms of each field that has a text, and how the tokens were counted."""
        return {
            name: {
                "words": histogram(self._words[name]),
                "tokens": histogram(self._tokens[name]),
                "empty": self._empty[name],
                "tokenizer": tokens.method(),
            }
            for name in self._words
            if self._words[name] or self._empty[name]
        }
