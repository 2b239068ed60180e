"""The filter that checks whether an answer keeps to the passage that it was asked about."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Annotated, Any

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import Record, Rejection
from selfinstruct.text.tokenizers import tokenizer, unspaced

SHOWN = 20  # words in a detail
DETAILS = {
    "within_passage": "the share of the answer's content words that are in the passage: 0 to 1",
    "not_in_passage": "the content words of the answer that are not in the passage",
}


@FILTERS.register
def within_passage(
    *,
    field: str = "output",
    sources: list[str] = ["passage"],  # noqa: B006  # options are read, never changed
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5,
    prefix_length: Annotated[int, Field(ge=0, le=1_000_000)] = 4,
    stop_words: str = "",
) -> Filter:
    """Rejects an answer with too few of its content words in the passage.

    A content word is any word except stop words; a number always is one. In scripts without spaces it is two
    characters in a row, neither of them a stop word or hiragana, which is mostly grammar. The filter finds
    answers that bring in other things, but not answers that combine the passage's words wrongly; use a label
    stage to judge those. The share and the missing words are kept with the record.

    Args:
        field: the field that holds the answer.
        sources: the fields that may contain its words.
        threshold: the lowest share of its content words that passes; an answer without content words, such as
            "yes", passes.
        prefix_length: words are the same if this many first letters are, since their endings differ; 0
            compares whole words. Numbers are always compared whole.
        stop_words: words without content, separated by spaces.
    """
    tokens = tokenizer("unicode")
    stops = {token for word in stop_words.split() for token in tokens(word)}

    def each(record: Record) -> Rejection | None:
        given = (word for name in sources for word in _content(tokens(_text(record, name)), set()))
        there = {_stem(word, prefix_length) for word in given}
        words = list(_content(tokens(_text(record, field)), stops))
        missing = [word for word in words if _stem(word, prefix_length) not in there]
        share = round(1 - len(missing) / len(words), 3) if words else 1.0
        detail: dict[str, Any] = {"within_passage": share}
        if missing:
            detail["not_in_passage"] = list(dict.fromkeys(missing))[:SHOWN]
        if share < threshold:
            others = ", ".join(detail["not_in_passage"][:5])
            reason = f"{share:.0%} of its content words are in the passage; not there: {others}"
            return Rejection(reason, detail)
        record.detail.update(detail)
        return None

    return Filter(each=each, fields=(field, *sources), tells=DETAILS)


def _text(record: Record, name: str) -> str:
    return str(record.data.get(name, ""))


def _stem(word: str, letters: int) -> str:
    return word[:letters] if letters and word.isalpha() and not unspaced(word[0]) else word


def _content(tokens: list[str], stops: set[str]) -> Iterator[str]:
    """The content words of a text; in a script without spaces, each two characters in a row."""
    for one, after in zip_longest(tokens, tokens[1:], fillvalue=""):
        if not unspaced(one[0]):
            if one not in stops and (len(one) > 1 or one.isdigit()):  # no letter after an apostrophe
                yield one
        elif (
            after
            and unspaced(after[0])
            and not any(token in stops or _hiragana(token) for token in (one, after))
        ):
            yield one + after


def _hiragana(character: str) -> bool:
    return "\u3041" <= character[0] <= "\u309f"
