"""What every match of a regular expression needs, so that most texts are passed over without a search.

>>> screen = screen_of(r"(?i)<image>|\\[photo \\d+\\]")
>>> screen.excludes("Write a poem."), screen.excludes("See <IMAGE>.")
(True, False)

A screen only says what surely does not match. It is read from Python's own parser of expressions. Where that
shows nothing, and in a text with characters outside ASCII, it excludes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

MOST = 24  # texts of which a match needs one; a text is sought for each of them
LONGEST_HEAD = 3  # characters at the start of a match
MOST_HEADS = 2_000
_LETTERS, _DIGITS = frozenset("abcdefghijklmnopqrstuvwxyz"), "0123456789"
_SPACES = " \t\n\r\f\v\x1c\x1d\x1e\x1f"
_COMMON = _LETTERS | {*" .,-'"}
_SIGNS = re.compile(r"[^a-z0-9 .,'-]")
_FOLDED = (0x130, 0x131, 0x17F, 0x212A)  # characters outside ASCII that are a letter of ASCII in another case
_NAMED = re.compile(r"\[:\^?\w+:\]")  # `regex` has classes such as [[:alpha:]], Python has not

Tree = Sequence[tuple[Any, Any]]  # as the parser gives it: kinds of element, with their parts


@dataclass(frozen=True)
class Screen:
    """What a match needs in a text of ASCII; None where that is not known.

    Attributes:
        characters: a match has one of these characters, none of which is a letter.
        words: a match has one of these texts, in upper or lower case.
        heads: a match begins with one of these texts, in upper or lower case.
    """

    characters: frozenset[str] | None = None
    words: tuple[str, ...] | None = None
    heads: frozenset[str] | None = None

    def excludes(self, text: str) -> bool:
        """Whether there is surely no match in a text."""
        if self.characters is not None:
            return self.characters.isdisjoint(characters_of(text)) and text.isascii()
        if self.words is None or not text.isascii():
            return False
        lower = lower_of(text)
        for word in self.words:  # noqa: SIM110  # this runs for each pattern of each filter, and is faster
            if word in lower:
                return False
        return True

    def excludes_at(self, text: str, start: int = 0) -> bool:
        """Whether there is surely no match that begins at a place in a text."""
        if self.heads is None:
            return False
        head = text[start : start + LONGEST_HEAD]
        if not head.isascii():
            return False
        heads, head = self.heads, head.lower()
        return head not in heads and head[:2] not in heads and head[:1] not in heads


NOTHING = Screen()


@lru_cache(maxsize=4)  # many patterns look at one text after the other
def characters_of(text: str) -> frozenset[str]:
    """The characters in a text."""
    return frozenset(text)


@lru_cache(maxsize=4)
def lower_of(text: str) -> str:
    """The text in lower case."""
    return text.lower()


@lru_cache(maxsize=4096)
def screen_of(pattern: str) -> Screen:
    """The screen of a regular expression."""
    if _NAMED.search(pattern):
        return NOTHING
    try:
        parser = import_module("re._parser" if hasattr(re, "_parser") else "sre_parse")
        tree = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return NOTHING
    heads, needs = _heads(tree), _needs(tree)
    if needs is None or len(needs) > MOST:
        return Screen(heads=heads)
    if all(len(word) == 1 for word in needs) and needs.isdisjoint(_LETTERS):
        return Screen(characters=needs, heads=heads)
    return Screen(words=tuple(sorted(needs)), heads=heads)


def _needs(tree: Iterable[tuple[Any, Any]]) -> frozenset[str] | None:
    """Texts in lower case of which every match has one; None if none are known."""
    found: list[frozenset[str]] = []
    run = ""
    for kind, value in [*tree, (None, None)]:
        if str(kind) == "LITERAL" and value < 128:
            run += chr(value).lower()
            continue
        if str(kind) == "LITERAL" and value not in _FOLDED:
            return frozenset()  # no text of ASCII has it
        found += [frozenset([one]) for one in (run, *_SIGNS.findall(run)[:1]) if one]
        run = ""
        need = _need(str(kind), value)
        found += [need] if need is not None else []
    return max(found, key=_worth, default=None)


def _need(kind: str, value: Any) -> frozenset[str] | None:
    if kind == "IN":
        return _members(value)
    if kind == "BRANCH":
        parts = [_needs(branch) for branch in value[1]]
        known = [part for part in parts if part is not None]
        return frozenset().union(*known) if len(known) == len(parts) else None
    if kind in ("SUBPATTERN", "ATOMIC_GROUP"):
        return _needs(_inner(kind, value))
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and value[0] > 0:
        return _needs(value[2])
    return None


def _worth(words: frozenset[str]) -> tuple[bool, bool, int, int, int]:
    """How good a screen these make, by a guess: signs are quick to look for, and long words are rare."""
    kind = 0 if not words.isdisjoint(_COMMON) else 2 if all(len(word) == 1 for word in words) else 1
    return not words, len(words) <= MOST, kind, min(map(len, words), default=0), -len(words)


def _members(members: Tree) -> frozenset[str] | None:
    """The ASCII characters of a class, in lower case; None if they are not known, or many."""
    found: set[str] = set()
    for kind, value in members:
        first, last = value if str(kind) == "RANGE" else (value, value)
        if str(kind) == "CATEGORY" and str(value) in ("CATEGORY_DIGIT", "CATEGORY_SPACE"):
            found.update(_DIGITS if str(value) == "CATEGORY_DIGIT" else _SPACES)
        elif str(kind) not in ("LITERAL", "RANGE") or any(first <= one <= last for one in _FOLDED):
            return None
        else:
            found.update(chr(one).lower() for one in range(first, min(last, 127) + 1))
    return frozenset(found)


def _inner(kind: str, value: Any) -> Tree:
    inner: Tree = value[-1] if kind == "SUBPATTERN" else value
    return inner


def _heads(tree: Tree) -> frozenset[str] | None:
    """The beginnings of all matches, in lower case; a shorter one stands for all that begin so."""
    done: set[str] = set()
    heads = _grown({""}, tree, done) | done
    return None if "" in heads or len(heads) > MOST_HEADS else frozenset(heads)


def _grown(open: set[str], tree: Tree, done: set[str]) -> set[str]:
    """The beginnings that can go on after these elements.

    Those that are long enough, or end in an element that may be anything, go to `done`.
    """
    for kind, value in tree:
        if len(open) + len(done) > MOST_HEADS:  # too many to be of use
            done.add("")
            return set()
        open = _after(open, str(kind), value, done)
    return open


def _after(open: set[str], kind: str, value: Any, done: set[str]) -> set[str]:
    if kind in ("AT", "ASSERT", "ASSERT_NOT"):  # of no width
        return open
    if kind in ("SUBPATTERN", "ATOMIC_GROUP"):
        return _grown(open, _inner(kind, value), done)
    if kind == "BRANCH":
        return set().union(*(_grown(open, branch, done) for branch in value[1]))
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, inner = value
        ended, going = (set() if least else set(open)), open
        for turn in range(1, min(int(most), LONGEST_HEAD) + 1):
            going = _grown(going, inner, done)
            ended |= going if turn >= min(least, LONGEST_HEAD) else set()
        return ended
    members = _members([(kind, value)] if kind == "LITERAL" else value) if kind in ("LITERAL", "IN") else None
    if members is None:
        done |= open
        return set()
    longer = {begun + one for begun in open for one in members}
    done |= {one for one in longer if len(one) == LONGEST_HEAD}
    return {one for one in longer if len(one) < LONGEST_HEAD}
