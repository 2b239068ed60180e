"""The parser of numbered lists of texts, as in the paper's first stage.

Models write such a list in many ways: `9.`, `9)`, `**9.**`, `Task 9:`, bullets. The numbers show which of the
marks in a reply start an item: they rise from the prompt's last number, or from a first number of their own.
Items that cannot be separated are rejected, and never become one instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from selfinstruct.parse import CUT, PARSERS, UNREADABLE, Marks, Parsed, Parser, drop_last, lost
from selfinstruct.parse.marks import bullets, closed, numbers, unfenced, unmarked
from selfinstruct.records import Reply
from selfinstruct.safety.screens import screen_of

LABELS = ("Task", "Instruction", "Question")
WIDEST_GAP = 3  # the largest gap between the numbers of two items
FURTHEST = 20  # how far above the prompt's number a single mark may be
MOST_LINES = 2  # the most lines of a text without marks, if all its lines begin like sentences
_ORIGINAL = r"\d+\s?\. "
_OTHER_LISTS = re.compile(r"^[ \t]*(?:[ivxlc]{1,6}|[IVXLC]{1,6}|[a-z]|[A-Z])[.)][ \t]", re.MULTILINE)
_INLINE = re.compile(r"(?<=[.!?。！？])[ \t]*\s(\d{1,4})[.)][ \t]+(?=\S)")
_NO_INLINE = screen_of(_INLINE.pattern).excludes
_COLON = re.compile(r"[:：][*_]*\s*\Z")


@dataclass(frozen=True)
class _Item:
    """An item as written in a reply."""

    text: str
    number: int | None = None
    flaw: str | None = None


@PARSERS.register
def numbered_list(
    *,
    field: str = "instruction",
    capitals: Literal["keep", "lower"] = "keep",
    when_cut: Literal["drop_last", "drop_all"] = "drop_last",
    strip_first_number: bool = True,
    marks: Marks = "any",
    labels: list[str] | None = None,
) -> Parser:
    """One candidate for each item of a numbered list (arXiv 2212.10560, section 2.2).

    Args:
        field: the field for an item's text.
        capitals: `keep` the model's capitals after the first letter, or `lower` all those letters; the first
            letter always becomes a capital.
        when_cut: the part that is rejected if the reply was cut by length: its last item, or all of it as in
            the original.
        strip_first_number: remove a number before the first item; chat models repeat it.
        marks: which marks start an item. `any`: all that models write: `9.`, `9)`, `(9)`, `9.` without a
            space, `**9.**`, `### 9.`, `Task 9:`, full-width ones, and bullets if there are no numbers.
            `original`: only a number, an optional space, a dot and a space, with any number; other lines
            become part of the item before.
        labels: words that are not part of an item if a number or a colon follows ("Task 9:"); the default is
            Task, Instruction and Question.
    """
    words = tuple(LABELS if labels is None else labels)

    def read(reply: Reply, shown: int) -> list[Parsed]:
        if reply.cut and when_cut == "drop_all":
            return lost(reply, "the reply reached max_tokens", CUT)
        if marks == "original":
            return drop_last([Parsed({field: _put(item)}) for item in _original(reply.text)], reply)
        found = _items(reply.text, shown, words, strip_first_number)
        return drop_last([_piece(item) for item in found], reply)

    def _original(text: str) -> list[str]:
        if strip_first_number:
            text = re.sub(rf"^\s*{_ORIGINAL}", "", text)
        return re.split(rf"\n{_ORIGINAL}", text)

    def _piece(item: _Item) -> Parsed:
        if item.flaw:
            return Parsed({"reply": item.text.strip()}, UNREADABLE, item.flaw)
        return Parsed({field: _put(unmarked(item.text.strip(), words, numbered=False))})

    def _put(item: str) -> str:
        item = " ".join(item.split())
        return item.capitalize() if capitals == "lower" else item[:1].upper() + item[1:]

    return Parser(read, (field,), prose=False)


def _items(text: str, shown: int, labels: tuple[str, ...], strip: bool) -> list[_Item]:
    """The items of a reply to a prompt that ends with the number `shown` + 1."""
    text = unfenced(text)
    found = list(_marks(numbers(labels), text))
    if found and not strip and not text[: found[0].start()].strip():
        del found[0]
    starts = _starts(text, found, shown)
    if not starts:
        return _without_numbers(text, labels)
    before = [mark for mark in found if mark.start() < starts[0].start()]
    items = list(_head(text, starts[0], before, shown, labels))
    ends = [*(mark.start() for mark in starts[1:]), len(text)]
    place = len(before)
    for mark, end in zip(starts, ends, strict=True):
        inner = found[place + 1] if place + 1 < len(found) and found[place + 1].start() < end else None
        while place < len(found) and found[place].start() < end:
            place += 1
        body = closed(text[mark.end() : end], mark["bold"])
        items.append(_Item(body, _number(mark), _sublist(text, mark, inner)))
    taken = {item.number for item in items}
    return [part for item in items for part in _inline(item, taken)]


def _marks(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The marks in a text: its matches at the starts of lines, which takes a third of a search for them."""
    place = 0
    while place >= 0:
        found = pattern.match(text, place)
        if found:
            yield found
        place = text.find("\n", place) + 1 or -1


