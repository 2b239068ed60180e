"""How a replay finds the recorded reply to a request: by its number, or by its content.

With other settings, a stage whose prompts show the pool would send other prompts, so its replies are found by
number; a stage that asks about single records finds the reply to the same question.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Protocol

from selfinstruct.journal.store import Journal
from selfinstruct.records import Reply, Request
from selfinstruct.safety.blot import blotted

# These sampling keys follow from a request's number, the schema, or the prompt's length (when_too_long).
UNSAID = ("seed", "response_format", "max_tokens")


@dataclass
class ReplayStats:
    """Counts of the recorded replies of one stage in a replay.

    Attributes:
        recorded: replies that the source run has.
        used: how many of them were read again.
        unanswered: requests that the source run never sent, so the reply is unknown.
        prompts_differ: how many prompts of a bootstrap stage would be different now.
        first_differing: the number of the first of these; None if there is none.
    """

    recorded: int = 0
    used: int = 0
    unanswered: int = 0
    prompts_differ: int = 0
    first_differing: int | None = None


class Tape(Protocol):
    """The recorded replies of one stage; a replay that continues has used some already."""

    def find(self, request: Request) -> tuple[Request, Reply] | None:
        """The recorded request and its reply; None if it was never sent, or never answered."""

    def over(self, turn: int) -> bool:
        """Whether no reply is left, for a stage that would continue to ask."""


class ByNumber:
    """Finds replies by number, whatever the request would be now; see `Tape`.

    Args:
        name: the stage.
        source: the journal of the run that is replayed.
        into: the journal of the replay.
        stats: gets the counts.
    """

    def __init__(self, name: str, source: Journal, into: Journal, stats: ReplayStats) -> None:
        self._name, self._source, self._stats = name, source, stats
        numbers, self._had = source.replied(name), into.replied(name)
        self._last = max(numbers, default=0)
        stats.recorded, stats.used = len(numbers), len(self._had)
        stats.unanswered = max(self._had, default=0) - len(self._had)

    def find(self, request: Request) -> tuple[Request, Reply] | None:
        """See `Tape`; returns the request as it was sent."""
        reply = self._source.reply(self._name, request.number)
        if reply is None:
            return None
        sent = self._source.request(self._name, request.number) or request
        if request.number not in self._had:
            self._stats.used += 1
            self._note(request, sent)
        return sent, replace(reply, attempts=0)  # paid for by the source run

    def over(self, turn: int) -> bool:
        """See `Tape`."""
        return turn > self._last

    def _note(self, request: Request, sent: Request) -> None:
        """Count a request that differs from the one that would be sent now."""
        if content(sent) != content(request):
            self._stats.prompts_differ += 1
            self._stats.first_differing = self._stats.first_differing or request.number


class ByContent:
    """Finds the reply to the same question, whatever its number was; see `Tape` and `ByNumber`."""

    def __init__(self, name: str, source: Journal, into: Journal, stats: ReplayStats) -> None:
        self._name, self._source, self._stats = name, source, stats
        numbers, self._had = source.replied(name), into.replied(name)
        stats.recorded, stats.used, stats.unanswered = len(numbers), len(self._had), 0
        self._numbers: dict[bytes, list[int]] = defaultdict(list)
        for request in source.requests(name):
            if request.number in numbers:
                self._numbers[content(request)].append(request.number)
        for request in into.requests(name):
            if request.number in self._had:
                self._number(request)  # used before, so an equal request gets the next reply

    def find(self, request: Request) -> tuple[Request, Reply] | None:
        """See `Tape`."""
        number = self._number(request)
        reply = self._source.reply(self._name, number) if number else None
        if reply is None:
            return None
        self._stats.used += request.number not in self._had
        return request, replace(reply, attempts=0)  # paid for by the source run

    def over(self, turn: int) -> bool:
        """See `Tape`; always False, since the stage ends with its records."""
        return False

    def _number(self, request: Request) -> int:
        """The recorded request with the same content; if there are several, the first one not yet used."""
        same = self._numbers.get(content(request))
        return same.pop(0) if same else 0


def content(request: Request) -> bytes:
    """A digest of the request, without the parts that may differ for the same question."""
    sampling = {key: value for key, value in request.sampling.items() if key not in UNSAID}
    texts = [request.system, request.prompt, *([request.turns] if request.turns else [])]
    asked = blotted(json.dumps([sampling, *texts], sort_keys=True))  # as it is stored
    return blake2b(asked.encode(), digest_size=16).digest()
