"""Send a request over connections like those that LiteLLM would use, and read the whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientTimeout
from litellm.llms.custom_httpx.aiohttp_transport import AiohttpResponseStream, map_aiohttp_exceptions
from multidict import CIMultiDict
from yarl import URL

from selfinstruct.llm.direct.writing import Letter
from selfinstruct.llm.guard import GuardedAiohttp, whole

LEFT_OUT = ("content-length", "accept-encoding")


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        status: its HTTP status.
        headers: its headers.
        content: its body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


class Sender:
    """Sends the requests of one form.

    Args:
        letter: the form.
        over: the transport that has the connections.
        proxy: the proxy to use, if there is one.
    """

    def __init__(self, letter: Letter, over: GuardedAiohttp, proxy: str | None) -> None:
        request = letter.request
        self._over, self._method, self._about = over, request.method, request.url
        self._url = URL(str(request.url), encoded=True)
        headers = [(name, value) for name, value in request.headers.items() if name not in LEFT_OUT]
        self._headers = CIMultiDict([*headers, ("accept-encoding", "gzip")])
        waits = request.extensions.get("timeout", {})
        timeout = ClientTimeout(
            sock_connect=waits.get("connect"), sock_read=waits.get("read"), connect=waits.get("pool")
        )
        self._how: dict[str, Any] = {"timeout": timeout, "proxy": proxy}
        if over._ssl_verify is not None:
            self._how["ssl"] = over._ssl_verify

    async def send(self, body: bytes) -> Answer:
        """The answer to a request with this body.

        Raises:
            httpx.TransportError: if there is none.
            UnusableError: if it is not read to its end; see `guard`.
        """
        session = self._over.get_valid_client_session()
        try:
            response = await session.request(
                self._method,
                self._url,
                data=body,
                headers=self._headers,
                allow_redirects=False,
                auto_decompress=False,
                **self._how,
            )
        except (Exception, asyncio.CancelledError):
            with map_aiohttp_exceptions():
                raise
        try:
            place = response.headers.get("location", "")
            content = await whole(self._about, response.status, place, AiohttpResponseStream(response))
        finally:
            response.close()
        return Answer(response.status, response.headers, content)


async def proxy_of(letter: Letter) -> str | None:
    """The proxy that LiteLLM would use, from the environment."""
    found = await letter.transport._get_proxy_settings(letter.request)
    return None if found is None else str(found)


def like(transport: GuardedAiohttp) -> GuardedAiohttp:
    """A transport with the same settings and with connections of its own."""
    return GuardedAiohttp(transport._client_factory, ssl_verify=transport._ssl_verify)
