"""Lengths of answers, and answers cut to a length: length moves a score as much as content does.

An answer can be cut, not stretched. So length is held equal in two ways, each of which answers one question:

- at the references' length: what is the score without the words beyond as many as the reference has? This
  takes away what a long-winded answer loses. A short answer stays as it is.
- at equal length, for two models: of the first words, as many as the shorter of the two answers has, whose
  agree more with the references? Then both texts have the same length, and so have the references, so only
  the words in common differ. It favours the shorter answer, since the longer one was not written to end
  there: a gain of the longer answer that is left here is real, a loss may come from its first sentence.
  Tasks that one of the two did not answer are left out, since nothing can be cut to no words.

The unit is a word, and for a language without spaces a character.
"""

from __future__ import annotations

import re

from selfinstruct.evaluate.metrics import unspaced

WORDS, CHARACTERS = "words", "characters"


def unit_of(language: str) -> str:
    """The unit of length for a language."""
    return CHARACTERS if unspaced(language) else WORDS


def length(text: str | None, unit: str) -> int:
    """The length of a text; spaces between characters do not count."""
    words = (text or "").split()
    return len(words) if unit == WORDS else sum(map(len, words))


def cut(text: str, most: int, unit: str) -> str:
    """The beginning of a text, with at most so many words or characters."""
    if length(text, unit) <= most:
        return text
    if unit == WORDS:
        return " ".join(text.split()[:most])
    found = re.match(rf"(?:\s*\S){{{most}}}", text)
    return found[0] if found else text