def _number(mark: re.Match[str]) -> int:
    """The number of a mark, in any script; ① is 1."""
    digits = mark[mark.lastindex or 0]  # the only group after those of the indent and the emphasis
    return ord(digits) - ord("①") + 1 if "①" <= digits <= "⑳" else int(digits)


def _starts(text: str, marks: Sequence[re.Match[str]], shown: int) -> list[re.Match[str]]:
    """The marks that start an item; other marks are part of an item, such as a list within it."""
    if len(marks) > 1 and len({_number(mark) for mark in marks}) == 1:
        return list(marks)  # Markdown does the counting
    going_on, again = _rising(marks, shown), _rising(marks, _number(marks[0]) - 1) if marks else []
    picked = again if not going_on or going_on[0] in again else going_on
    if len(picked) == 1 and text[: picked[0].start()].strip() and _number(picked[0]) > shown + FURTHEST:
        return []  # a year at the start of a line
    place = next((place for place, mark in enumerate(marks, 1) if picked and mark is picked[-1]), len(marks))
    for mark in marks[place:]:  # the numbers begin again, unless this is a list within the last item
        if not 0 < _number(mark) - _number(picked[-1]) <= WIDEST_GAP and _within(text, picked[-1], mark):
            break
        picked.append(mark)
    return picked


def _rising(marks: Sequence[re.Match[str]], last: int) -> list[re.Match[str]]:
    picked = []
    for mark in marks:
        if last < _number(mark) <= last + WIDEST_GAP:
            picked.append(mark)
            last = _number(mark)
    return picked


def _within(text: str, item: re.Match[str], mark: re.Match[str]) -> bool:
    """Whether a mark belongs to a list within an item: it is indented further, or follows a colon."""
    further = len(mark["indent"]) > len(item["indent"])
    return further or _COLON.search(text[max(item.end(), mark.start() - 40) : mark.start()]) is not None


def _sublist(text: str, item: re.Match[str], inner: re.Match[str] | None) -> str | None:
    """The fault of an item with a number at the start of a line; None if it has no fault."""
    if inner is None or _within(text, item, inner):
        return None
    return f"it has a line with the number {_number(inner)}, which may be another item"


def _head(
    text: str, first: re.Match[str], before: Sequence[re.Match[str]], shown: int, labels: tuple[str, ...]
) -> Iterator[_Item]:
    """The text before the first number: the item for the prompt's own last number, or a preamble."""
    head, number = text[: first.start()], _number(first)
    if not head.strip():
        return
    apart = re.search(r"\n[ \t]*\n\s*\Z", head) is not None
    if number in (1, shown + 1) and (apart or _COLON.search(head)):
        yield _Item(head, None, "it comes before the first item")
    elif number == shown + 2:  # one item, whatever its lines
        leads = not before or _COLON.search(text[: before[0].start()])
        yield _Item(head, shown + 1, None if leads else "its lines may be separate items")
    else:
        yield from (_Item(item.text, number - 1, item.flaw) for item in _without_numbers(head, labels))


def _without_numbers(text: str, labels: tuple[str, ...]) -> list[_Item]:
    """The items of a list with bullets, or the whole text as one item."""
    found = list(bullets(labels).finditer(text))
    if found:
        return _bulleted(text, found)
    lines = [line.strip("\"'“„«「『¿¡* \t\r　") for line in text.splitlines() if line.strip()]
    sentences = all(line[:1].isalpha() and not line[0].islower() for line in lines)
    if (len(lines) > MOST_LINES and sentences) or len(_OTHER_LISTS.findall(text)) > 1:
        return [_Item(text, None, "it has several lines, and no number shows where one item ends")]
    return [_Item(text)]


def _bulleted(text: str, found: list[re.Match[str]]) -> list[_Item]:
    head = text[: found[0].start()]
    if _COLON.search(head):
        return [_Item(text, None, "its bullets may be items or parts of one item")]
    least = min(len(mark["indent"]) for mark in found)
    starts = [mark for mark in found if len(mark["indent"]) == least]
    ends = [*(mark.start() for mark in starts[1:]), len(text)]
    items = [_Item(text[mark.end() : end]) for mark, end in zip(starts, ends, strict=True)]
    return [_Item(head), *items] if head.strip() else items


def _inline(item: _Item, taken: set[int | None]) -> Iterator[_Item]:
    """An item, and the items on the same line that have the next numbers, if no line begins with these."""
    if item.number is None or item.flaw:
        yield item
        return
    number, start = item.number, 0
    for mark in () if _NO_INLINE(item.text) else _INLINE.finditer(item.text):
        if int(mark[1]) == number + 1 and number + 1 not in taken:
            yield _Item(item.text[start : mark.start()], number)
            number, start = number + 1, mark.end()
    yield _Item(item.text[start:], number)
