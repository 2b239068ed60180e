"""Parsers: from the text of a reply to candidates.

A parser is made by a factory whose keyword arguments are its options in `prompts.<stage>.parse`. It gets the
reply and how many examples the prompt showed, and loses nothing: a piece it cannot use is returned with the
name of the check that rejects it, `cut` (the reply ended within it), `unreadable` or `undecided`. The thought
of a model is taken off before (`thought`). To add a parser, add a factory to one of `MODULES`, or a module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from selfinstruct.records import Reply
from selfinstruct.registry import Registry

CUT, UNREADABLE, UNDECIDED = "cut", "unreadable", "undecided"
Marks = Literal["any", "original"]  # the marks a parser takes: as models write them, or the original's alone


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
        outline: the JSON that it expects, where that can be said beforehand.
        refused: the fields of a record that the provider refuses to answer about; None to reject it.
        unreadable: those of one whose reply is empty, cut or cannot be read; None to reject it.
        decides: whether it reads the answer to a question of a closed set: where there is none, the record is
            undecided.
        prose: whether any line of a reply may be the model's own text.
    """

    read: Callable[[Reply, int], list[Parsed]]
    fields: tuple[str, ...]
    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    outline: Outline | None = None
    refused: Mapping[str, Any] | None = None
    unreadable: Mapping[str, Any] | None = None
    decides: bool = False
    prose: bool = True


MODULES = ("numbered", "numbered_fields", "original", "labels", "blocks", "structured", "plain")
PARSERS: Registry[Parser] = Registry(
    "parser", tuple(f"{__name__}.{module}" for module in MODULES), "parsers", Parser
)


def lost(reply: Reply, reason: str, check: str = UNREADABLE) -> list[Parsed]:
    """The whole reply as one candidate that is rejected."""
    return [Parsed({"reply": reply.text}, check, reason)]


def drop_last(pieces: list[Parsed], reply: Reply) -> list[Parsed]:
    """Reject the last piece of a reply cut by length (METHOD: it loses its last instance)."""
    if reply.cut and pieces:
        pieces[-1] = Parsed(pieces[-1].data, CUT, "the reply reached max_tokens within this one")
    return pieces


def answer(reply: Reply) -> str:
    """The text of a reply, stripped; a parser gets it without the thought of the model."""
    return reply.text.strip()
