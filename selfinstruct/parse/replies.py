"""Check a reply as a whole, before anything is read from it.

A failed check never stops a run: the reply is kept, its candidate is rejected under the name of the check,
and the run goes on. To add a check, add a line to `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from selfinstruct.parse.thought import Said
from selfinstruct.records import Reply

# Finish reasons, and checks.
CONTENT_FILTER, CONTEXT, NO_CHOICES = "content_filter", "context", "no_choices"
REFUSED, BROKEN_OFF = "refused", "broken_off"
EMPTY, MISSING, THINKING_CUT = "empty_reply", "missing_choice", "thinking_cut"
LARGEST = 262_144  # characters; about as many as in a reply of 64,000 tokens
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


@dataclass(frozen=True)
class Keys:
    """The recipe's keys that limit a reply, for messages.

    Attributes:
        longest: the key for the longest reply.
        stop: the key for the stop strings; None if there are none.
        room: the key for the tokens that a model may think; None if the model has no such key.
    """

    longest: str = "max_tokens"
    stop: str | None = None
    room: str | None = None


def fault_of(said: Said, keys: Keys) -> tuple[str, str] | None:
    """The check that a reply fails, and the reason; None if the reply can be read.

    Args:
        said: the reply without its thought.
        keys: keys that a reason names, for the user to change.
    """
    reply = said.reply
    if reply.error is not None:
        return reply.finish_reason, reply.error
    if said.thinks and reply.finish_reason != CONTENT_FILTER and not reply.text.strip():
        return THINKING_CUT, _only_thought(said, keys)
    for name, check in CHECKS.items():
        reason = check(reply)
        if reason:
            return name, reason
    return None


def _only_thought(said: Said, keys: Keys) -> str:
    """The reason for rejecting a reply that has only a thought."""
    what = "no answer follows the thought"
    if said.open or said.reached:
        what = "the reply ends within its thought, before any answer"
    room = f"{keys.longest} or {keys.room}" if keys.room else keys.longest
    help = f"the tokens were spent on thinking; raise {room}, or make the model think less"
    if keys.stop and not said.reached:
        help += f"; if a stop string ended it, remove that from {keys.stop}"
    return f"{what}: {help}"
