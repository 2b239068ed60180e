"""What is wrong with a reply as a whole, before anything is read from it.

None of it stops a run: the reply is kept, what it would have been is rejected under the name of the check,
and the run goes on. To add a check, add a line to `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from selfinstruct.records import Reply

# Finish reasons, and checks.
CONTENT_FILTER, CONTEXT, NO_CHOICES = "content_filter", "context", "no_choices"
REFUSED, BROKEN_OFF = "refused", "broken_off"
EMPTY, MISSING = "empty_reply", "missing_choice"
LARGEST = 262_144  # characters; a reply of 64,000 tokens has about as many
MOST_IN_A_ROW = 20


def _empty(reply: Reply) -> str | None:
    return None if reply.text.strip() else "the reply is empty"


def _withheld(reply: Reply) -> str | None:
    withheld = reply.finish_reason == CONTENT_FILTER
    return "the provider's content filter ended the reply" if withheld else None


def _oversized(reply: Reply) -> str | None:
    size = len(reply.text)
    return f"the reply has {size:,} characters, more than {LARGEST:,}" if size > LARGEST else None


def _repeated_line(reply: Reply) -> str | None:
    if reply.text.count("\n") < MOST_IN_A_ROW:
        return None
    lines = (line.strip() for line in reply.text.split("\n"))
    for line, run in groupby(line for line in lines if line):
        times = sum(1 for _ in run)
        if times > MOST_IN_A_ROW:
            return f"one line {times} times in a row: {line[:60]!r}"
    return None


CHECKS: dict[str, Callable[[Reply], str | None]] = {
    CONTENT_FILTER: _withheld,
    EMPTY: _empty,
    "oversized": _oversized,
    "repeated_line": _repeated_line,
}


def fault_of(reply: Reply) -> tuple[str, str] | None:
    """The check that a reply does not pass, and why; None for one that can be read."""
    if reply.error is not None:
        return reply.finish_reason, reply.error
    for name, check in CHECKS.items():
        reason = check(reply)
        if reason:
            return name, reason
    return None
