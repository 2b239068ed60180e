"""Where a provider bills storing a beginning in its prompt cache, one request stores it before others follow.

A provider finds a beginning in its cache once a reply has begun. If many requests with a new beginning are
sent at once, each of them stores it: for Claude at 1.25 times the price, where reading it costs a tenth.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from selfinstruct.llm.calls import Call


class FirstAlone:
    """Lets one request with a marked beginning be answered before others with the same one are sent.

    Args:
        least: the least tokens of a beginning that gets a mark; None if none does.
    """

    def __init__(self, least: float | None) -> None:
        self._least = least
        self._stored: set[str] = set()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[None]:
        """Wait until the call may be sent; if the first one fails, the next one is the first."""
        beginning = "" if self._least is None else call.beginning(self._least)
        if not beginning or beginning in self._stored:
            yield
            return
        async with self._turns[beginning]:
            if beginning not in self._stored:
                yield
                self._stored.add(beginning)
                return
        yield
