"""The most common words of texts in any language, for languages without a parser. Usable on its own.

>>> common_words(["Schreibe ein Gedicht.", "Ein Gedicht, bitte!"], "de", most=1)
[('gedicht', 2)]

Words are those of the tokenizer for comparing. Chinese and Japanese put no spaces between words; there, each
pair of neighbouring Chinese characters counts as a word, as in many search engines, and each run of katakana.
Hiragana do not count, since they are mostly grammar. `text.stop_words` has the words that are left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

from selfinstruct.text.stop_words import STOP_WORDS
from selfinstruct.text.tokenizers import comparing, tokenizer

_LONGEST = 2000  # characters of a text
_RUNS = re.compile("[ァ-ヺー]{2,}|[㐀-䶿一-鿿々\U00020000-\U0003ffff]{2,}")
_UNSPACED = ("ja", "zh", "yue")


def common_words(texts: Iterable[str], language: str, most: int = 20) -> list[tuple[str, int]]:
    """The words that most texts have, each with the number of texts that have it.

    Equally common words come in the order of the alphabet. Of a long text, the first 2,000 characters count.

    Args:
        texts: the texts.
        language: their language, as a BCP 47 tag.
        most: the number of words.
    """
    main = re.split("[-_]", language)[0].lower()
    left_out = STOP_WORDS.get(main, frozenset())
    tokens = tokenizer(comparing(language))
    counts: Counter[str] = Counter()
    for text in texts:
        cut = text[:_LONGEST]
        words = _runs(cut) if main in _UNSPACED else (word for word in tokens(cut) if not word.isdigit())
        counts.update({word for word in words if word not in left_out})
    return most_common(counts, most)


def most_common(counts: Counter[str], most: int) -> list[tuple[str, int]]:
    """The entries with the highest counts; of equal counts, by the alphabet."""
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:most]


def _runs(text: str) -> Iterator[str]:
    """Runs of katakana, and each pair of neighbouring Chinese characters."""
    for run in _RUNS.findall(unicodedata.normalize("NFKC", text)):
        if "ァ" <= run[0] <= "ー":
            yield run
        else:
            yield from (run[place : place + 2] for place in range(len(run) - 1))
