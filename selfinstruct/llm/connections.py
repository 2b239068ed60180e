"""Connections that stay open between requests; one on which a server sent unrequested data is not used again.

aiohttp would take that data for the answer to the next request.
"""

from __future__ import annotations

import select
from functools import partial
from typing import Any

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler


class Connections(TCPConnector):
    """aiohttp's connections, without those that received unrequested data."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(**keys)
        self._factory = partial(_Connection, loop=self._loop)  # type: ignore[assignment]

    async def _get(self, *asked: Any, **how: Any) -> Any:
        while (found := await super()._get(*asked, **how)) and _spoke(found.protocol):
            found.close()
        return found

    def _release(self, key: Any, protocol: Any, *rest: Any, **how: Any) -> None:
        protocol.heard = False
        super()._release(key, protocol, *rest, **how)


class _Connection(ResponseHandler):
    heard = False  # whether any data came since the last answer was read

    def data_received(self, data: bytes) -> None:
        self.heard |= bool(data)  # also called with no data; called before the answer ends and releases it
        super().data_received(data)


def _spoke(connection: Any) -> bool:
    """Whether the server sent unrequested data, read or not, or closed the connection."""
    return connection.heard or connection.should_close or _readable(connection.transport)


def _readable(transport: Any) -> bool:
    socket = transport.get_extra_info("socket")
    if not hasattr(select, "poll"):  # on Windows
        return bool(select.select([socket], [], [], 0)[0])
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
