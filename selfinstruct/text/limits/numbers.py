"""Numbers in digits and in words, from 1 to a few thousand."""

# ruff: noqa: E501, SIM905 (lists of words are read and changed more easily as text)

from __future__ import annotations

import re

_EN_ONES = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_EN_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_DE_ONES = (
    "ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn "
    "achtzehn neunzehn"
).split()
_DE_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
_CJK = dict(zip("〇一二三四五六七八九", range(10), strict=True)) | {"两": 2, "両": 2}
_CJK_TENS = {"十": 10, "百": 100, "千": 1000}


def _english() -> dict[str, int]:
    known = {word: number for number, word in enumerate(_EN_ONES, 1)} | {"a single": 1, "a dozen": 12}
    for place, ten in enumerate(_EN_TENS):
        known[ten] = 20 + 10 * place
        known |= {f"{ten}-{one}": known[ten] + number for number, one in enumerate(_EN_ONES[:9], 1)}
    hundreds = {f"{one} hundred": 100 * number for number, one in enumerate(_EN_ONES[:9], 1)}
    return known | hundreds | {"a hundred": 100, "hundred": 100, "a thousand": 1000, "one thousand": 1000}


def _german() -> dict[str, int]:
    known = {word: number for number, word in enumerate(_DE_ONES, 1)}
    known |= dict.fromkeys(("eine", "einen", "einem", "einer", "einzigen", "einem einzigen"), 1)
    known |= {"zweien": 2, "dreien": 3, "ein dutzend": 12}
    for place, ten in enumerate(_DE_TENS):
        known[ten] = 20 + 10 * place
        known |= {f"{one}und{ten}": known[ten] + number for number, one in enumerate(_DE_ONES[:9], 1)}
    hundreds = {f"{one}hundert": 100 * number for number, one in enumerate(_DE_ONES[:9], 1)}
    return known | hundreds | {"hundert": 100, "tausend": 1000, "eintausend": 1000}


ENGLISH, GERMAN = _english(), _german()
DIGITS = r"\d{1,3}(?:[,.]\d{3})(?!\d)|\d{1,5}(?![\d.,]\d|%|:\d)"


def words(known: dict[str, int]) -> str:
    """A pattern for digits and for these words, the longest first."""
    return rf"(?<![\w.,])(?:{DIGITS}|(?i:{'|'.join(sorted(known, key=len, reverse=True))}))(?!\w)"


CHINESE = (
    rf"(?:(?<![\d.,第]){DIGITS}|(?<![第一二两三四五六七八九十百千])[一二两両三四五六七八九十百千]{{1,6}})"
)


def english(text: str) -> int | None:
    """The value of digits or an English number."""
    return _digits(text) or ENGLISH.get(text.lower())


def german(text: str) -> int | None:
    """The value of digits or a German number."""
    return _digits(text) or GERMAN.get(text.lower())


def chinese(text: str) -> int | None:
    """The value of digits or a number in Chinese characters, as Chinese and Japanese write it.

    >>> chinese("二十五"), chinese("一百二十"), chinese("两百"), chinese("十")
    (25, 120, 200, 10)
    """
    if (number := _digits(text)) is not None:
        return number
    total = digit = 0
    for character in text:
        if character in _CJK_TENS:
            total += (digit or 1) * _CJK_TENS[character]
            digit = 0
        else:
            digit = 10 * digit + _CJK[character]
    return total + digit or None


def _digits(text: str) -> int | None:
    joined = re.sub("[.,]", "", text)
    return int(joined) if joined.isascii() and joined.isdigit() else None
