"""One worker, seen from the driver: its actor, the calls that it has in hand, and those that wait to go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from selfinstruct.cluster.ray_library import Node
from selfinstruct.cluster.wire import Form, error_of, packed, unpacked
from selfinstruct.errors import ModelError
from selfinstruct.llm import LostError

LONGEST_BEGIN = 300.0  # seconds until Ray has room for a worker and its process has begun
SILENCE = 60.0  # seconds after which a worker that says nothing counts as dead; it speaks every ten


class Member:
    """A worker.

    Args:
        number: its number, for people.
        node: its machine.
        actor: Ray's handle of it.
        form: gives what is needed to open a model, by the model's number.

    Attributes:
        models: the models that are open there.
        in_hand: the calls that it has, each with the one who waits for its replies.
        pid: its process; 0 until it has begun.
    """

    def __init__(self, number: int, node: Node, actor: Any, form: Callable[[int], tuple[Form, str]]) -> None:
        self.number, self.node, self.actor, self._form = number, node, actor, form
        self.models: set[int] = set()
        self.in_hand: dict[int, asyncio.Future[list[Form | None]]] = {}
        self.pid = 0
        self._openings: dict[int, asyncio.Task[None]] = {}
        self._outgoing: list[Form] = []
        self._pump: asyncio.Task[None] | None = None
        self._broken: Exception | None = None

    async def begin(self) -> None:
        """Wait until it is there."""
        _, self.pid = await asyncio.wait_for(self.actor.hello.remote(), LONGEST_BEGIN)

    async def open(self, number: int) -> None:
        """Open a model there, once.

        Raises:
            ModelError: if the model cannot be opened there.
        """
        if number not in self._openings:
            self._openings[number] = asyncio.ensure_future(self._opened(number))
        await asyncio.shield(self._openings[number])

    async def _opened(self, number: int) -> None:
        fault = await self.actor.open.remote(number, *self._form(number))
        if fault:
            raise ModelError(f"on {self.node.name}: {error_of(fault)}")
        self.models.add(number)

    def close(self, number: int) -> None:
        """Close a model there."""
        self.models.discard(number)
        self._openings.pop(number, None)
        self.actor.close.remote(number)

    async def ask(self, call: int, form: Form) -> list[Form | None]:
        """The replies to a call."""
        future: asyncio.Future[list[Form | None]] = asyncio.get_running_loop().create_future()
        self.in_hand[call] = future
        self._outgoing.append(form)
        if self._pump is None:
            self._pump = asyncio.ensure_future(self._send())
        try:
            return await future
        finally:
            self.in_hand.pop(call, None)

    async def _send(self) -> None:
        """Send what waits; what comes meanwhile goes together, when this has arrived."""
        try:
            while self._outgoing:
                batch, self._outgoing = self._outgoing, []
                await self.actor.take.remote(packed(batch))
        except Exception as error:  # Ray's errors have many types; `results` raises it
            self._broken = error
        finally:
            self._pump = None

    async def results(self) -> list[Form]:
        """What it has found since the last time.

        Raises:
            TimeoutError: if it says nothing.
            Exception: Ray's, if it died.
        """
        if self._broken:
            raise self._broken
        found: list[Form] = unpacked(await asyncio.wait_for(self.actor.results.remote(), SILENCE))
        return found

    def answered(self, call: int, forms: list[Form | None]) -> None:
        """Give replies to the one who waits for them."""
        future = self.in_hand.get(call)
        if future and not future.done():
            future.set_result(forms)

    def failed(self, call: int, error: Exception) -> None:
        """Give a failure to the one who waits."""
        future = self.in_hand.get(call)
        if future and not future.done():
            future.set_exception(error)

    def lose(self, error: LostError) -> int:
        """It died: give its calls back; returns how many they are."""
        lost = [future for future in self.in_hand.values() if not future.done()]
        for future in lost:
            future.set_exception(error)
        self.models.clear()
        for opening in self._openings.values():
            opening.cancel()
        return len(lost)
