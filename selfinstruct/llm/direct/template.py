"""The body of a request as a template: JSON with holes for the texts and for the seed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

OPEN, CLOSE = "\ue000", "\ue001"  # characters for private use, which mean nothing to any library
SEED = 7_310_482_905_161  # stands for the seed
OF_SEED, OF_LIST = -1, -2  # the holes for the seed and for a list of all texts
LISTED = r"\ue000all\ue001"  # stands for the items of a list of all texts, in JSON
HOLE = re.compile(r"\\ue000(\d+|all)\\ue001|\b" + str(SEED) + r"\b")


class NotATemplateError(Exception):
    """A body is not the same for all texts; the message says why."""


@dataclass(frozen=True)
class Template:
    """The body of a request with holes.

    Attributes:
        pieces: the JSON before, between and after the holes, in ASCII.
        holes: what goes between the pieces: the index of a text, `OF_SEED`, or `OF_LIST`.
    """

    pieces: tuple[str, ...]
    holes: tuple[int, ...]

    def fill(self, texts: Sequence[str], seed: int | None = None) -> bytes:
        """The body for these texts."""
        parts = [self.pieces[0]]
        for hole, piece in zip(self.holes, self.pieces[1:], strict=True):
            if hole == OF_SEED:
                parts.append(str(seed))
            elif hole == OF_LIST:
                parts.append(",".join(map(quoted, texts)))
            else:
                parts.append(quoted(texts[hole])[1:-1])
            parts.append(piece)
        return "".join(parts).encode("ascii")


def marks(count: int) -> list[str]:
    """Texts that stand for the texts of a request."""
    return [f"{OPEN}{place}{CLOSE}" for place in range(count)]


def template_of(body: bytes, count: int, listed: bool, seeded: bool) -> Template:
    """The template of a body that was written with marks.

    Args:
        body: the body.
        count: the number of its texts.
        listed: whether they are a list, which may have any length.
        seeded: whether it has a seed.

    Raises:
        NotATemplateError: if a mark is missing.
        ValueError: if the body is not JSON.
    """
    text = _compact(json.loads(body))
    if listed:
        text = text.replace(_compact(marks(count)), f"[{LISTED}]")
    *found, rest = _split(text)
    holes = tuple(hole for _, hole in found)
    if {*holes} != {*([OF_LIST] if listed else range(count)), *([OF_SEED] if seeded else [])}:
        raise NotATemplateError("LiteLLM changes a text, or leaves it out")
    return Template((*(piece for piece, _ in found), rest[0]), holes)


def _split(text: str) -> list[tuple[str, int]]:
    """The pieces between the holes, each with the hole after it; nothing comes after the last piece."""
    found, start = [], 0
    for match in HOLE.finditer(text):
        name = match[1]
        hole = OF_SEED if name is None else OF_LIST if name == "all" else int(name)
        found.append((text[start : match.start()], hole))
        start = match.end()
    return [*found, (text[start:], OF_SEED)]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
