"""HTTP transports for LiteLLM with limits: they follow no redirect, and no answer can fill the memory.

LiteLLM's clients follow redirects, with the prompt and sometimes with the key, and read an answer to its end,
however long it is. All clients, ours and those that LiteLLM makes for itself, use one of two transports;
`install` replaces these by the ones in this module. An answer that passes them is complete, decompressed, and
in a form that LiteLLM can read (see `wire`). The HTTP libraries limit the headers: 8 KB per line and 128
lines, or 100 KB together.

While LiteLLM only writes a request for `direct`, these transports keep the request and send nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import aclosing, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx
from litellm.llms.custom_httpx import aiohttp_transport, http_handler

from selfinstruct.llm.connections import Connections
from selfinstruct.llm.wire import RedirectError, UnusableError, mended

MB = 1_000_000
# A reply of a million tokens has 4 MB; the vectors of 512 texts with 3,072 numbers each have about 35 MB.
LARGEST = 64 * MB
# The limit for all answers that are being read at one time; beyond it only small ones continue.
LARGEST_TOGETHER, SMALL = 4 * LARGEST, MB
TOO_LARGE = f"its reply is larger than {LARGEST // MB} MB"
MOST_PIECES = 100  # pieces compressed one by one; each costs a copy of all the pieces after it
GZIP = b"\x1f\x8b"  # JSON never begins like this
# Headers that are dropped: those about the encoding of the body, and cookies, which httpx would send back.
LEFT_OUT = ("content-encoding", "content-length", "transfer-encoding", "set-cookie")


@dataclass(frozen=True)
class Written:
    """A request as LiteLLM wrote it.

    Attributes:
        request: the request, with its body read.
        transport: the transport that would have sent it.
    """

    request: httpx.Request
    transport: Any


@dataclass
class Desk:
    """Where requests are kept instead of being sent.

    Attributes:
        written: the requests so far.
        open: whether requests are still kept; LiteLLM's own tasks may outlive the call that started them.
    """

    written: list[Written] = field(default_factory=list)
    open: bool = True


DESK: ContextVar[Desk | None] = ContextVar("desk", default=None)
# Gets the headers of each answer that LiteLLM receives, their names in lower case.
HEARD: ContextVar[Callable[[Mapping[str, str]], None] | None] = ContextVar("heard", default=None)


class Room:
    """The memory that answers occupy while they are read."""

    def __init__(self) -> None:
        self._taken = 0

    async def read(self, stream: AsyncIterable[bytes]) -> bytes:
        """Read the body of an answer as it was sent.

        Raises:
            UnusableError: if there is no room for it.
        """
        body = bytearray()
        try:
            async with aclosing(aiter(stream)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    body += piece
                    self._taken += len(piece)
                    if len(body) > LARGEST:
                        raise UnusableError(TOO_LARGE)
                    if self._taken > LARGEST_TOGETHER and len(body) > SMALL:
                        raise UnusableError(f"its replies fill {LARGEST_TOGETHER // MB} MB of memory")
            return bytes(body)
        finally:
            self._taken -= len(body)


ROOM = Room()


class GuardedAiohttp(aiohttp_transport.LiteLLMAiohttpTransport):  # type: ignore[misc]
    """LiteLLM's own transport, which handles three times as many requests per second as httpx's."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer is whole."""
        await kept(self, request)
        request.headers["accept-encoding"] = "gzip"
        try:
            return await examined(request, await super().handle_async_request(request))
        except httpx.ConnectError as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                raise  # nothing was sent
            raise httpx.ReadError(str(error)) from error  # otherwise LiteLLM sends it again, uncounted

    async def _make_aiohttp_request(self, *args: Any, **keys: Any) -> Any:
        return _Ascii(await super()._make_aiohttp_request(*args, **keys))


class GuardedHttpx(httpx.AsyncHTTPTransport):
    """The transport if DISABLE_AIOHTTP_TRANSPORT or LITELLM_HTTP2 is set."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer is whole."""
        await kept(self, request)
        request.headers["accept-encoding"] = "gzip"
        try:
            return await examined(request, await super().handle_async_request(request))
        except httpx.RemoteProtocolError as error:  # LiteLLM would send it again, uncounted
            raise httpx.ReadError(str(error)) from error


