"""The measures of texts in a report: root verbs or common words, and lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from selfinstruct.report.histogram import histogram
from selfinstruct.text.common_words import common_words
from selfinstruct.text.tokenizers import counting, is_english, tokenizer
from selfinstruct.text.verbs import parser, sunburst

USUAL = ("instruction", "input", "output")
WORDS_HOW = "The words that most texts have; articles and other words that are in every text are left out."


def verbs_or_words(texts: Sequence[str], language: str) -> dict[str, Any]:
    """`verbs` for English texts: the most common root verbs and their objects; `words` for others."""
    if not is_english(language):
        words = [{"word": word, "count": count} for word, count in common_words(texts, language)]
        return {"words": {"how": WORDS_HOW, "words": words}}
    read = parser(language)
    drawn = sunburst(read.pairs(texts))
    verbs = [
        {
            "verb": verb.name,
            "count": verb.count,
            "objects": [{"object": noun, "count": count} for noun, count in verb.objects],
        }
        for verb in drawn.verbs
    ]
    found = {"how": read.how, "covered": drawn.covered, "paired": drawn.paired, "texts": drawn.texts}
    return {"verbs": {**found, "verbs": verbs}}


@dataclass
class Lengths:
    """Measures the texts of fields.

    Attributes:
        language: the language of the texts, as a BCP 47 tag.
    """

    language: str
    words: dict[str, list[int]] = field(default_factory=dict)
    empty: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._words = tokenizer(counting(self.language))

    def add(self, name: str, text: Any) -> None:
        """Measure a text of a field; an empty one is only counted."""
        if isinstance(text, str):
            lengths = self.words.setdefault(name, [])
            if text.strip():
                lengths.append(len(self._words(text)))
            else:
                self.empty[name] = self.empty.get(name, 0) + 1

    def figures(self) -> dict[str, Any]:
        """The histograms of each field."""
        return {
            name: {"words": histogram(words), "empty": self.empty.get(name, 0)}
            for name, words in self.words.items()
        }
