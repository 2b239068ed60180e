"""What the journal keeps of a batch: written before it is sent, and after each step.

So a start after Ctrl-C or a kill, in another process or on another machine, finds the batch again. A batch
is a fact of the journal, by its stage and its key; its state says how far it is:

    making   its requests are written down; it may or may not exist at the provider
    sent     it exists there, and its id is known
    taken    the replies of all its answered requests are in the journal
    lost     it never came to be, was refused as a whole, or was given up
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

from selfinstruct.journal.store import AT_PROVIDER, BATCHES, Journal

MAKING, SENT = AT_PROVIDER
TAKEN, LOST = "taken", "lost"


@dataclass(eq=False)
class Stored:
    """A batch, as the journal has it.

    Attributes:
        key: its own name: the ids of its requests begin with it.
        stage: the stage that asks.
        model: the model's name.
        runs: the numbers of its requests, as pairs of the first and the last of numbers without a gap.
        state: how far it is.
        file: the id of its file at the provider; empty if there is none yet, or its provider takes none.
        id: its id at the provider.
        made: when it was written down, in seconds since 1970.
        usd: the most that it may cost.
        tokens: the most tokens that it may take.
    """

    key: str
    stage: str
    model: str
    runs: list[list[int]]
    state: str = MAKING
    file: str = ""
    id: str = ""
    made: float = field(default_factory=time.time)
    usd: float = 0.0
    tokens: float = 0.0

    @property
    def numbers(self) -> Iterator[int]:
        """The numbers of its requests."""
        for first, last in self.runs:
            yield from range(first, last + 1)

    @property
    def count(self) -> int:
        """How many requests it has."""
        return sum(last - first + 1 for first, last in self.runs)

    def has(self, number: int) -> bool:
        """Whether a request is in it."""
        return any(first <= number <= last for first, last in self.runs)

    def unanswered(self, journal: Journal) -> set[int]:
        """The numbers of its requests whose replies are not in the journal."""
        if not self.runs:
            return set()
        return set(self.numbers) - journal.replied(self.stage, (self.runs[0][0], self.runs[-1][1]))

    def id_of(self, number: int) -> str:
        """The id of a request in it."""
        return f"{self.key}-{number}"

    def number_of(self, id: str) -> int | None:
        """The number of the request with an id; None if it is not of this batch."""
        key, _, number = id.rpartition("-")
        return int(number) if key == self.key and number.isascii() and number.isdecimal() else None

    def to(self, journal: Journal, state: str = "") -> None:
        """Store it, perhaps with a new state."""
        self.state = state or self.state
        journal.set_meta(f"{BATCHES}{self.stage}/{self.key}", asdict(self))


def runs_of(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers in order, as pairs of the first and the last of those without a gap."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def open_batches(journal: Journal) -> list[Stored]:
    """The batches whose replies are not all in the journal, in the order in which they were made."""
    found = [Stored(**one) for one in journal.facts(BATCHES).values() if one["state"] in AT_PROVIDER]
    return [one for one in sorted(found, key=lambda one: one.made) if one.unanswered(journal)]


def reach(journal: Journal, model: str) -> int:
    """How many requests must be asked together, so that all in a model's open batches are; 0 without batches.

    If the user makes batches smaller, those that are open may have more requests than are in flight. They
    could then wait for a request whose batch waits for them.
    """
    most = 0
    for sent in open_batches(journal):
        if sent.model == model:
            taken = journal.count("reply", sent.stage) - len(journal.untaken(sent.stage))
            most = max(most, sent.runs[-1][1] - taken)
    return most
