"""Filters of one text: its length, its words, its first and last characters (METHOD of arXiv 2212.10560)."""

from __future__ import annotations

import re
import string
from typing import Annotated, Any

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter, text_filter
from selfinstruct.records import Record, Rejection
from selfinstruct.safety.expressions import Expression, Pattern
from selfinstruct.safety.screens import screen_of
from selfinstruct.text.tokenizers import TokenizerName, counting, unspaced
from selfinstruct.text.tokenizers import tokenizer as by_name


@FILTERS.register
def empty(*, field: str) -> Filter:
    """Rejects a text without a visible character.

    Args:
        field: the field to look at.
    """
    return text_filter(field, lambda text: None if text.strip() else f"{field} is empty")


@FILTERS.register
def word_count(
    *,
    field: str,
    minimum: Annotated[int, Field(ge=0, le=10**9)] = 0,
    maximum: Annotated[int, Field(ge=1, le=10**9)] = 10**9,
    tokenizer: TokenizerName | None = None,
    language: str = "en",
) -> Filter:
    """Rejects a text with fewer words than `minimum` or more than `maximum`.

    Args:
        field: the field to look at.
        minimum: the fewest words that pass.
        maximum: the most words that pass.
        tokenizer: how words are counted; null for the language's way: in English the text between spaces, as
            in the original; in other languages the words that `rouge_l` compares, which are single characters
            in a script without spaces.
        language: the language of the texts, as a BCP 47 tag; the recipe's by default.
    """
    if minimum > maximum:
        raise ValueError(f"minimum ({minimum}) is more than maximum ({maximum})")
    tokens = by_name(tokenizer or counting(language))

    def check(text: str) -> str | None:
        words = len(tokens(text))
        if words < minimum:
            return f"{words} words, fewer than {minimum}"
        return f"{words} words, more than {maximum}" if words > maximum else None

    return text_filter(field, check)


@FILTERS.register
def banned_words(*, field: str, words: dict[str, bool]) -> Filter:
    """Rejects a text that has one of the words as a whole word, in upper or lower case.

    In scripts without spaces between words, it may be anywhere.

    Args:
        field: the field to look at.
        words: word: whether it is banned; `words.map=false` allows a word again.
    """
    banned = [word for word, on in words.items() if on]
    if not banned:
        return text_filter(field, lambda text: None)
    pattern = re.compile("|".join(map(_whole, banned)), re.IGNORECASE)
    excludes = screen_of(f"(?i){pattern.pattern}").excludes

    def check(text: str) -> str | None:
        found = None if excludes(text) else pattern.search(text)
        return f"has the banned word {found[0]!r}" if found else None

    return text_filter(field, check)


def _whole(word: str) -> str:
    """A pattern that matches the word only as a whole word, if its script separates words."""
    before, after = ("" if unspaced(end) else r"\b" for end in (word[:1], word[-1:]))
    return f"{before}{re.escape(word)}{after}"


@FILTERS.register
def starts_with(*, field: str, text: str, ignore_case: bool = True) -> Filter:
    """Rejects a text that begins with a given text.

    Args:
        field: the field to look at.
        text: the text with which it must not begin.
        ignore_case: whether upper and lower case are the same.
    """
    flags = re.IGNORECASE if ignore_case else 0
    begins = re.compile(re.escape(text), flags).match
    return text_filter(field, lambda value: f"starts with {text!r}" if begins(value) else None)


@FILTERS.register
def first_character_punctuation(*, field: str) -> Filter:
    """Rejects a text that begins with ASCII punctuation.

    Args:
        field: the field to look at.
    """

    def check(text: str) -> str | None:
        return f"starts with {text[0]!r}" if text and text[0] in string.punctuation else None

    return text_filter(field, check)


@FILTERS.register
def first_character_ascii(*, field: str) -> Filter:
    """Rejects a text that begins with a character outside ASCII; only for English.

    Args:
        field: the field to look at.
    """

    def check(text: str) -> str | None:
        return f"starts with {text[0]!r}, not ASCII" if text and not text[0].isascii() else None

    return text_filter(field, check)


@FILTERS.register
def ends_with(*, text: str, fields: list[str]) -> Filter:
    """Rejects a record if one of the fields ends with a given text.

    Args:
        text: the text with which no field may end.
        fields: the fields to look at.
    """

    def each(record: Record) -> Rejection | None:
        for field in fields:
            if str(record.data.get(field, "")).strip().endswith(text):
                return Rejection(f"{field} ends with {text!r}")
        return None

    return Filter(each=each, fields=tuple(fields))


@FILTERS.register
def matches(*, field: str, pattern: Pattern, reject: bool = True) -> Filter:
    """Rejects a text in which a regular expression is found; with `reject: false`, one in which it is not.

    Args:
        field: the field to look at.
        pattern: a Python regular expression; it may match anywhere in the text.
        reject: false reverses the check: a text without a match is rejected.
    """
    search = Expression(pattern).search

    def check(text: str) -> str | None:
        found = search(text)
        if bool(found) is not reject:
            return None
        return f"has {found[0][:60]!r}" if found else f"has nothing that matches {pattern!r}"

    return text_filter(field, check)


@FILTERS.register
def equal(*, fields: Annotated[list[str], Field(min_length=2, max_length=2)]) -> Filter:
    """Rejects a record if two of its fields are the same.

    Args:
        fields: the two fields.
    """
    first, second = fields

    def each(record: Record) -> Rejection | None:
        same = record.data[first] == record.data.get(second, "")
        return Rejection(f"{first} and {second} are the same") if same else None

    return Filter(each=each, fields=(first, second))


@FILTERS.register
def has_value(*, field: str, values: Annotated[list[Any], Field(min_length=1)]) -> Filter:
    """Rejects a record in which a field has one of the given values.

    Args:
        field: the field to look at.
        values: the values that it must not have.
    """

    def each(record: Record) -> Rejection | None:
        found = record.data.get(field)
        same = any(type(value) is type(found) and value == found for value in values)
        return Rejection(f"{field} is {found!r}") if same else None

    return Filter(each=each, fields=(field,))


@FILTERS.register
def below(*, field: str, minimum: Annotated[float, Field(ge=-(10**15), le=10**15)]) -> Filter:
    """Rejects a record in which a number is too low; a value that is not a number passes.

    Args:
        field: the field to look at.
        minimum: the lowest number that passes.
    """

    def each(record: Record) -> Rejection | None:
        found = record.data.get(field)
        if isinstance(found, bool) or not isinstance(found, int | float) or found >= minimum:
            return None
        return Rejection(f"{field} is {found:g}, below {minimum:g}", {"score": found})

    return Filter(each=each, fields=(field,))
