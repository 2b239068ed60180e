"""The filter of control tokens: what chat templates put between texts, and models leave in them.

A tokenizer reads such a token as its own wherever it is, so a record with one inside ends its own turn and
opens another. Those at the start and at the end of a text are left over from generation and are cut off;
one inside is a sign that more than one turn was taken for a text, and the record is rejected. The tokens
are data, by family, in `conf/filters/common/clean.yaml`. To add a family, add a pattern there; let it
begin with the very character that the token begins with, which makes the search quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Patterns, any_of, compiled, value
from selfinstruct.records import Record, Rejection

Span = tuple[int, int]


@FILTERS.register
def control_tokens(
    *,
    fields: list[str],
    tokens: Patterns,
    also_text: Patterns,
    pairs: Patterns,
    asked: Patterns,
    given: list[str] = [],  # noqa: B006  # options are read, never changed
    instruction: str | None = "instruction",
) -> Filter:
    """Cuts control tokens off at the start and the end of a text, and rejects a text with one inside.

    Args:
        fields: the fields to look at, each after those that it follows.
        tokens: name: tokens that mean nothing else, such as `<|im_end|>`.
        also_text: name: tokens that may be text, such as `[MASK]`. They are left alone where one of the same
            name is in a field that is `given`.
        pairs: name: what is text with `also_text` in it, such as `<s>old</s>`, unless there is nothing else.
        asked: name of a pattern in `also_text` or `pairs`: words of an instruction that is about it; such
            tokens are then left alone, and such pairs may be all of the field.
        given: the fields that others follow.
        instruction: the field of the instruction; null where a record has none.
    """
    sought = _Sought(tokens, also_text, pairs)
    asking = compiled(asked)

    def spans(data: dict[str, object], field: str) -> list[Span]:
        """Where the control tokens of a field are."""
        text = data.get(field)
        if not isinstance(text, str) or not sought.any.search(text):
            return []
        task = str(data.get(instruction, "")) if instruction else ""
        meant = {name for name, pattern in asking if pattern.search(task)}
        for other in given:
            meant |= sought.text_in(str(data.get(other, ""))) if other != field else set()
        return list(sought.spans(text, meant))

    def mend(record: Record) -> dict[str, object]:
        data: dict[str, object] = dict(record.data)
        for field in fields:
            if found := spans(data, field):
                data[field] = _without_ends(str(data[field]), found)
        return {field: data[field] for field in fields if data.get(field) != record.data.get(field)}

    def each(record: Record) -> Rejection | None:
        for field in fields:
            for start, end in spans(record.data, field)[:1]:
                text = value(record, field)
                return Rejection(f"{field} has {text[start:end][:60]!r} inside ({sought.name(text, start)})")
        return None

    looked = dict.fromkeys([*fields, *given, *([instruction] if instruction else [])])
    return Filter(each=each, mend=mend, fields=tuple(looked))


class _Sought:
    """The patterns of tokens, ready to search."""

    def __init__(self, tokens: dict[str, str], also_text: dict[str, str], pairs: dict[str, str]) -> None:
        self.any = any_of({**tokens, **also_text})
        self._names = compiled({**tokens, **also_text})
        self._also_text, self._pairs = set(also_text) - set(tokens), compiled(pairs)
        self._found = lru_cache(maxsize=8)(self._named)  # the fields of a record are looked at several times

    def name(self, text: str, start: int) -> str:
        """The name of the token at a place."""
        return next(name for name, pattern in self._names if pattern.match(text, start))

    def text_in(self, text: str) -> set[str]:
        """The names of the tokens in a text that may be text."""
        return {name for _, name in self._found(text)} & self._also_text

    def _named(self, text: str) -> list[tuple[Span, str]]:
        """Where the tokens of a text are, each with its name."""
        return [(match.span(), self.name(text, match.start())) for match in self.any.finditer(text)]

    def spans(self, text: str, meant: set[str]) -> Iterator[Span]:
        """Where the tokens of a text are, without those that are text or meant."""
        free: set[int] = set()
        for name, pattern in self._pairs:
            if name in meant or pattern.sub("", text).strip():
                free.update(place for match in pattern.finditer(text) for place in range(*match.span()))
        for span, name in self._found(text):
            if name not in self._also_text or not (name in meant or span[0] in free):
                yield span


def _without_ends(text: str, spans: list[Span]) -> str:
    """The text without the tokens that only white space parts from its start or its end."""
    begin, end = 0, len(text)
    for first, last in spans:
        if text[begin:first].strip():
            break
        begin = last
    for first, last in reversed(spans):
        if first < begin or text[last:end].strip():
            break
        end = first
    cut = text[begin:end]
    cut = cut.lstrip() if begin else cut
    return cut.rstrip() if end < len(text) else cut
