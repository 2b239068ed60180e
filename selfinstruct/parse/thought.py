"""Separate a model's answer from its thought, the text that it writes before the answer.

This happens only here, in chat and in completion mode, so that no draft in a thought becomes a record: once
when a reply arrives (`apart`), so that the journal has both in their own places, and again before a reply is
checked or read (`said_in`), for the replies of older journals, and for lines that only a parser knows not to
be free text. A server may also return the thought beside the text; then it is in `Reply.thought` already.

A thought is at the beginning of a reply: after an opening mark, or before a closing mark. An answer that only
mentions such marks, within a line, a JSON string or a code block, stays whole. If a reply begins with a
thought, others may follow, each at the start of a line. To add the marks of another model, add a line to
`MARKS`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from selfinstruct.records import Reply
from selfinstruct.safety.screens import screen_of

# Regular expressions for the marks that open and close a thought; upper and lower case are the same.
MARKS = (
    (r"<think>", r"</think>"),
    (r"<thinking>", r"</thinking>"),
    (r"<thoughts?>", r"</thoughts?>"),
    (r"<reasoning>", r"</reasoning>"),
    (r"<scratchpad>", r"</scratchpad>"),
    (r"<seed:think>", r"</seed:think>"),
    (r"\[THINK\]", r"\[/THINK\]"),
    (r"◁think▷", r"◁/think▷"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"<unused94>(?:thought)?", r"<unused95>"),
    (
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<\n]{0,80}<\|message\|>",
        # It begins with the same signs in each of its forms, so that a search can skip to them.
        r"<\|(?:end\|><\||end\|><\|start\|>assistant<\||start\|>assistant<\|)?channel\|>final[^<\n]{0,80}"
        r"<\|message\|>",
    ),
    (r"(?-i:analysis(?=[A-Z]))", r"(?-i:assistantfinal)"),  # the same, without its special tokens
    (r"Here is my thought process:", r"Here is my response:"),
)
# Marks that some models write around the answer that follows a thought.
WRAPPERS = (
    (r"<answer>", r"</answer>"),
    (r"<\|begin_of_solution\|>", r"<\|end_of_solution\|>"),
    (r"<\|START_RESPONSE\|>", r"<\|END_RESPONSE\|>"),
)
QUOTES = "\"'`“”‘’„«»「」『』"
LOOKED_AT = 120  # characters examined before and after a mark
MOST = 20  # the most thoughts in one reply

_SPACE = r"[\s\ufeff\u200b]*"
_OPENING = re.compile(_SPACE + "(?:" + "|".join(f"({opening})" for opening, _ in MARKS) + ")", re.IGNORECASE)
_LINE = re.compile(
    r"^[ \t]*(?:" + "|".join(f"({opening})" for opening, _ in MARKS) + ")", re.IGNORECASE | re.MULTILINE
)
_CLOSINGS = [re.compile(closing, re.IGNORECASE) for _, closing in MARKS]
_OPENINGS = [re.compile(opening, re.IGNORECASE) for opening, _ in MARKS]
_LINES = [re.compile(rf"^[ \t]*{opening}", re.IGNORECASE | re.MULTILINE) for opening, _ in MARKS]
_ANY = screen_of("|".join(mark for marks in MARKS for mark in marks))
_JSON = re.compile(r"[\[{]\s*[\"\[{]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*("?)', re.DOTALL)
_QUOTE = re.compile(rf"(?:\A|[\s(（])[{QUOTES}]\Z|`\Z")  # a quotation mark that opens a quotation
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)


@dataclass(frozen=True)
class Said:
    """A reply without its thought.

    Attributes:
        reply: the reply with only the answer as its text, and the whole thought as its thought; marked as cut
            if the thought never ends.
        thinks: whether there is a thought, or the provider has counted tokens of one that it keeps to itself.
        open: whether the text ends within a thought.
        reached: whether the original reply reached max_tokens.
    """

    reply: Reply
    thinks: bool = False
    open: bool = False
    reached: bool = False


@dataclass(frozen=True)
class Split:
    """A text, divided.

    Attributes:
        answer: the text without the thoughts.
        thought: the thoughts without their marks, a blank line between two.
        thinks: whether there is a thought, which may be empty.
        open: whether the text ends within a thought.
    """

    answer: str
    thought: str = ""
    thinks: bool = False
    open: bool = False


def said_in(reply: Reply, prose: bool = True) -> Said:
    """The answer of a reply.

    Args:
        reply: the reply.
        prose: whether a line of the answer may be free text, so that a mark there may be part of the answer.
    """
    split = split_of(reply.text, prose, bool(reply.thought))
    hidden = bool(reply.thinking_tokens) and not reply.text.strip()
    if not split.thinks:
        return Said(reply, hidden, reached=reply.cut)
    why = "length" if split.open and reply.finish_reason == "stop" else reply.finish_reason
    thought = joined(reply.thought, split.thought)
    answer = replace(reply, text=split.answer, thought=thought, finish_reason=why)
    return Said(answer, True, split.open, reply.cut)


def apart(reply: Reply) -> Reply:
    """A reply with the thoughts of each of its choices in their own places, and only answers as its texts.

    It is the same whether a server returned a thought beside the text, or the model wrote it into the text.
    """
    texts = [(choice.text, choice.thought) for choice in reply.choices]
    if not any(thought for _, thought in texts) and all(_ANY.excludes(text) for text, _ in texts):
        return reply
    splits = [split_of(text, True, bool(thought)) for text, thought in texts]
    thoughts = [joined(thought, split.thought) for split, (_, thought) in zip(splits, texts, strict=True)]
    (answer, why), *others = [
        # Without an answer it is `thinking_cut` either way, and the provider's reason helps to say why.
        (split.answer, "length" if split.open and split.answer.strip() and why == "stop" else why)
        for split, why in zip(splits, (choice.finish_reason for choice in reply.choices), strict=True)
    ]
    return replace(
        reply,
        text=answer,
        finish_reason=why,
        thought=thoughts[0],
        others=tuple(others),
        other_thoughts=tuple(thoughts[1:]) if any(thoughts[1:]) else (),
    )


def joined(*thoughts: str) -> str:
    """Several thoughts as one text."""
    return "\n\n".join(found for thought in thoughts if (found := thought.strip()))


def parted(text: str, prose: bool = True) -> tuple[str, bool, bool]:
    """The answer, whether there is a thought, and whether the text ends within one."""
    split = split_of(text, prose)
    return split.answer, split.thinks, split.open


def split_of(text: str, prose: bool = True, thinks: bool = False) -> Split:
    """The answer and the thought in a text.

    Args:
        text: the text.
        prose: whether a line of the answer may be free text, so that a mark there may be part of the answer.
        thinks: whether a thought came before this text.
    """
    if _ANY.excludes(text):
        return Split(_unwrapped(text) if thinks else text, thinks=thinks)
    place, thoughts, closings = 0, list[str](), _Closings(text)
    for _ in range(MOST):
        opening = _OPENING.match(text, place)
        if opening:
            closing = _end_of(text, opening)
            if closing is None:
                return Split("", joined(*thoughts, text[opening.end() :]), True, True)
        else:
            closing = _bare_closing(text, closings, place, thinks)
            if closing is None:
                break
        thoughts.append(text[opening.end() if opening else place : closing.start()])
        place, thinks = closing.end(), True
    if not thinks and (prose or not _LINE.search(text)):
        return Split(text)
    answer, later, open = _without_later(text, place)
    if not thinks and not later:
        return Split(text)
    return Split(_unwrapped(answer) if thinks else answer, joined(*thoughts, *later), True, open)


def _without_later(text: str, place: int) -> tuple[str, list[str], bool]:
    """An answer without the thoughts that begin its lines; these thoughts, and whether the last is open."""
    kept: list[str] = []
    found: list[str] = []
    shielded = _Shielded(text, place)
    start = place
    for opening in _LINE.finditer(text, place):
        if opening.start() < place or shielded.covers(opening.end()):
            continue
        closing = _end_of(text, opening)
        kept.append(text[start : opening.start()])
        if closing is None:
            return "".join(kept), [*found, text[opening.end() :]], True
        found.append(text[opening.end() : closing.start()])
        start = place = closing.end()
    kept.append(text[start:])
    return "".join(kept), found, False


def _end_of(text: str, opening: re.Match[str]) -> re.Match[str] | None:
    """The mark that closes a thought: the first one outside quotation marks."""
    first = None
    for found in _CLOSINGS[(opening.lastindex or 1) - 1].finditer(text, opening.end()):
        if not _quoted(text, found):
            return found
        first = first or found
    return first


def _bare_closing(text: str, closings: _Closings, place: int, thinks: bool) -> re.Match[str] | None:
    """A closing mark without an opening mark; after a thought, only a mark that fills its line counts."""
    found = closings.first(place)
    if found is None:
        return None
    shielded = _Shielded(text, place)
    while found:
        kind, mark = found
        before, after = _around(text, place, mark)
        alone = _ends_line(before) and _starts_line(after)
        inline, line = shielded.opened(kind)
        fits = alone or not (thinks or inline < mark.start() or _mentioned(before, after))
        if fits and line >= mark.start() and not shielded.covers(mark.start()):
            return mark
        found = closings.first(mark.end())
    return None


class _Closings:
    """The closing marks of a text, from front to back.

    Each kind is sought alone: Python skips to the signs that it begins with, but not to those of several.
    What was found is kept, so that a text is searched once for each kind, however many marks it has.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = [closing.search(text) for closing in _CLOSINGS]

    def first(self, place: int) -> tuple[int, re.Match[str]] | None:
        """The first one from a place on, after the number of its kind; places must not go back."""
        for kind, mark in enumerate(self._next):
            if mark and mark.start() < place:
                self._next[kind] = _CLOSINGS[kind].search(self._text, place)
        there = [(mark.start(), kind, mark) for kind, mark in enumerate(self._next) if mark]
        return min(there)[1:] if there else None


