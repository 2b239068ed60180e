"""Parsers: from the text of a reply to candidates.

A factory makes a parser; the factory's keyword arguments are the options in `prompts.<stage>.parse`. A parser
gets the reply and the number of examples in the prompt, and loses nothing: it returns a piece that it cannot
use with the name of the check that rejects it: `cut` (the reply ended within it), `unreadable` or
`undecided`. The model's thought is removed first (`thought`). To add a parser, add a factory to one of
`MODULES`, or add a module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from selfinstruct.records import Reply
from selfinstruct.registry import Registry

CUT, UNREADABLE, UNDECIDED = "cut", "unreadable", "undecided"
Marks = Literal["any", "original"]  # which marks count: all that models write, or only the original's


@dataclass(frozen=True)
class Parsed:
    """A candidate read from a reply.

    Attributes:
        data: the fields read.
        check: the check that rejects the candidate at once; None if it is usable.
        reason: the reason for the rejection.
        otherwise: fields that a label stage sets anyway, if the recipe gives values for an answer that cannot
            be read; the reply still counts as rejected.
    """

    data: dict[str, Any]
    check: str | None = None
    reason: str | None = None
    otherwise: dict[str, Any] | None = None


@dataclass(frozen=True)
class Outline:
    """The JSON that a parser expects; some providers can make a model follow it.

    Attributes:
        keys: field: its key in a reply's objects, in the order of the prompt.
        items: the key that holds the list; None for a reply that is one object.
        values: field: its closed set of values, if it has one.
    """

    keys: Mapping[str, str]
    items: str | None
    values: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Parser:
    """Reads replies.

    Attributes:
        read: a function from a reply and the number of examples shown to candidates.
        fields: the fields of a candidate.
        values: field: its closed set of values, if it has one.
        outline: the JSON that it expects, if that is known beforehand.
        refused: the fields to set if the provider refuses to answer; None to reject the record.
        unreadable: the fields to set if the reply is empty, cut or unreadable; None to reject the record.
        unthought: the fields to set if the reply ended while the model thought; None to reject the record.
        reasoning: the field for the model's thought, which the recipe names; None to leave it out.
        decides: whether it reads an answer from a closed set; a record without such an answer is undecided.
        prose: whether any line of a reply may be free text.
    """

    read: Callable[[Reply, int], list[Parsed]]
    fields: tuple[str, ...]
    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    outline: Outline | None = None
    refused: Mapping[str, Any] | None = None
    unreadable: Mapping[str, Any] | None = None
    decides: bool = False
    prose: bool = True
    unthought: Mapping[str, Any] | None = None
    reasoning: str | None = None


MODULES = (
    *("numbered", "numbered_fields", "original", "labels", "blocks", "structured", "ratings", "plain"),
    "tool_calls",
)
PARSERS: Registry[Parser] = Registry(
    "parser", tuple(f"{__name__}.{module}" for module in MODULES), "parsers", Parser
)


def lost(reply: Reply, reason: str, check: str = UNREADABLE) -> list[Parsed]:
    """The whole reply as one rejected candidate."""
    return [Parsed({"reply": reply.text}, check, reason)]


def drop_last(pieces: list[Parsed], reply: Reply) -> list[Parsed]:
    """Reject the last piece of a reply that was cut by length, as the original does."""
    if reply.cut and pieces:
        pieces[-1] = Parsed(pieces[-1].data, CUT, "the reply reached max_tokens within this one")
    return pieces


def answer(reply: Reply) -> str:
    """The stripped text of a reply; the model's thought is already removed from it."""
    return reply.text.strip()
