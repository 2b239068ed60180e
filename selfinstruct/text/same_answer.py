"""Whether two answers to the same task say the same. Usable on its own.

>>> key("The answer is **1,000.0**."), key("1000"), key("Yes, because it is even.")
('1000', '1000', 'yes')

Labels, numbers and short answers are compared by their key: without case, punctuation and articles, with one
form for each number, and only the final answer if the text names one. How longer answers are compared is up
to the caller: `in_words` compares them by ROUGE-L.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

from selfinstruct.text.limits import numbers
from selfinstruct.text.tokenizers import tokenizer, unspaced

SHORT = (
    8  # words of an answer that is compared by its key; twice as many characters in scripts without spaces
)

# What comes before a final answer, which is the rest of its line.
_FINAL = re.compile(
    r"(?i)(?:\bfinal\s+answer|\b(?:the\s+)?(?:correct\s+)?answer(?:\s+is)?|\bclass\s+label|\blabel|\bresult(?:\s+is)?|"
    r"\b(?:die\s+)?(?:richtige\s+)?antwort(?:\s+(?:ist|lautet))?|\b(?:das\s+)?ergebnis(?:\s+ist)?|答え(?:は)?|正解(?:は)?|"
    r"回答|答案(?:是|为)?|结果(?:是|为)?)\s*(?:[:：]|(?<=is)|(?<=ist)|(?<=lautet)|(?<=は)|(?<=[是为]))\s*(?P<rest>[^\n]*\S)"
)
_BOXED = re.compile(r"\\boxed\{([^{}]{1,200})\}|(?m:^#### ?(.{1,200})$)")
_VERDICT = re.compile(
    r"(yes|no|true|false|correct|incorrect|ja|nein|richtig|falsch|wahr|はい|いいえ|是|否|不是|对|错|正确|错误)"
    r"\s*(?:[,，.。;；:：、!]|[-–—]\s|$)"
)
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d[\d.,]*(?:/\d+)?")
_CHINESE_NUMBER = re.compile(r"[一二三四五六七八九]?[十百千][一二三四五六七八九十百]*")
# Punctuation, but not what belongs to a number, a fraction or a name such as C++ and C#.
_MARKS = re.compile(r"\.(?!\d)|(?<!\d)\.|[^\w\s.%/+#-]|(?<!\d)/|/(?!\d)|(?<!\w)#|_")
_LOOSE = re.compile(r"(?<![\w+])[-+](?!\d)|(?<=\w)-")
_ARTICLE = re.compile(r"^(?:an?|the|eine?|einen|der|die|das)\s+")
_ENDING = re.compile(r"(?:です|だ|である|になります|となります|でした)$")


def key(text: str, language: str = "en") -> str:
    """The text in the form in which answers are compared.

    Args:
        text: the answer.
        language: its language, as a BCP 47 tag; German writes numbers with other signs.
    """
    folded = unicodedata.normalize("NFKC", final(text)).casefold().strip(" \t\n*_`\"'“”„«»「」『』()[]")
    verdict = _VERDICT.match(folded)
    if verdict:
        return verdict[1]
    german = language[:2].lower() == "de"
    folded = _NUMBER.sub(lambda found: _number(found[0], german), folded)
    bare = _LOOSE.sub(" ", _MARKS.sub(" ", folded))
    words = _ARTICLE.sub("", " ".join(bare.split()))
    if any(map(unspaced, words)):
        words = _CHINESE_NUMBER.sub(lambda found: str(numbers.chinese(found[0])), words)
        words = _ENDING.sub("", words.replace(" ", ""))
    value = numbers.ENGLISH.get(words) or numbers.GERMAN.get(words)  # "four" and "4"
    return str(value) if value else words


def final(text: str) -> str:
    """The final answer, if the text names one; else the whole text."""
    boxed = list(_BOXED.finditer(text))
    if boxed:
        return boxed[-1][1] or boxed[-1][2] or text
    found = list(_FINAL.finditer(text))
    return found[-1]["rest"] if found else text.strip()


Alike = Callable[[str, str], bool]


def agreeing(answers: Sequence[str], alike: Alike, language: str = "en") -> list[list[bool]]:
    """For each two of some answers, whether they say the same.

    Args:
        answers: the answers.
        alike: whether two long answers say the same.
        language: their language, as a BCP 47 tag.
    """
    keys = [key(answer, language) for answer in answers]
    short = [_is_short(one) for one in keys]

    def same(one: int, two: int) -> bool:
        if keys[one] == keys[two]:
            return True
        return not (short[one] or short[two]) and alike(answers[one], answers[two])

    found = [[True] * len(answers) for _ in answers]
    for one in range(len(answers)):
        for two in range(one):
            found[one][two] = found[two][one] = same(one, two)
    return found


def in_words(threshold: float) -> Alike:
    """Whether two long answers say the same in nearly the same words: by this ROUGE-L F-measure or above."""
    return lambda one, two: _f_measure(_tokens()(one), _tokens()(two)) >= threshold


def is_long(answer: str, language: str = "en") -> bool:
    """Whether an answer is too long to be compared by its key alone."""
    return not _is_short(key(answer, language))


def _is_short(words: str) -> bool:
    pieces = _tokens()(words)
    return len(pieces) <= (2 * SHORT if any(unspaced(piece[0]) for piece in pieces) else SHORT)


@lru_cache
def _tokens() -> Callable[[str], list[str]]:
    return tokenizer("unicode")


def _number(text: str, german: bool) -> str:
    """One form for a number: no signs for thousands, no zeros at the end of a fraction."""
    sign = "-" if text[0] in "-−" else ""
    digits = text.lstrip("-−")
    thousands, point = (r"\.", ",") if german else (",", ".")
    if re.fullmatch(rf"\d{{1,3}}(?:{thousands}\d{{3}})+(?:\{point}\d+)?[.,]?", digits):
        digits = re.sub(thousands, "", digits)
    digits = digits.rstrip(".,")
    if german:
        digits = digits.replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", digits):
        digits = digits.rstrip("0").rstrip(".")
    digits = digits.lstrip("0")
    return sign + (digits if digits[:1].isdigit() else f"0{digits}")


def _f_measure(first: list[str], second: list[str]) -> float:
    from rapidfuzz.distance import LCSseq

    if not first or not second:
        return 0.0
    return 2 * LCSseq.similarity(first, second) / (len(first) + len(second))
