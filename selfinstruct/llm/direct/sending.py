"""Send a request over connections like those that LiteLLM would use, and read the whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse, ClientTimeout
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

    Attributes:
        url: the address of its requests.
    """

    def __init__(self, letter: Letter, over: GuardedAiohttp, proxy: str | None) -> None:
        request = letter.request
        self._over, self._method, self._about = over, request.method, request.url
        self.url = URL(str(request.url), encoded=True)
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
        response = await self.sent(self._method, self.url, body, self._headers)
        try:
            return await self.answer(response)
        finally:
            response.close()

    async def sent(
        self, method: str, url: URL, body: Any, headers: Mapping[str, str], longest: float | None = None
    ) -> ClientResponse:
        """The beginning of the answer to any request; the caller reads the rest, and closes it.

        Args:
            method: the method.
            url: the address.
            body: what is sent.
            headers: the headers.
            longest: the seconds to wait for the next bytes; None: as for a prompt.

        Raises:
            httpx.TransportError: if there is none.
        """
        how = self._how if longest is None else {**self._how, "timeout": ClientTimeout(sock_read=longest)}
        session = self._over.get_valid_client_session()
        try:
            response: ClientResponse = await session.request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                auto_decompress=False,
                **how,
            )
        except (Exception, asyncio.CancelledError):
            with map_aiohttp_exceptions():
                raise
        return response

    async def answer(self, response: ClientResponse) -> Answer:
        """The whole answer.

        Raises:
            UnusableError: if it is not read to its end; see `guard`.
        """
        place = response.headers.get("location", "")
        content = await whole(self._about, response.status, place, AiohttpResponseStream(response))
        return Answer(response.status, response.headers, content)

    def headers(self, *without: str) -> CIMultiDict[str]:
        """The headers of its requests, but for some."""
        return CIMultiDict((name, value) for name, value in self._headers.items() if name not in without)


async def proxy_of(letter: Letter) -> str | None:
    """The proxy that LiteLLM would use, from the environment."""
    found = await letter.transport._get_proxy_settings(letter.request)
    return None if found is None else str(found)


def like(transport: GuardedAiohttp) -> GuardedAiohttp:
    """A transport with the same settings and with connections of its own."""
    return GuardedAiohttp(transport._client_factory, ssl_verify=transport._ssl_verify)
