"""Texts of records on a page: shown as text, never run, and cut if they are long.

The templates escape every text. Characters that a reader cannot see, or that would reverse the text around
them, are shown by their code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from markupsafe import Markup, escape

from selfinstruct.monitor.terminal import ACTING
from selfinstruct.text.readable import readable

LONGEST = 4_000  # characters of a text that are shown at first
MOST_WORDS = 4_000  # of two texts that are compared word by word
_WORDS = re.compile(r"[0-9A-Za-z_\u00c0-\u024f]+|\s+|.", re.DOTALL)  # signs of other scripts one by one


def marked(text: str) -> Markup:
    """A text as HTML: escaped, with the codes of characters that would act or cannot be seen."""
    pieces, done = [], 0
    for found in ACTING.finditer(text):
        pieces.append(escape(text[done : found.start()]))
        pieces.append(Markup('<span class="sign">U+{:04X}</span>').format(ord(found[0])))
        done = found.end()
    return Markup("").join([*pieces, escape(text[done:])])


def shown(value: Any) -> str:
    """A value as people read it, with plain line breaks."""
    return readable(value, indent=2).replace("\r\n", "\n")


def figure(value: Any) -> str:
    """A detail of a check in short: a number with a few digits, another value as text, cut."""
    return f"{value:.4g}" if isinstance(value, float) else shown(value)[:200]


def as_typed(text: str) -> str:
    """A text as it comes back from a form that nobody changed: browsers know only one kind of line break."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def changes(before: str, after: str) -> Iterator[tuple[str, str]]:
    """The differences of two texts, word by word: pairs of `same`, `gone` or `new` and the words.

    Long texts are given as a whole, since the comparison takes time by the square of their length.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) + len(new) > MOST_WORDS:
        yield from (("gone", before), ("new", after))
        return
    for kind, first, last, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield "same", "".join(old[first:last])
            continue
        if first < last:
            yield "gone", "".join(old[first:last])
        if start < end:
            yield "new", "".join(new[start:end])