class _Ascii:
    """An answer from aiohttp with headers in ASCII, since httpx accepts only these."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.headers = [
            (name.encode("ascii", "replace"), value.encode("ascii", "replace"))
            for name, value in response.headers.items()
        ]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)


def install() -> None:
    """Replace LiteLLM's transports by the guarded ones, for all clients that are made from now on."""
    aiohttp_transport.LiteLLMAiohttpTransport = GuardedAiohttp
    http_handler.TCPConnector = Connections
    http_handler.AsyncHTTPTransport = GuardedHttpx  # also behind a proxy
    http_handler.AsyncHTTPHandler._create_httpx_transport = staticmethod(_of_httpx)
    http_handler.HTTPHandler.create_client = _waiting_client


async def kept(transport: Any, request: httpx.Request) -> None:
    """Keep a request instead of sending it, while LiteLLM only writes it.

    Raises:
        httpx.ReadError: if it was kept. After a ConnectError LiteLLM would send the request again.
    """
    desk = DESK.get()
    if desk is not None and desk.open:
        await request.aread()
        desk.written.append(Written(request, transport))
        raise httpx.ReadError("the request was only written")


async def examined(request: httpx.Request, response: httpx.Response) -> httpx.Response:
    """Read an answer completely and check it.

    Raises:
        UnusableError: if it is too large, cannot be read, or points elsewhere.
    """
    heard = HEARD.get()
    if heard:
        heard(dict(response.headers))
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        place = str(response.headers.get("location", ""))
        body = await whole(request.url, response.status_code, place, response.stream)
    finally:
        await response.aclose()
    kind = response.headers.get("content-type")
    status, body = mended(request.url.path, response.status_code, body, kind)
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in LEFT_OUT]
    answer = httpx.Response(status, headers=headers, content=body, request=request)
    if body[:1] == b"{":
        answer.headers["content-type"] = "application/json"  # even if a proxy sets another type
    return answer


async def whole(url: httpx.URL, status: int, place: str, stream: AsyncIterable[bytes]) -> bytes:
    """The whole body of an answer, decompressed.

    Args:
        url: the address that was asked.
        status: the status of the answer.
        place: the address that it points to, if it is a redirect.
        stream: its body.

    Raises:
        UnusableError: if it is too large, cannot be decompressed, or points elsewhere.
    """
    if 300 <= status < 400:
        raise RedirectError(f"it points to {_where(url, place)} ({status})")
    body = await ROOM.read(stream)
    return _unpacked(body) if body[:2] == GZIP else body  # even if the headers do not say so


def _where(url: httpx.URL, place: str) -> str:
    """The address that an answer points to."""
    with suppress(httpx.InvalidURL, ValueError):  # then the header as it is
        place = place and str(url.join(place))
    return place[:200] or "nowhere"


def _unpacked(packed: bytes) -> bytes:
    """Decompress a body of one or several pieces; data after the last piece is dropped."""
    body = b""
    for _ in range(MOST_PIECES):
        unpack = zlib.decompressobj(wbits=31)
        try:
            body += unpack.decompress(packed, LARGEST + 1 - len(body))
        except zlib.error as error:
            raise UnusableError(f"its reply cannot be decompressed ({error})") from error
        if len(body) > LARGEST:
            raise UnusableError(TOO_LARGE)
        if not unpack.eof:
            raise UnusableError("its reply is compressed and incomplete")
        packed = unpack.unused_data
        if packed[:2] != GZIP:
            return body
    raise UnusableError(f"its reply is compressed in more than {MOST_PIECES} pieces")


def _of_httpx() -> httpx.AsyncHTTPTransport:
    """The guarded transport with the settings that LiteLLM would give to httpx."""
    address = "0.0.0.0" if http_handler.litellm.force_ipv4 else None
    verify, http2 = http_handler.get_ssl_configuration(), http_handler.http2_enabled()
    return GuardedHttpx(verify=verify, http2=http2, local_address=address)


_waiting = http_handler.HTTPHandler.create_client


def _waiting_client(handler: Any) -> Any:
    """A synchronous client without redirects; a few providers fetch a token with it."""
    client = _waiting(handler)
    client.follow_redirects = False
    client.event_hooks = {"request": [_held_back]}
    return client


def _held_back(request: httpx.Request) -> None:
    """Send nothing through a synchronous client either, while LiteLLM only writes a request."""
    desk = DESK.get()
    if desk is not None and desk.open:
        raise httpx.ReadError("a request before it was not sent")
