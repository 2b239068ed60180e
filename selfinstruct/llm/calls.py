"""What an endpoint asks a model: how it is sent and counted, and which parts may be asked alone.

To ask a model for something else, write another `Call`; limits, retries, the budget and prices then apply to
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from selfinstruct.llm import Model
from selfinstruct.llm.plain import plain, shape_of
from selfinstruct.llm.prefill import continued
from selfinstruct.llm.prompt_cache import beginning_of
from selfinstruct.records import Reply, Request

if TYPE_CHECKING:
    from selfinstruct.journal.store import Journal


class Call(Protocol):
    """One request, and how it is sent; `Prompts` and `embedding.Texts` are two kinds."""

    @property
    def stage(self) -> str:
        """The stage that asks."""

    @property
    def number(self) -> int | None:
        """The request's number in its stage; None where it has none."""

    @property
    def name(self) -> str:
        """Words for it in messages."""

    @property
    def counts(self) -> int:
        """How many requests it is for the budget."""

    @property
    def several(self) -> bool:
        """Whether each of its parts may be asked alone, which shows which of them was refused."""

    @property
    def shapes(self) -> Sequence[str]:
        """For each of its replies, everything about the request except its texts.

        If a request of one shape was answered, the way to ask is right for that shape.
        """

    @property
    def characters(self) -> int:
        """The length of its texts."""

    @property
    def longest(self) -> float:
        """The most tokens that all its replies may have, if the request sets a limit."""

    def beginning(self, least: float) -> str:
        """The beginning that its provider is asked to keep; empty if there is none of so many tokens."""

    def plain(self) -> Call:
        """The same request with a plain text, for one reply; see `llm.plain`."""

    def note(self, journal: Journal) -> None:
        """Store that it was sent."""

    async def send(self, model: Any) -> list[Reply | None]:
        """Ask the model once; None for a part that must be asked alone."""


@dataclass(frozen=True)
class Prompts:
    """Prompts with the same sampling, sent as one request; see `Call`.

    Attributes:
        requests: as the stage composed them.
        adapted: as the model gets them.
    """

    requests: Sequence[Request]
    adapted: Sequence[Request]

    @property
    def stage(self) -> str:
        """See `Call`."""
        return self.requests[0].stage

    @property
    def number(self) -> int:
        """See `Call`."""
        return self.requests[0].number

    @property
    def name(self) -> str:
        """See `Call`."""
        return f"{self.stage} request {self.number}"

    @property
    def counts(self) -> int:
        """See `Call`."""
        return len(self.requests)

    @property
    def several(self) -> bool:
        """See `Call`."""
        return len(self.requests) > 1

    @property
    def shapes(self) -> list[str]:
        """See `Call`."""
        return [shape_of(request) for request in self.requests]

    @property
    def characters(self) -> int:
        """See `Call`."""
        texts = (one.text for request in self.requests for one in request.messages)
        return sum(map(len, texts)) + sum(len(request.tools) for request in self.requests)

    @property
    def longest(self) -> float:
        """See `Call`."""
        return float(self.requests[0].sampling.get("max_tokens") or 0) * len(self.requests)

    def beginning(self, least: float) -> str:
        """See `Call`."""
        return beginning_of(self.adapted[0], least)

    def plain(self) -> Prompts:
        """See `Call`."""
        return Prompts(self.requests[:1], [plain(self.adapted[0])])

    def note(self, journal: Journal) -> None:
        """See `Call`."""
        journal.sent(self.requests)

    async def send(self, model: Model) -> list[Reply | None]:
        """See `Call`."""
        replies = await model.complete(self.adapted)
        return [reply and continued(one, reply) for one, reply in zip(self.requests, replies, strict=True)]
