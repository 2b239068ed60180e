"""Tokenizers by name: they split texts into words, to compare and measure them.

A recipe's language picks one (`comparing`, `counting`); an option `tokenizer` names another. To add one,
write a factory here that returns a function from a text to its tokens, and register it. The factory is called
each time the tokenizer is named.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator

from selfinstruct.errors import Fault
from selfinstruct.registry import Registry, misnamed

Tokenizer = Callable[[str], list[str]]

TOKENIZERS: Registry[Tokenizer] = Registry("tokenizer", (), "tokenizers", Callable)

# Scripts that put no spaces between words: Thai, Lao, Myanmar, Khmer, Balinese, Tai, Javanese, Yi, kana,
# bopomofo and the Chinese characters of all planes (blocks of the Unicode standard).
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f\u3005-\u3007\u3021-\u3029"
    "\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua980-\ua9ff\uaa60-\uaadf"
    "\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)


def tokenizer(name: str) -> Tokenizer:
    """The tokenizer with this name.

    Raises:
        ValueError: if no tokenizer has that name (the message has the nearest name), or if it is a plug-in's
            and cannot be used.
    """
    faults: list[Fault] = []
    made = TOKENIZERS.build(name, {}, "", faults)
    if made is None:
        raise misnamed(faults[0])
    return made


def known(name: str) -> str:
    """The name itself if there is such a tokenizer; raises ValueError as `tokenizer` does."""
    tokenizer(name)
    return name


class _Names:
    """Puts the known names into the JSON Schema."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return {"enum": TOKENIZERS.names()}


# An option of a filter that names a tokenizer.
TokenizerName = Annotated[str, AfterValidator(known), _Names()]


def comparing(language: str) -> str:
    """The tokenizer for comparing texts of a language (a BCP 47 tag).

    For English it is rouge-score's own, as in the original, which finds no token in a Chinese or Greek text.
    """
    return "rouge" if is_english(language) else "unicode"


def counting(language: str) -> str:
    """The tokenizer for counting the words of texts of a language.

    For English it splits at spaces, as in the original; for other languages it is the one for comparing.
    """
    return "spaces" if is_english(language) else comparing(language)


def is_english(language: str) -> bool:
    """Whether a language (a BCP 47 tag) is English, of whatever country."""
    return re.split("[-_]", language)[0].lower() == "en"


def unspaced(character: str) -> bool:
    """Whether a character belongs to a script that puts no spaces between words."""
    return re.match(f"[{_UNSPACED}]", character) is not None


@TOKENIZERS.register
def rouge() -> Tokenizer:
    """Runs of a-z and 0-9 after lower-casing: rouge-score's own tokenizer, without stemming."""
    runs = re.compile("[a-z0-9]+").findall
    return lambda text: runs(text.lower())


@TOKENIZERS.register
def unicode() -> Tokenizer:
    """Words of any script; in scripts without spaces, each character is a token; NFKC, case folded."""
    ascii_words = re.compile("[a-z0-9]+").findall

    def tokens(text: str) -> list[str]:
        folded = _fold(text)
        return ascii_words(folded) if folded.isascii() else _words().findall(folded)

    return tokens


@TOKENIZERS.register
def characters() -> Tokenizer:
    """Each character that is not a space; NFKC, case folded."""
    return lambda text: list("".join(_fold(text).split()))


@TOKENIZERS.register
def spaces() -> Tokenizer:
    """The text between whitespace, unchanged."""
    return str.split


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


@lru_cache(maxsize=1)
def _words() -> re.Pattern[str]:
    """A pattern for words: letters and digits with their marks, one by one in scripts without spaces.

    The marks are collected here, since Python's `\\w` leaves them out, and with them the vowels of India's
    scripts. They are written as ranges, since a set of two thousand single marks is ten times as slow.
    """
    marks = [code for code in range(0x300, sys.maxunicode) if unicodedata.category(chr(code))[0] == "M"]
    known = set(marks)
    first = [code for code in marks if code - 1 not in known]
    last = [code for code in marks if code + 1 not in known]
    ranges = "".join(f"{chr(one)}-{chr(end)}" for one, end in zip(first, last, strict=True))
    return re.compile(rf"(?=\w)[{_UNSPACED}][{ranges}]*|(?:[^\W_{_UNSPACED}]+[{ranges}]*)+")
