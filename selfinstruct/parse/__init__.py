"""Parsers: from the text of a reply to candidates.

A parser is made by a factory whose keyword arguments are its options in `prompts.<stage>.parse`. It gets the
reply and how many examples the prompt showed, and loses nothing: a piece it cannot use is returned with the
name of the check that rejects it, `cut` (the reply ended within it) or `unreadable`. To add a parser, add a
factory to one of `MODULES`, or a module to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator

from selfinstruct.records import Reply
from selfinstruct.registry import Registry

CUT, UNREADABLE = "cut", "unreadable"


@dataclass(frozen=True)
class Parsed:
    """A candidate as read.

    Attributes:
        data: the fields read.
        check: name of the check that rejects it at once, None for a usable one.
        reason: why, in words.
        otherwise: the fields that a label stage sets all the same, where the recipe says what an answer means
            that cannot be read; the reply still counts as rejected.
    """

    data: dict[str, Any]
    check: str | None = None
    reason: str | None = None
    otherwise: dict[str, Any] | None = None


@dataclass(frozen=True)
class Outline:
    """What a parser of JSON expects, for a provider that can hold a model to it.

    Attributes:
        keys: field: its key in a reply's objects, in the order asked for.
        items: the key that holds the list; None for a reply that is one object.
        values: field: its closed set of values, where it has one.
    """

    keys: Mapping[str, str]
    items: str | None
    values: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Parser:
    """Reads replies.

    Attributes:
        read: from a reply and the number of examples shown to candidates.
        fields: the fields that a candidate has.
        values: field: its closed set of values, where it has one.
        refusals: whether it reads a refused request too, as an empty reply.
        outline: the JSON that it expects, where that can be said beforehand.
    """

    read: Callable[[Reply, int], list[Parsed]]
    fields: tuple[str, ...]
    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    refusals: bool = False
    outline: Outline | None = None


MODULES = ("numbered", "original", "labels", "blocks", "structured", "plain")
PARSERS: Registry[Parser] = Registry(
    "parser", tuple(f"{__name__}.{module}" for module in MODULES), "parsers", Parser
)


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


def lost(reply: Reply, reason: str, check: str = UNREADABLE) -> list[Parsed]:
    """The whole reply as one candidate that is rejected."""
    return [Parsed({"reply": reply.text}, check, reason)]


def drop_last(pieces: list[Parsed], reply: Reply) -> list[Parsed]:
    """Reject the last piece of a reply cut by length (METHOD: it loses its last instance)."""
    if reply.cut and pieces:
        pieces[-1] = Parsed(pieces[-1].data, CUT, "the reply reached max_tokens within this one")
    return pieces


def answer(reply: Reply) -> str:
    """The text without the thoughts that some models write before their answer."""
    text = reply.text.strip()
    return text.rpartition("</think>")[2].strip() if text.startswith("<think>") else text
