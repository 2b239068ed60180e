"""What a row of the journal holds, and back: replies, thoughts and records; texts without secrets."""

from __future__ import annotations

import json
from sys import intern
from typing import Any

from selfinstruct.journal.checksums import Values
from selfinstruct.records import Record, Reply, Request, storable
from selfinstruct.safety.blot import blotted

_decoded = json.JSONDecoder().raw_decode  # without a search for spaces around it, which no row has


def row_of_reply(request: Request, reply: Reply) -> Values:
    """A reply that was not taken in yet."""
    return (
        request.stage,
        request.number,
        text_of(reply.text),
        text_of(reply.finish_reason),
        text_of(reply.model),
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.cost_usd,
        reply.seconds,
        reply.attempts,
        text_of(reply.error),
        0,
        json_of(reply.others) if reply.others else None,
        reply.counted,
    )


def row_of_thinking(request: Request, reply: Reply) -> Values:
    """A reply's thought, and those of its other choices."""
    others = json_of(reply.other_thoughts) if reply.other_thoughts else None
    return (request.stage, request.number, text_of(reply.thought), others, reply.thinking_tokens)


def row_of_record(record: Record) -> Values:
    """A record."""
    return (
        record.id,
        record.stage,
        record.request,
        record.position,
        record.parent,
        json_of(record.data),
        record.fate,
        record.check,
        text_of(record.reason),
        json_of(record.detail),
    )


def record_of_row(row: tuple[Any, ...]) -> Record:
    """The record of a row."""
    id, stage, number, position, parent, data, fate, check, reason, detail = row
    # A large run reads all its records at its end, and would hold a copy of each name for each of them.
    fields = {intern(key): value for key, value in _decoded(data)[0].items()}
    about = _decoded(detail)[0] if detail != "{}" else {}
    fates = intern(fate), check and intern(check)
    return Record(id, intern(stage), number, position, fields, parent, *fates, reason, about)


def storable_turns(turns: list[list[str]]) -> list[list[str]]:
    """The texts of messages in a form that UTF-8 can hold."""
    return [[role, storable(text)] for role, text in turns]


def json_of(value: Any) -> str:
    """A value as JSON."""
    return blotted(json.dumps(value))


def text_of(value: str | None) -> str | None:
    """A text in a form that UTF-8 can hold."""
    return None if value is None else blotted(storable(value))