class _Shielded:
    """The parts of a text in which a mark is only mentioned: JSON strings and code blocks."""

    def __init__(self, text: str, place: int) -> None:
        self._text, self._place = text, place
        self._opened: dict[int, tuple[int, int]] = {}
        self._strings = list(_strings(text, place))
        self._starts = [start for start, _ in self._strings]
        self._fences = [fence.start() for fence in _FENCE.finditer(text, place)]

    def opened(self, kind: int) -> tuple[int, int]:
        """The first position of the opening mark, and the first one at the start of a line."""
        if kind not in self._opened:
            found = [one[kind].search(self._text, self._place) for one in (_OPENINGS, _LINES)]
            inline, line = (one.start() if one else len(self._text) for one in found)
            self._opened[kind] = inline, line
        return self._opened[kind]

    def covers(self, place: int) -> bool:
        """Whether a position is in a JSON string or a code block."""
        before = bisect_right(self._starts, place) - 1
        if before >= 0 and place < self._strings[before][1]:
            return True
        fences = bisect_right(self._fences, place)
        return fences % 2 == 1 and (len(self._fences) - fences) % 2 == 1


def _strings(text: str, place: int) -> Iterator[tuple[int, int]]:
    """The spans of JSON strings: punctuation of JSON is on both sides, unlike a quotation in prose."""
    first = _JSON.search(text, place)
    for found in _STRING.finditer(text, first.start()) if first else ():
        before = text[max(0, found.start() - LOOKED_AT) : found.start()].rstrip()[-1:]
        after = text[found.end() : found.end() + LOOKED_AT].lstrip()[:1]
        if found[1] and before in tuple("[{,:") and after in tuple(",}]:"):
            yield found.start(), found.end()


