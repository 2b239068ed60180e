"""Filters of texts that went wrong during generation: they repeat themselves, or stop too early."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter, text_filter
from selfinstruct.text.tokenizers import unspaced

_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_TAG = re.compile(r"<[^<>\n]{1,200}>")
_TABLE_ROW = re.compile(r"^[ \t]*\|.*$", re.MULTILINE)
_GRAM = 4  # a run of this many words that occurs twice may be part of a repeated phrase


@FILTERS.register
def repetition(
    *,
    field: str,
    times: Annotated[int, Field(ge=3, le=1_000_000)] = 5,
    words: Annotated[int, Field(ge=10, le=1_000_000)] = 30,
    language: str = "en",
) -> Filter:
    """Rejects a text that repeats a phrase many times in a row.

    Numbers between the repetitions do not hide them, and code, tables and tags are left out.

    Args:
        field: the field to look at.
        times: a phrase is repeated too often if it occurs this many times in a row ...
        words: ... and the repetitions have this many words together; a refrain or a laugh is shorter.
        language: the language of the texts, as a BCP 47 tag, which decides what a word is; the recipe's by
            default.
    """
    space = "" if _is_unspaced(language) else " "
    unit = re.compile(r"[^\W\d_]+" if space else r"[^\W\d_]").findall
    again = words - words // times  # this many words of a loop occurred before

    def check(text: str) -> str | None:
        if len(text) < words:
            return None
        found = unit(text)
        if len(found) - len(set(found)) < again or _duplicates(found) < again - _GRAM:
            return None
        loop = _loop(unit(_prose(text)), times, words)
        return None if loop is None else f"says {space.join(loop[0])[:60]!r} {loop[1]} times in a row"

    return text_filter(field, check)


def _is_unspaced(language: str) -> bool:
    """Whether a language (a BCP 47 tag) puts no spaces between words."""
    return re.split("[-_]", language)[0].lower() in {"ja", "zh", "yue", "th", "lo", "km", "my"}


def _duplicates(tokens: list[str]) -> int:
    """How many runs of a few words occur again: a fast check, and near zero for almost every text."""
    grams = list(zip(*(tokens[start:] for start in range(_GRAM)), strict=False))
    return len(grams) - len(set(grams))


def _prose(text: str) -> str:
    """The text without fenced code, rows of tables and tags."""
    outside = _FENCE.split(text)[::2]
    return _TAG.sub(" ", _TABLE_ROW.sub(" ", "\n".join(outside)))


def _loop(tokens: list[str], times: int, words: int) -> tuple[list[str], int] | None:
    """The first phrase that occurs `times` in a row and makes `words` words, and how often it occurs."""
    import numpy as np

    numbers = {token: place for place, token in enumerate(dict.fromkeys(tokens))}
    codes = np.array([numbers[token] for token in tokens])
    for length in range(1, min(len(tokens) // times, 200) + 1):
        differs = np.flatnonzero(codes[length:] != codes[:-length])
        edges = np.concatenate(([-1], differs, [len(codes) - length]))
        runs = np.diff(edges) - 1 + length  # the length of each stretch that repeats itself
        place = int(runs.argmax())
        if runs[place] >= max(words, times * length):
            start = int(edges[place]) + 1
            return tokens[start : start + length], int(runs[place]) // length
    return None


# A bracket after one of these is a smiley, or is only mentioned.
_SPEAKS_OF_IT = (":", ";", "-", "\\", "'", '"', "`", "‘", "“")
_CLOSED = re.compile(r"[.!?…。！？:;)\]}>|\"”“’'»«」』）】*_`~%°€$£¥™®/\\=+-]\Z")
_MARKED = re.compile(r"[ \t]*(?:[-*•+#>|–·]|\(?\w{1,3}[.)]|\S{1,30}:)[ \t]")
_SENTENCE_END = re.compile(r"[a-zß-ÿ0-9)\"”][.!?][\"”)]?\s+[\"“„(]?[A-ZÀ-Þ]")
_GREETING = re.compile(r"[^\W\d_a-z]\w{0,20}(?: \w{1,20}){0,4},")  # a letter may end in "Best regards,"
_MARK = re.compile(r"[.!?][\"”)]?\s")
_LAST_WORD = re.compile(r"(?<!\S)[^\W\d_]{1,20}\Z")


@FILTERS.register
def unfinished(
    *,
    field: str,
    last_words: dict[str, bool],
    words: Annotated[int, Field(ge=1, le=1_000_000)] = 15,
    language: str = "en",
) -> Filter:
    """Rejects a text that stops in the middle.

    Such a text ends with open code, an open bracket or quotation, a comma, or a word that cannot end a
    sentence; or its last paragraph consists of sentences and the last one has no closing mark. Labels,
    titles, lists, tables and verse need no closing mark.

    Args:
        field: the field to look at.
        last_words: word: whether a text that ends with it is unfinished.
        words: a last paragraph with fewer words is not checked for its closing mark or its last word.
        language: the language of the texts, as a BCP 47 tag; the recipe's by default. In a script without
            spaces, only open marks and commas count.
    """
    lasting = {word for word, on in last_words.items() if on}
    spaced = not _is_unspaced(language)

    def check(text: str) -> str | None:
        text = text.rstrip()
        fences = _FENCE.findall(text) if "```" in text or "~~~" in text else []
        if fences:
            return "ends within code" if len(fences) % 2 else None
        last = text[text.rfind("\n") + 1 :]
        if _GREETING.fullmatch(last) and last != text:
            return None
        ending = _open_end(last)
        if ending or not spaced or len(last) < 2 * words or unspaced(last[-1]):
            return ending
        return _unclosed(last, lasting, words)

    return text_filter(field, check)


def _open_end(line: str) -> str | None:
    """The reason why a last line of any kind is unfinished; None if it is not."""
    if line.endswith((",", "、", "，")) and len(line) > 1:
        return f"ends in {line[-1]!r}"
    opened = max(line.rfind(mark) for mark in "([{（【")
    closed = max(line.rfind(mark) for mark in ")]}）】")
    if opened > closed and line[opened - 1 : opened] not in _SPEAKS_OF_IT:
        return f"ends within {line[opened]!r}"
    quote = max(line.rfind(mark) for mark in "„「『")
    if quote >= 0 and max(line.rfind(mark) for mark in '“”"」』') < quote:
        return f"ends within {line[quote]!r}"
    if "„" not in line and line.rfind("“") > max(line.rfind("”"), line.rfind('"')):
        return "ends within '“'"
    return None


def _unclosed(line: str, last_words: set[str], words: int) -> str | None:
    """The reason why a last line of prose is unfinished; None if it is not, or is not prose."""
    if _CLOSED.search(line) or _MARKED.match(line) or len(line.split()) < words:
        return None
    word = _LAST_WORD.search(line[-30:])
    if word and word[0] in last_words:
        return f"ends in {word[0]!r}"
    sentences = _SENTENCE_END.search(line) and len(_MARK.split(line)[-1].split()) >= 3  # fewer may be a name
    if word and sentences:
        return f"ends without a closing mark: {line[-40:]!r}"
    return None
