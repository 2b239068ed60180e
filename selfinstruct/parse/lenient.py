"""Read JSON as models write it: in one pass, keeping all complete values and inventing none.

The reader accepts Markdown fences and other text around the JSON, extra commas, JSON lines, and line breaks
and wrong escapes within strings. It marks a value as flawed if it ends in the middle or is malformed, and
with it every value that contains it; the caller rejects these. It never adds a bracket or a quote to complete
a value. An object with two different values for one key is flawed too; several lists under one key are
joined. After an object with a missing quote, it goes on with the next object. It looks at each character a
fixed number of times and never recurses, so it can read any reply.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any

from selfinstruct.records import storable

DEEPEST = 64  # levels; no prompt asks for more
LONGEST_SHOWN = 2_000  # characters shown of a flawed piece

_OPENING = re.compile(r"[\[{]")
_TOKEN = re.compile(r'"((?:[^"\\]+|\\.)*)("?)|([\[\]{}:,])|([^\s\[\]{}:,"]+)', re.DOTALL)
_ESCAPE = re.compile(r"""\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(.))""", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_FIGURES = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)  # 007, +5, .5
_NEXT_OBJECT = re.compile(r"\}\s*,?\s*\{\s*\Z")  # here a string without its end runs into the next object
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


@dataclass(frozen=True)
class Flaw:
    """The reason why a value cannot be used; it also replaces a word that is not a value.

    Attributes:
        reason: the reason, in words.
        cut: whether the text ended within the value.
        source: the text of the value.
    """

    reason: str
    cut: bool = False
    source: str = ""


@dataclass(frozen=True)
class Number:
    """A number with its written form, so that 1.10 keeps its digits.

    Attributes:
        source: its text.
        value: its value.
        json: whether its text is valid JSON; 007 and +5 are not.
    """

    source: str
    value: int | float
    json: bool = True


@dataclass
class _Frame:
    """A list or object that is being read."""

    value: Any
    start: int
    key: str | None = None  # a key that was read and has no value yet
    colon: bool = False
    ready: bool = True  # whether a comma or the beginning comes before the next value
    flaw: Flaw | None = None

    def wrong(self, reason: str) -> None:
        """Mark it as flawed; only the first reason counts."""
        self.flaw = self.flaw or Flaw(reason)

    def add(self, value: Any) -> None:
        """Add the next value."""
        if isinstance(self.value, list):
            self._add_element(value)
        elif self.key is not None and self.colon:
            self._add_pair(self.key, value)
            self.key, self.colon = None, False
        elif isinstance(value, str) and self.key is None and self.ready:
            self.key = value
        else:
            shown = value.source if isinstance(value, Flaw) else str(value)
            self.wrong(f"{shown[:40]!r} is in the wrong place")
        self.ready = False

    def _add_pair(self, key: str, value: Any) -> None:
        """Add a pair; a key may occur again with the same value, and two lists of objects are joined."""
        if isinstance(value, Flaw):
            self.flaw = self.flaw or value
        before = self.value.get(key)
        if _lists_objects(before) and _lists_objects(value):
            before.extend(value)
            return
        if key in self.value and not same(before, value):
            self.wrong(f"the key {key[:40]!r} has two values")
        self.value[key] = value

    def _add_element(self, value: Any) -> None:
        """Add an element; a comma may be missing between objects, but next to a string this is a flaw."""
        if not self.ready and not isinstance(self.value[-1], list | dict | Flaw):
            self.value[-1] = self.flaw = Flaw("there is no comma after it", source=str(self.value[-1]))
        if not self.ready and not isinstance(value, list | dict | Flaw):
            value = Flaw("there is no comma before it", source=str(value))
        if isinstance(value, Flaw):
            self.flaw = self.flaw or value
        self.value.append(value)

    def mark(self, mark: str) -> None:
        """Take in a comma or a colon."""
        if mark == ":" and self.key is not None and not self.colon:
            self.colon = True
        elif mark == ":":
            self.wrong("a colon is in the wrong place")
        else:
            self.end_of_pair()
            self.ready = True

    def end_of_pair(self) -> None:
        """Mark a key without a value as a flaw."""
        if self.key is not None:
            self.wrong(f"{self.key[:40]!r} has no value")
        self.key, self.colon = None, False


class Reading:
    """The lists and objects found in a text.

    Attributes:
        values: the outermost lists and objects, in order.
    """

    def __init__(self, text: str) -> None:
        self.values: list[Any] = []
        self._text = text
        self._flaws: dict[int, tuple[Any, Flaw]] = {}  # by id, which stays unique while the value is held
        place = 0
        while opening := _OPENING.search(text, place):
            place = self._read(opening.start())

    def flaw(self, value: Any) -> Flaw | None:
        """The flaw of a value, or of anything inside it."""
        return value if isinstance(value, Flaw) else self._flaws.get(id(value), (None, None))[1]

    def _read(self, place: int) -> int:
        """Read one value from its opening bracket; return the position after it."""
        stack: list[_Frame] = []
        tokens = _TOKEN.finditer(self._text, place)
        while token := next(tokens, None):
            string, quote, mark, word = token.groups()
            if mark in ("[", "{"):
                if len(stack) == DEEPEST:
                    return self._give_up(stack, f"it is nested deeper than {DEEPEST} levels", cut=False)
                stack.append(_Frame([] if mark == "[" else {}, token.start()))
            elif mark in ("]", "}"):
                self._close(stack, list if mark == "]" else dict, token.end())
            elif mark:
                stack[-1].mark(mark)
            elif (string is not None and not quote) or (word and token.end() == len(self._text)):
                if isinstance(stack[-1].value, list):
                    stack[-1].add(Flaw("the reply ends within this one", cut=True, source=token[0]))
                break
            elif string is not None and self._runs_on(string, token.end(), stack):
                start = self._next_object(stack, token)
                if not stack:
                    return start
                tokens = _TOKEN.finditer(self._text, start)
            else:
                stack[-1].add(_string(string) if string is not None else _word(word))
            if not stack:
                return token.end()
        return self._give_up(stack, "the reply ends within this one", cut=True)

    def _runs_on(self, string: str, end: int, stack: list[_Frame]) -> bool:
        """Whether a string has no end: it runs on to the quote before the first key of the next object."""
        after = self._text[end : end + 1]
        inside = isinstance(stack[-1].value, dict) and after not in tuple(",:}] \t\r\n")
        return inside and _NEXT_OBJECT.search(string[-40:]) is not None

    def _next_object(self, stack: list[_Frame], token: re.Match[str]) -> int:
        """Continue at the next object, after one with a missing quote."""
        start = self._text.rindex("{", token.start(), token.end())
        stack[-1].wrong("a quote is missing in it")
        self._pop(stack, start)
        if stack:
            stack[-1].ready = True
        return start

    def _close(self, stack: list[_Frame], kind: type, end: int) -> None:
        """Close the nearest value that a closing bracket fits, and all that were opened since."""
        if not any(isinstance(frame.value, kind) for frame in stack):
            stack[-1].wrong("a closing bracket has no opening bracket")
            return
        while not isinstance(stack[-1].value, kind):
            stack[-1].wrong("it is not closed")
            self._pop(stack, end)
        self._pop(stack, end)

    def _pop(self, stack: list[_Frame], end: int) -> None:
        frame = stack.pop()
        frame.end_of_pair()
        if frame.flaw:
            source = self._text[frame.start : min(end, frame.start + LONGEST_SHOWN)]
            self._flaws[id(frame.value)] = frame.value, Flaw(frame.flaw.reason, frame.flaw.cut, source)
        if stack:
            stack[-1].add(frame.value)
            stack[-1].flaw = stack[-1].flaw or frame.flaw
        else:
            self.values.append(frame.value)

    def _give_up(self, stack: list[_Frame], reason: str, cut: bool) -> int:
        """Mark all open values as flawed, and read nothing after them."""
        for frame in stack:
            frame.flaw = Flaw(reason, cut)
        while stack:
            self._pop(stack, len(self._text))
        return len(self._text)


def _string(raw: str) -> str:
    """The value of a string; a backslash that escapes nothing is kept."""
    if "\\" not in raw:
        return raw
    decoded: str = json.loads(f'"{_ESCAPE.sub(_escaped, raw)}"', strict=False)
    return str(storable(decoded))


def _escaped(found: re.Match[str]) -> str:
    if found[1]:
        return found[0]
    return "'" if found[2] == "'" else f"\\\\{found[2]}"


def _word(word: str) -> Any:
    """A number, true, false or null, also as Python writes them."""
    if word in _WORDS:
        return _WORDS[word]
    try:
        if _FIGURES.fullmatch(word):
            value = float(word) if set(word) & set(".eE") else int(word)
            if isinstance(value, int) or isfinite(value):
                return Number(word, value, _NUMBER.fullmatch(word) is not None)
    except (ValueError, OverflowError):  # more digits than Python converts
        pass
    return Flaw(f"{word[:40]!r} is not a value", source=word)


def plain(value: Any) -> Any:
    """A value with its numbers as Python numbers."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value.value if isinstance(value, Number) else value


def written(value: Any) -> str:
    """A value as text: JSON that keeps the written digits of its numbers; a string stays as it is."""
    return value if isinstance(value, str) else _json(value)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same; numbers are compared as written."""
    return type(one) is type(other) and bool(one == other)


def _json(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(key)}: {_json(one)}" for key, one in value.items()) + "}"
    return value.source if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def _lists_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)
