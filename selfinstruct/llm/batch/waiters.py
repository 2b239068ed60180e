"""The requests of a stage that wait for their replies, and the open batches that have them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from selfinstruct.llm.batch.stored import Stored
from selfinstruct.llm.calls import Prompts
from selfinstruct.records import Reply


@dataclass(eq=False)
class Waiter:
    """A request that waits for its reply.

    Attributes:
        call: the request.
        future: gets the reply; None if the run stops before.
        tries: how many batches have ended with its reply, or without.
    """

    call: Prompts
    future: asyncio.Future[Reply | None]
    tries: int = 0

    @property
    def number(self) -> int:
        """The number of the request."""
        return self.call.number

    def settle(self, outcome: Reply | Exception | None) -> None:
        """End the waiting: a reply, an error, or None as the run stops; only the first one counts."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class Waiters:
    """Who waits, and for which batch.

    Attributes:
        waiting: by number: the requests that somebody waits for.
        batch: by number: the open batch that has a request, if somebody waits for it yet or not.
    """

    def __init__(self) -> None:
        self.waiting: dict[int, Waiter] = {}
        self.batch: dict[int, Stored] = {}

    def numbers_in(self, sent: Stored) -> list[int]:
        """The requests that a batch has, without those that have left it."""
        return [number for number in sent.numbers if self.batch.get(number) is sent]

    def waiting_in(self, sent: Stored) -> list[Waiter]:
        """Those who wait for a batch."""
        return [self.waiting[number] for number in self.numbers_in(sent) if number in self.waiting]

    def leave(self, sent: Stored) -> list[int]:
        """Take all requests out of a batch; return their numbers."""
        numbers = self.numbers_in(sent)
        for number in numbers:
            del self.batch[number]
        return numbers
