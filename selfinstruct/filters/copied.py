"""The filter of texts that a model copied from its prompt instead of writing an answer.

A model that does not know what to write repeats parts of the prompt: the examples, the rules, the
placeholders in the form of the reply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from operator import or_
from typing import Annotated

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import value
from selfinstruct.prompts.asked import fixed_parts, forms, prescribed
from selfinstruct.prompts.templates import Prompt
from selfinstruct.records import Asked, Part, Record, Rejection
from selfinstruct.text.copies import Copies, Few, Words

SHOWN = 100  # characters of a copied text in a detail
FORM = "the form of the reply"
PIECES = 2  # times as many words if they are from several parts, which share many stock phrases
_ANY = ""  # in a form, matches the word that counts: first, second, ...


@FILTERS.register
def copied(
    *,
    fields: Annotated[list[str], Field(min_length=1)],
    share: Annotated[float, Field(gt=0, le=1)] = 0.6,
    least: Annotated[int, Field(ge=1, le=1_000_000)] = 5,
    run: Annotated[int, Field(ge=2, le=1_000_000)] = 4,
    stand_ins: dict[str, bool] = {},  # noqa: B006  # options are read, never changed
) -> Filter:
    """Rejects a record if one of its fields is copied from its prompt, wholly or mostly.

    The prompt's text is its examples, its rules, its own lines and its system message. A record may quote its
    subject: the fields of the record that the prompt asks about, and the fields before it in `fields`. It may
    also be an answer that a rule gives in quotation marks. Placeholders in the form of the reply ("the
    answer") are rejected at any length. Case, punctuation and spacing make no difference. In scripts without
    spaces two characters are a word.

    Args:
        fields: the fields to look at.
        share: the share of a field's words that must be in the prompt for a rejection.
        least: a field with fewer words passes, such as a label, a number or a name. So does a field if its
            words from the prompt do not outnumber its other words by at least this many.
        run: how many words in a row must be the same; a shorter match counts as chance.
        stand_ins: words: whether they are a placeholder in any prompt's form; if so, they are rejected even
            if this prompt's own form has other ones.
    """
    usual = [words for words, on in stand_ins.items() if on]
    check = _Check(fields, share, 2 * least, run, usual)
    return Filter(each=check.each, fields=tuple(fields))


@dataclass(frozen=True)
class _Text:
    """Parts of a prompt, prepared for comparison; `parts` is called for a text that has a match."""

    parts: Callable[[], Sequence[Part]]
    copies: Copies | Few


class _Form:
    """The placeholders in a prompt's form of the reply.

    A record's text also counts as one if it adds a few words from the prompt ("the first task of the set"),
    or continues the count ("the third task").
    """

    def __init__(self, groups: Iterable[list[str]], known: set[str]) -> None:
        self._known = known
        forms: list[tuple[str, ...]] = []
        for texts in groups:
            words = [tokens for text in texts if len(tokens := Words(text).tokens) > 1]
            forms += words
            for one, two in combinations(words, 2):
                if len(one) == len(two) > 2:
                    form = tuple(a if a == b else _ANY for a, b in zip(one, two, strict=True))
                    forms += [form] if form.count(_ANY) == 1 else []
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for form in forms:
            self._by_first.setdefault(form[0], []).append(form)

    def has(self, tokens: tuple[str, ...]) -> bool:
        """Whether a text of these words is only a placeholder."""
        if not tokens:
            return False
        likely = (*self._by_first.get(tokens[0], ()), *self._by_first.get(_ANY, ()))
        return any(self._is(tokens, form) for form in likely)

    def _is(self, tokens: tuple[str, ...], form: tuple[str, ...]) -> bool:
        more = len(tokens) - len(form)
        if more < 0 or more > (len(form) if len(form) > 2 else 0):
            return False
        if not all(mine in (word, _ANY) for word, mine in zip(tokens, form, strict=False)):
            return False
        return self._known.issuperset(tokens[len(form) :])


@dataclass(frozen=True)
class _Fixed:
    """The parts that all requests of a prompt share, prepared for comparison.

    It holds the prompt too, so that the prompt's identity stays unique.
    """

    prompt: Prompt
    text: _Text
    form: _Form
    prescribed: set[tuple[str, ...]]


class _Check:
    """The check, with its options and its caches."""

    def __init__(self, fields: list[str], share: float, least: int, run: int, usual: list[str]) -> None:
        self._fields, self._share, self._least, self._run = fields, share, least, run
        self._usual = usual
        self._fixed: dict[int, _Fixed] = {}  # by a prompt's identity, since it holds lists
        self._drawn: tuple[Asked, _Text] | None = None  # for the reply that is being checked

    def each(self, record: Record) -> Rejection | None:
        """See `Filter`."""
        asked = record.asked
        if asked is None:
            return None
        fixed = self._shared(asked.prompt)
        quotable = dict(asked.about)
        for field in self._fields:
            text = value(record, field)
            words = Words(text)
            if fixed.form.has(words.tokens) and not _within(words, quotable):
                return Rejection(f"{field} is {text[:SHOWN]!r}, from {FORM}", _detail(FORM, 1.0, text))
            if words.length >= self._least and words.tokens not in fixed.prescribed:
                found = self._found(words, (self._own(asked), fixed.text), quotable)
                if found:
                    place, copied = found
                    return Rejection(f"{field} is {place}", _detail(place, copied, text))
            quotable[field] = text
        return None

    def _found(
        self, words: Words, sources: tuple[_Text, ...], quotable: Mapping[str, object]
    ) -> tuple[str, float] | None:
        """The place in the prompt that the words are from, and their share; None if too few are from it."""
        found = [
            (source.parts()[number], source.copies.texts[number], mask)
            for source in sources
            for number, mask in source.copies.masks(words).items()
        ]
        if not found:  # the usual case
            return None
        together = reduce(or_, (mask for _, _, mask in found), 0)
        if not self._enough(words, together):
            return None
        free = self._quoted(words, quotable)
        own = [(words.measure(mask & ~free), number) for number, (_, _, mask) in enumerate(found)]
        size, number = max(own, key=lambda one: (one[0], -one[1]))
        part, its, mask = found[number]
        place = f"{_amount(words, its, size)} {part.place}"
        share = words.measure(together & ~free) / words.length
        if self._enough(words, mask & ~free):
            return place, share
        if self._enough(words, together & ~free, PIECES):
            return f"pieced together from the prompt, with {place}", share
        return None

    def _enough(self, words: Words, mask: int, times: int = 1) -> bool:
        copied = words.measure(mask)
        surplus = 2 * copied - words.length
        return copied >= self._share * words.length and surplus >= times * self._least

    def _quoted(self, words: Words, quotable: Mapping[str, object]) -> int:
        """A mask of the words that are in the texts that may be quoted."""
        texts = Copies([str(text) for text in quotable.values()], self._run)
        return reduce(or_, texts.masks(words).values(), 0)

    def _shared(self, prompt: Prompt) -> _Fixed:
        if id(prompt) not in self._fixed:
            parts = fixed_parts(prompt)
            text = _Text(lambda: parts, Copies([part.text for part in parts], self._run))
            known = {token for words in text.copies.texts for token in words.tokens}
            form = _Form([*forms(prompt), *([text] for text in self._usual)], known)
            asked_for = {Words(words).tokens for words in prescribed(parts)}
            self._fixed[id(prompt)] = _Fixed(prompt, text, form, asked_for)
        return self._fixed[id(prompt)]

    def _own(self, asked: Asked) -> _Text:
        if self._drawn is None or self._drawn[0] is not asked:
            self._drawn = (asked, _Text(lambda: asked.parts, Few(asked.texts, self._run)))
        return self._drawn[1]


def _within(words: Words, texts: Mapping[str, object]) -> bool:
    """Whether one of the texts contains the words in a row."""
    phrase = f" {' '.join(words.tokens)} "
    return any(phrase in f" {' '.join(Words(str(text)).tokens)} " for text in texts.values())


def _amount(words: Words, part: Words, copied: int) -> str:
    if words.tokens == part.tokens:
        return "the whole of"
    return "most of" if 2 * copied > part.length else "a piece of"


def _detail(place: str, share: float, text: str) -> dict[str, object]:
    shown = " ".join(text.split())
    return {"place": place, "share": round(share, 3), "copied": shown[:SHOWN] + "…" * (len(shown) > SHOWN)}
