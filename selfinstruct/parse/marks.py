"""Marks that models put before a text: the numbers, bullets and labels of lists; code blocks.

The words of labels ("Task 3:") depend on the language, so they come from the recipe.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

MOST = 3  # marks before one text: a bullet, a number and a label

_BULLETS = "-*+•●▪◦‣⁃–—・·"
_BOLD = r"[*_]{0,3}"
_TEXT = r"(?=[^\W\d_]|[\"'“„«「『‘¿¡(（*_`])"  # where a text may begin, other than with a figure
_FENCE = re.compile(r"^[ \t]*(```|~~~)", re.MULTILINE)
_SPLIT_FENCE = re.compile(r"\A\s*```[^\n`]*\n(.*?)\n?[ \t]*```\s*\Z", re.DOTALL)


class Fences:
    """The code blocks of a text; nothing in them is a mark."""

    def __init__(self, text: str) -> None:
        self._places = [found.start() for found in _FENCE.finditer(text)]
        if len(self._places) % 2:  # the last is never closed
            self._places.pop()

    def cover(self, place: int) -> bool:
        """Whether a position is in a code block."""
        return bisect_right(self._places, place) % 2 == 1


def unfenced(text: str) -> str:
    """The text without a fence that encloses all of it."""
    found = _SPLIT_FENCE.match(text)
    return found[1] if found and "```" not in found[1] else text


@lru_cache(maxsize=64)
def numbers(labels: tuple[str, ...]) -> re.Pattern[str]:
    """The pattern of a number before a list item, at the start of a line, in all forms that models use."""
    names = f"(?:{_any(labels)})" if labels else r"(?!)"
    kinds = (
        rf"(?i:{names})[ \t]*(?:[#＃№]|[Nn][or]\.)?[ \t]*(\d{{1,4}})"
        rf"(?:[ \t]*[.)．。）:：、]|[ \t]+[-–—](?=[ \t])|{_BOLD}(?=\s|\Z))",
        r"[(（\[［【](\d{1,4})[)）\]］】][.:：]?",
        r"(\d{1,4})[ \t]?(?:[.．](?!\d)|、(?!\d+、)|[)）]|[:：](?!\d))",
        r"(\d{1,4})[ \t]+[-–—](?=[ \t])",
        r"[#＃№][ \t]?(\d{1,4})(?:[.)．:：]|(?=[ \t]))",
        r"([①-⑳])",
    )
    head = rf"^(?P<indent>[ \t　]*)(?:#{{1,6}}[ \t]*)?(?:[{re.escape(_BULLETS)}][ \t]+)?(?P<bold>{_BOLD})"
    return re.compile(f"{head}(?:{'|'.join(kinds)}){_BOLD}[ \\t　]*", re.MULTILINE)


@lru_cache(maxsize=64)
def bullets(labels: tuple[str, ...]) -> re.Pattern[str]:
    """The pattern of a bullet, or of a label without a number, at the start of a line."""
    names = rf"|(?i:{_any(labels)}){_BOLD}[:：]{_BOLD}" if labels else ""
    bullet = rf"[{re.escape(_BULLETS)}](?=[ \t　])|[•●▪・]"
    return re.compile(
        rf"^(?P<indent>[ \t　]*)(?P<bold>)(?:{bullet}|{_BOLD}(?:(?!){names}))[ \t　]*", re.MULTILINE
    )


@lru_cache(maxsize=64)
def _leading(labels: tuple[str, ...], ordinals: tuple[str, ...], numbered: bool) -> re.Pattern[str]:
    """The pattern of a mark before a single text: stricter, since no other items confirm the mark."""
    kinds = []
    if labels:
        number = r"(?:[#＃№]|[Nn][or]\.)?\s*\d{1,3}"
        after = rf"(?:\s*{number}\s*(?:{_BOLD}[.)．。）:：、]|\s[-–—](?=\s)|{_BOLD}\Z)|\s*{_BOLD}[:：])"
        kinds.append(rf"(?i:{_any(labels)}){after}")
    if numbered:
        upper = r"(?=[^\W\d_a-z])"
        kinds += [
            rf"\d{{1,3}}[ \t]?(?:[.)](?:(?={_BOLD}\s)|{upper})|:(?={_BOLD}\s)|[．）：](?!\d)|、(?!\d))",
            rf"\d{{1,3}}[ \t]+[-–—][ \t]+{_TEXT}",
            rf"[(（\[［【]\d{{1,3}}[)）\]］】][.:：]?\s*{_TEXT}",
            r"[#＃№][ \t]?\d{1,3}[.):：](?=\s)",
            r"[①-⑳]",
            rf"(?:[{re.escape(_BULLETS)}][ \t　]+|[•●▪・])(?:(?=\d{{1,3}}[.)][ \t])|{_TEXT})",
        ]
    kept = rf"(?!\s*(?:{_any(ordinals)})\b)" if ordinals else ""
    head = rf"\s*(?:#{{1,6}}[ \t]+)?(?P<bold>{_BOLD})"
    return re.compile(rf"{head}(?:{'|'.join(kinds) or '(?!)'}){_BOLD}{kept}\s*")


def unmarked(
    text: str, labels: Sequence[str] = (), ordinals: Sequence[str] = (), numbered: bool = True
) -> str:
    """A text without the list mark before it.

    Args:
        text: the text.
        labels: words that are a label if a colon, or a number and a colon, follows.
        ordinals: words before which a number is not a list number ("2. Weltkrieg").
        numbered: whether numbers and bullets are marks too, rather than only labels.
    """
    pattern = _leading(tuple(labels), tuple(ordinals), numbered)
    for _ in range(MOST):
        found = pattern.match(text)
        if not found or not text[found.end() :].strip(" \t\n*_"):
            break
        text = closed(text[found.end() :], found["bold"])
    return text


def closed(text: str, bold: str) -> str:
    """A text without the closing mark of an emphasis that began before it."""
    if not bold or text.count(bold) % 2 == 0:
        return text
    bare = text.rstrip()
    return bare[: -len(bold)].rstrip() if bare.endswith(bold) else text.replace(bold, "", 1)


def _any(words: Sequence[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