def _around(text: str, place: int, found: re.Match[str]) -> tuple[str, str]:
    return text[max(place, found.start() - LOOKED_AT) : found.start()], text[
        found.end() : found.end() + LOOKED_AT
    ]


def _ends_line(before: str) -> bool:
    bare = before.rstrip(" \t")
    return not bare or bare.endswith("\n")


def _starts_line(after: str) -> bool:
    bare = after.lstrip(" \t\r")
    return not bare or bare.startswith("\n")


def _quoted(text: str, found: re.Match[str]) -> bool:
    before, after = text[max(0, found.start() - 2) : found.start()], text[found.end() : found.end() + 1]
    return bool(after) and after in QUOTES and _QUOTE.search(before) is not None


def _mentioned(before: str, after: str) -> bool:
    """Whether a sentence continues past a mark, so that it only mentions the mark."""
    if not before.strip():
        return False
    if "`" in (before[-1:], after[:1]) or (after[:1] in tuple(QUOTES) and _QUOTE.search(before)):
        return True
    if re.match(r"[ \t]*[.,;:!?)]", after):
        return True
    goes_on = re.match(r"[ \t]+[a-z]", after) is not None
    return goes_on and re.search(r"[.!?。！？…)\]}\"'”]\s*\Z", before) is None


def _unwrapped(answer: str) -> str:
    bare = answer.strip()
    for opening, closing in WRAPPERS:
        start = re.match(opening, bare, re.IGNORECASE)
        if start:
            return re.sub(rf"{closing}\s*\Z", "", bare[start.end() :], flags=re.IGNORECASE).strip()
    return answer.lstrip()
