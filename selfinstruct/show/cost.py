"""What a record has cost: its share of the replies that it was read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from selfinstruct.records import Record, Reply
from selfinstruct.run_folder.opened import OpenedRun


def cost_of(run: OpenedRun, records: Iterable[Record]) -> dict[str, Any]:
    """The amounts for some records; each has an even share of the replies that it was read from."""
    tokens, usd, seconds, replies, priced = 0.0, 0.0, 0.0, 0, False
    for reply, share in (one for record in records for one in _shares(run, record)):
        replies += 1
        tokens += share * (reply.prompt_tokens + reply.completion_tokens)
        seconds += share * reply.seconds
        usd += share * (reply.cost_usd or 0.0)
        priced = priced or reply.cost_usd is not None
    amounts = {"replies": replies, "tokens": round(tokens, 1), "seconds": round(seconds, 3)}
    return {**amounts, "usd": round(usd, 8) if priced else None}


def _shares(run: OpenedRun, record: Record) -> Iterator[tuple[Reply, float]]:
    """The reply that a record was read from, with its share of it.

    A conversation also has the replies of its earlier turns: those with the numbers before, about the same
    record, that made no record of their own.
    """
    number = record.request
    count = _read_from(run, record.stage, number)
    while reply := run.journal.reply(record.stage, number):
        yield reply, 1 / max(1, count)
        number -= 1
        request = run.journal.request(record.stage, number)
        if request is None or request.parent != record.parent or _read_from(run, record.stage, number):
            break


def _read_from(run: OpenedRun, stage: str, number: int) -> int:
    """How many records were read from a reply."""
    return sum(1 for _ in run.journal.records(stage, request=number))
