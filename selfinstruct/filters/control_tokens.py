"""The filter of control tokens, which chat templates put between texts and models sometimes leave in them.

A tokenizer recognizes such a token anywhere, so a record with one inside ends its own turn and opens another.
Tokens at the start and the end of a text are left over from generation and are cut off. A token inside a text
is a sign that it holds more than one turn, and the record is rejected. The tokens are data, by family, in
`conf/filters/common/clean.yaml`. To add a family, add a pattern there; begin it with the literal first
character of the token, which makes the search fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Patterns, compiled, which_of
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
        tokens: name: tokens that have no other meaning, such as `<|im_end|>`.
        also_text: name: tokens that may be ordinary text, such as `[MASK]`. They are kept if a token of the
            same name is in a `given` field.
        pairs: name: text that contains `also_text` tokens, such as `<s>old</s>`; such tokens are kept, unless
            the field has no other text.
        asked: name of a pattern in `also_text` or `pairs`: words of an instruction about it; such tokens are
            then kept, and a field may consist of such pairs only.
        given: fields that the other fields answer or use.
        instruction: the field of the instruction; null if records have none.
    """
    sought = _Sought(tokens, also_text, pairs)
    asking = compiled(asked)

    def tokens_in(data: dict[str, object], field: str) -> list[re.Match[str]]:
        """The control tokens of a field."""
        text = data.get(field)
        if not isinstance(text, str) or not sought.any.search(text):
            return []
        task = str(data.get(instruction, "")) if instruction else ""
        meant = {name for name, pattern in asking if pattern.search(task)}
        for other in given:
            meant |= sought.text_in(str(data.get(other, ""))) if other != field else set()
        return list(sought.found(text, meant))

    def mend(record: Record) -> dict[str, object]:
        data: dict[str, object] = dict(record.data)
        for field in fields:
            if found := tokens_in(data, field):
                spans = [match.span() for match in found]
                data[field] = _without_ends(str(data[field]), spans)
        return {field: data[field] for field in fields if data.get(field) != record.data.get(field)}

    def each(record: Record) -> Rejection | None:
        for field in fields:
            for match in tokens_in(record.data, field)[:1]:
                return Rejection(f"{field} has {match[0][:60]!r} inside ({sought.name(match)})")
        return None

    looked = dict.fromkeys([*fields, *given, *([instruction] if instruction else [])])
    return Filter(each=each, mend=mend, fields=tuple(looked))


class _Sought:
    """The patterns of tokens, ready to search."""

    def __init__(self, tokens: dict[str, str], also_text: dict[str, str], pairs: dict[str, str]) -> None:
        self.any = which_of({**tokens, **also_text})
        self._names = [*{**tokens, **also_text}]
        self._also_text, self._pairs = set(also_text) - set(tokens), compiled(pairs)

    def name(self, match: re.Match[str]) -> str:
        """The name of the token that was found."""
        return self._names[int(str(match.lastgroup)[1:])]

    def text_in(self, text: str) -> set[str]:
        """The names of the `also_text` tokens in a text."""
        return {self.name(match) for match in self.any.finditer(text)} & self._also_text

    def found(self, text: str, meant: set[str]) -> Iterator[re.Match[str]]:
        """The control tokens of a text, without those that are ordinary text."""
        free: set[int] = set()
        for name, pattern in self._pairs:
            if name in meant or pattern.sub("", text).strip():
                free.update(place for match in pattern.finditer(text) for place in range(*match.span()))
        for match in self.any.finditer(text):
            name = self.name(match)
            if name not in self._also_text or not (name in meant or match.start() in free):
                yield match


def _without_ends(text: str, spans: list[Span]) -> str:
    """The text without the tokens at its start and its end; white space around them is cut off too."""
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
