"""Read the bodies of answers in any encoding, and cut them to a size that LiteLLM can handle.

LiteLLM searches for keys and model names with regular expressions that take minutes for a megabyte, and block
every other request meanwhile.
"""

from __future__ import annotations

import codecs
import json
import math
from email.message import Message
from typing import Any

LARGEST_ERROR = 16_384  # bytes
LONGEST_NAME = 200  # characters of a text that is not content: a model's name, an id, a finish reason
LONGEST_NUMBER = 400  # digits
# The limits for cutting an error: the length of a text, the number of entries in a list or an object, and the
# depth of nesting. Each line applies if the one before leaves too much.
CUTS = ((2000, 50, 8), (500, 10, 4), (40, 3, 3))
TELLING = ("error", "message", "code", "type", "status", "detail", "reason")  # keys that are kept first
OF_HOSTS = ("idna", "punycode")  # not encodings of texts, and slow


def parsed(content: bytes, kind: str | None = None) -> Any:
    """Parse a JSON body in UTF-8, as JSON must be, or else in the encoding that the answer names.

    Args:
        content: the body.
        kind: the answer's content type, which may name the encoding.

    Raises:
        ValueError: if it is not JSON.
        RecursionError: if it is nested too deeply.
    """
    try:
        return DECODER.decode(content.decode())
    except ValueError:  # rare; json also knows the other encodings of Unicode, and a byte order mark
        try:
            return json.loads(content, parse_int=_whole)
        except ValueError:
            text = _decoded(content, _charset(kind))
            if text is None:
                raise
    return json.loads(text, parse_int=_whole)


def cut_error(content: bytes, kind: str | None = None) -> bytes:
    """The body of an error with this content type; a large one is cut, and JSON stays valid JSON."""
    if len(content) <= LARGEST_ERROR:
        return content
    try:
        said = parsed(content, kind)
    except (ValueError, RecursionError):
        return content[:LARGEST_ERROR]
    sizes = (json.dumps(_cut(said, *bounds)).encode() for bounds in CUTS)
    return next((body for body in sizes if len(body) <= LARGEST_ERROR), b"{}")


def named(value: Any) -> Any:
    """A part of an answer that is not content, with all its texts cut except the arguments of a call."""
    if isinstance(value, str) and len(value) <= LONGEST_NAME:  # nearly always
        return value
    return _cut(value, LONGEST_NAME, 1000, 5, whole=("arguments",))


def _cut(value: Any, longest: int, most: int, depth: int, whole: tuple[str, ...] = ()) -> Any:
    if isinstance(value, str):  # first remove blanks, so that the shown part of a message is not near the cut
        return value if len(value) <= longest else " ".join(value.split())[:longest]
    if not isinstance(value, dict | list):
        return value
    if not depth:
        return None
    bounds = (longest, most, depth - 1, whole)
    if isinstance(value, list):
        return [_cut(one, *bounds) for one in value[:most]]
    kept = sorted(value, key=lambda key: key.lower() not in TELLING)[:most]
    return {key[:longest]: value[key] if key in whole else _cut(value[key], *bounds) for key in kept}


def _decoded(content: bytes, charset: str | None) -> str | None:
    try:
        known = charset and codecs.lookup(charset).name not in OF_HOSTS
        return content.decode(charset) if charset and known else None
    except (ValueError, LookupError):
        return None


def _charset(kind: str | None) -> str | None:
    """The encoding that a content type names."""
    if not kind or "charset" not in kind.lower():
        return None
    message = Message()
    message["content-type"] = kind
    return message.get_content_charset()


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= LONGEST_NUMBER else math.inf


DECODER = json.JSONDecoder(parse_int=_whole)
