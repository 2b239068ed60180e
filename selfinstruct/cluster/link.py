"""The way to a cluster: a connection, and the thread in which everything is done that waits for Ray.

Ray may wait for minutes, and nothing interrupts it. So nobody waits for it without a limit, and the thread is
a daemon: the process can end meanwhile. The thread lives as long as the connection, since on Linux the
processes of a cluster of our own end with the thread that started them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from selfinstruct.cluster.ray_library import OWN, Connection, address_of
from selfinstruct.config import ExecutorConfig
from selfinstruct.errors import ModelError

LONGEST_OWN = 90.0  # seconds in which a cluster of our own starts; 26 were seen where others had the CPUs
LONGEST_THERE = 60.0  # seconds in which one that runs accepts us; Ray takes 25 to say that a token is wrong
LONGEST_END = 20.0  # seconds for which an end waits for Ray

Answer = TypeVar("Answer")


class Link:
    """The way to the cluster of a run; it is opened at once.

    Args:
        config: where the cluster is.

    Attributes:
        own: whether the cluster is one of our own, which starts and ends with the link.
        opening: the connection, or the `ModelError` that says why there is none.
        longest: the seconds for which it may be waited for.
    """

    def __init__(self, config: ExecutorConfig) -> None:
        self._address = address_of(config)
        self.own = self._address == OWN
        self.longest = LONGEST_OWN if self.own else LONGEST_THERE
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="ray", daemon=True).start()
        self.opening: Future[Connection] = self.do(lambda: Connection(config))

    @property
    def what(self) -> str:
        """What is waited for, in words."""
        return "starting Ray on this machine" if self.own else f"connecting to Ray at {self._address}"

    def do(self, work: Callable[[], Answer]) -> Future[Answer]:
        """Have something done in the thread, after everything that was given to it before."""
        future: Future[Answer] = Future()
        self._work.put((future, work))
        return future

    async def ask(self, work: Callable[[], Answer]) -> Answer:
        """As `do`; the answer."""
        return await asyncio.wrap_future(self.do(work))

    def end(self) -> Future[None]:
        """End the connection, and a cluster of our own; if Ray has not opened it yet, as soon as it has."""
        ended = self.do(lambda: None if self.opening.exception() else self.opening.result().end())
        self._work.put(None)
        return ended

    def opened(self) -> Connection:
        """The connection, after it was waited for.

        Raises:
            ModelError: if there is none, or none yet.
        """
        if self.opening.done():
            return self.opening.result()
        if self.own:
            raise ModelError(
                f"executor: a Ray cluster cannot be started here: it takes longer than {self.longest:g} s\n"
                "  run the same command again when this machine has less to do, or start a cluster yourself, "
                "which says more: ray start --head, and then executor.address=HOST:6379"
            )
        raise ModelError(
            f"executor.address: Ray at {self._address} did not answer within {self.longest:g} s\n  "
            "ask it on its first machine: ray status"
        )

    def _run(self) -> None:
        while one := self._work.get():
            future, work = one
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # the one who waits raises it
                future.set_exception(error)


async def unless_stopped(
    stop: asyncio.Future[None], works: Iterable[Awaitable[Any]], seconds: float | None = None
) -> list[asyncio.Future[Any]]:
    """Wait until some works end, for so many seconds at most; returns those that have ended.

    Args:
        stop: gets the reason for which the run stops.
        works: the works; those that have not ended go on.
        seconds: the limit; None for none.

    Raises:
        Interrupted: or the other reason, if the run stops meanwhile.
    """
    begun = [asyncio.ensure_future(one) for one in works]
    if not begun:
        return []
    for one in begun:
        one.add_done_callback(lambda done: done.cancelled() or done.exception())  # marked as seen
    every: asyncio.Future[Any] = asyncio.ensure_future(asyncio.wait(begun))
    either: list[asyncio.Future[Any]] = [every, stop]
    await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if not every.done():
        every.cancel()
        if stop.done():
            await stop
    return [one for one in begun if one.done()]
