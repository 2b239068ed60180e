"""How a replay finds the recorded reply to a request: by its number, or by its content.

With other settings, a stage whose prompts show the pool would send other prompts, so its replies are found by
number; a stage that asks about single records finds the reply to the same question.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterator
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


class _Recorded:
    """What all tapes have in common.

    Args:
        name: the stage.
        source: the journal of the run that is replayed.
        into: the journal of the replay.
        stats: gets the counts.
    """

    def __init__(self, name: str, source: Journal, into: Journal, stats: ReplayStats) -> None:
        self._name, self._source, self._into, self._stats = name, source, into, stats
        self._numbers, self._had = source.replied(name), into.replied(name)
        stats.recorded, stats.used, stats.unanswered = len(self._numbers), len(self._had), 0

    def over(self, turn: int) -> bool:
        """See `Tape`; False for a stage that ends with its records."""
        return False

    def _answered(self) -> Iterator[Request]:
        """The requests that have a recorded reply, in order."""
        return (one for one in self._source.requests(self._name) if one.number in self._numbers)

    def _used(self) -> Iterator[Request]:
        """The requests of the replay that have one already, before it was continued."""
        return (one for one in self._into.requests(self._name) if one.number in self._had)

    def _count(self, request: Request) -> None:
        """Count a reply that is read again."""
        self._stats.used += request.number not in self._had

    def _compare(self, request: Request, sent: Request) -> None:
        """Count a request that differs from the one that would be sent now."""
        if content(sent) != content(request):
            self._stats.prompts_differ += 1
            self._stats.first_differing = self._stats.first_differing or request.number


class ByNumber(_Recorded):
    """Finds replies by number, whatever the request would be now; see `Tape`."""

    def __init__(self, name: str, source: Journal, into: Journal, stats: ReplayStats) -> None:
        super().__init__(name, source, into, stats)
        self._last = max(self._numbers, default=0)
        stats.unanswered = max(self._had, default=0) - len(self._had)

    def find(self, request: Request) -> tuple[Request, Reply] | None:
        """See `Tape`; returns the request as it was sent."""
        reply = self._source.reply(self._name, request.number)
        if reply is None:
            return None
        sent = self._source.request(self._name, request.number) or request
        self._count(request)
        if request.number not in self._had:
            self._compare(request, sent)
        return sent, free(reply)

    def over(self, turn: int) -> bool:
        """See `Tape`."""
        return turn > self._last


class ByContent(_Recorded):
    """Finds the reply to the same question, whatever its number was; see `Tape`."""

    def __init__(self, name: str, source: Journal, into: Journal, stats: ReplayStats) -> None:
        super().__init__(name, source, into, stats)
        self._same: dict[bytes, deque[int]] = defaultdict(deque)
        for request in self._answered():
            self._same[content(request)].append(request.number)
        for request in self._used():
            self._next(request)  # so an equal request gets the next reply

    def find(self, request: Request) -> tuple[Request, Reply] | None:
        """See `Tape`."""
        number = self._next(request)
        reply = self._source.reply(self._name, number) if number else None
        if reply is None:
            return None
        self._count(request)
        return request, free(reply)

    def _next(self, request: Request) -> int:
        """The recorded request with the same content; if there are several, the first one not yet used."""
        same = self._same.get(content(request))
        return same.popleft() if same else 0


class ByRecord(_Recorded):
    """Finds the replies to the requests about the same record, in order, whatever these asked; see `Tape`."""

    def __init__(self, name: str, source: Journal, into: Journal, stats: ReplayStats) -> None:
        super().__init__(name, source, into, stats)
        self._left: dict[str | None, deque[int]] = defaultdict(deque)
        for request in self._answered():
            self._left[request.parent].append(request.number)
        for request in self._used():
            if self._left[request.parent]:
                self._left[request.parent].popleft()

    def find(self, request: Request) -> tuple[Request, Reply] | None:
        """See `Tape`; returns the request as it was sent, with its number in the replay."""
        left = self._left[request.parent]
        number = left.popleft() if left else 0
        reply, sent = self._source.reply(self._name, number), self._source.request(self._name, number)
        if reply is None or sent is None:
            return None
        self._count(request)
        self._compare(request, sent)
        return replace(sent, number=request.number), free(reply)


def free(reply: Reply) -> Reply:
    """The reply as a replay has it: the source run has paid for it."""
    return replace(reply, attempts=0)


def content(request: Request) -> bytes:
    """A digest of the request, without the parts that may differ for the same question."""
    sampling = {key: value for key, value in request.sampling.items() if key not in UNSAID}
    texts = [request.system, request.prompt, *([request.turns] if request.turns else [])]
    asked = blotted(json.dumps([sampling, *texts], sort_keys=True))  # as it is stored
    return blake2b(asked.encode(), digest_size=16).digest()
