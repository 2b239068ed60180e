"""Filters of outputs that do not answer: refusals, unfilled placeholders, echoes of the question."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Patterns, any_of, compiled, found_in, likely, value
from selfinstruct.records import Record, Rejection
from selfinstruct.text.tokenizers import comparing, tokenizer

# A sentence begins after this, or at the start. After a speaker's name or a quotation mark, it is speech in a
# story.
_SENTENCE = re.compile(r"(?:\n|[.!?] |[。！？])[ *_]{0,3}")
_LETTER = re.compile(r"[^\W_]")
_START = re.compile(r"[\s\"“”„«»'‘’「『*_#>-]{0,20}")


@FILTERS.register
def refusal(
    *,
    field: str,
    beginnings: Patterns,
    self_references: Patterns,
    asked: Patterns,
    instruction: str | None = "instruction",
) -> Filter:
    """Rejects a text in which the model refuses, or talks about being a model.

    Args:
        field: the field to look at.
        beginnings: name: the beginning of a refusal, matched at the start of the text.
        self_references: name: a model's words about itself, matched at the start of any sentence.
        asked: name: words of an instruction that asks for a text which may begin like a refusal, such as an
            answer to a customer; `beginnings` is then ignored.
        instruction: the field of the instruction; null if records have none.
    """
    begins, asking, says = compiled(beginnings), compiled(asked), compiled(self_references)
    # A text has many sentences, so the patterns are tried together first.
    speaks, refuses = any_of(self_references).match, any_of(beginnings).match

    def each(record: Record) -> Rejection | None:
        text = value(record, field)
        opening = _START.match(text)
        start = opening.end() if opening else 0
        for name, pattern in begins if refuses(text, start) else ():
            found = pattern.match(text, start)
            if found and not found_in(asking, value(record, instruction)):
                return Rejection(f"{field} begins with {found[0][:60]!r} ({name})")
        for sentence in (0, *(mark.end() for mark in _SENTENCE.finditer(text))):
            for name, pattern in says if speaks(text, sentence) else ():
                found = pattern.match(text, sentence)
                if found:
                    return Rejection(f"{field} has {found[0][:60]!r} ({name})")
        return None

    return Filter(each=each, fields=(field, instruction) if instruction else (field,))


@FILTERS.register
def placeholder(
    *,
    fields: dict[str, list[str]],
    patterns: Patterns,
    asked: Patterns,
    instruction: str | None = "instruction",
) -> Filter:
    """Rejects a text with a placeholder that somebody still has to fill in.

    Args:
        fields: field: the fields that it answers or uses; if one of them has a placeholder, it may have some
            too.
        patterns: name: the form of a placeholder.
        asked: name: words of an instruction that asks for a template.
        instruction: the field of the instruction; null if records have none.
    """
    searched, asking = compiled(patterns), compiled(asked)

    def each(record: Record) -> Rejection | None:
        for field, given in fields.items():
            text = value(record, field)
            for name, pattern in likely(searched, text) if text else ():
                found = pattern.search(text)
                if not found:
                    continue
                followed = any(found_in(searched, value(record, other)) for other in given)
                if not followed and not found_in(asking, value(record, instruction)):
                    return Rejection(f"{field} has the placeholder {found[0][:60]!r} ({name})")
        return None

    known = dict.fromkeys([*fields, *(name for names in fields.values() for name in names)])
    return Filter(each=each, fields=tuple({**known, **({instruction: None} if instruction else {})}))


@FILTERS.register
def echo(
    *,
    field: str,
    sources: dict[str, Literal["ignore_case_and_punctuation", "ignore_spacing"]],
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None,
    language: str = "en",
) -> Filter:
    """Rejects a text that only repeats another field.

    Args:
        field: the field to look at.
        sources: field that it may repeat: how the two are compared. `ignore_case_and_punctuation`: only by
            their letters and digits; `ignore_spacing`: by everything except spacing, since the task may be to
            correct case and punctuation.
        threshold: also reject a text with at least this ROUGE-L F-measure; null for no such comparison.
        language: the language of the texts, as a BCP 47 tag; the recipe's by default.
    """
    folds = {"ignore_case_and_punctuation": _letters, "ignore_spacing": _spacing}
    tokens = tokenizer(comparing(language))

    def each(record: Record) -> Rejection | None:
        text = value(record, field)
        for other, same in sources.items():
            source = value(record, other)
            if not source or not text:
                continue
            if _same_start(text, source) and (folded := folds[same](text)) and folded == folds[same](source):
                return Rejection(f"{field} only repeats the {other}")
            score = _f_measure(tokens(text), tokens(source)) if threshold else 0.0
            if threshold and score >= threshold:
                return Rejection(f"ROUGE-L {score:.3f} of {field} to {other}, {threshold} or more")
        return None

    return Filter(each=each, fields=(field, *sources))


def _same_start(first: str, second: str) -> bool:
    """Whether the first letters agree: a fast check that spares most texts the full comparison."""
    starts = [_LETTER.search(text) for text in (first, second)]
    return len({start[0].casefold() if start else "" for start in starts}) == 1


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def _spacing(text: str) -> str:
    return "".join(text.split())


def _f_measure(first: list[str], second: list[str]) -> float:
    from rapidfuzz.distance import LCSseq

    if not first or not second:
        return 0.0
    return 2 * LCSseq.similarity(first, second) / (len(first) + len(second))
