"""The open batches of a run, in words: the same ones wherever a user looks at the run."""

from __future__ import annotations

from selfinstruct.journal.store import Journal
from selfinstruct.llm.batch.stored import Stored, open_batches
from selfinstruct.llm.batch.words import clock, requests

PAGE = "docs/batches.md"
STARTED = "the command that started the run"


def still_open(journal: Journal, command: str = STARTED) -> list[str]:
    """A line for each batch whose replies are not here yet, and one that says what to do; empty without one.

    Args:
        journal: the run's journal.
        command: the command that picks the batches up, in words; empty if a process waits for them already.
    """
    lines = [line_of(sent) for sent in open_batches(journal)]
    if not lines:
        return []
    which = "it" if len(lines) == 1 else "them"
    picked_up = f"{command} picks {which} up; " if command else ""
    return [*lines, f"{picked_up}{PAGE} says how to cancel {which}"]


def line_of(sent: Stored) -> str:
    """A batch that is open: what it has, where it is and since when, and what it holds of a budget."""
    name = f"batch {sent.id}" if sent.id else "a batch that may have been made"
    where = f"is open at the provider of {sent.model} since {clock(sent.made)}"
    held = f", for at most ${sent.usd:,.2f}" if sent.usd >= 0.01 else ""
    return f"{name}, with {requests(sent.count)} of {sent.stage}, {where}{held}"
