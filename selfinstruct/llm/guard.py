"""The wire under LiteLLM, kept within bounds: no redirect is followed, no answer fills the memory.

LiteLLM's clients follow redirects, with the prompt and some with the key, and read an answer to its end,
however long. Whichever of them asks, ours or one that LiteLLM makes for itself, it sends through one of two
transports; `install` puts those of this module in their place. An answer that comes through here is whole,
decompressed, and such that LiteLLM can read it (see `wire`). How large a header may be is up to the HTTP
libraries under it: 8 KB a line and 128 lines, or 100 KB together.
"""

from __future__ import annotations

import zlib
from contextlib import aclosing, suppress
from typing import Any

import aiohttp
import httpx
from litellm.llms.custom_httpx import aiohttp_transport, http_handler

from selfinstruct.llm.connections import Connections
from selfinstruct.llm.wire import RedirectError, UnusableError, mended

MB = 1_000_000
# A reply of a million tokens has 4 MB, the vectors of 512 texts with 3,072 numbers each about 35.
LARGEST = 64 * MB
# All the answers that are being read at one moment; beyond it only the small ones go on.
LARGEST_TOGETHER, SMALL = 4 * LARGEST, MB
TOO_LARGE = f"its reply is larger than {LARGEST // MB} MB"
MOST_PIECES = 100  # that were compressed one by one; each costs a copy of those after it
GZIP = b"\x1f\x8b"  # no JSON begins like that
# Headers that are not handed on: those of a body as it was sent, and cookies, which httpx would send back.
LEFT_OUT = ("content-encoding", "content-length", "transfer-encoding", "set-cookie")


class Room:
    """The memory that answers take while they are read."""

    def __init__(self) -> None:
        self._taken = 0

    async def read(self, response: httpx.Response) -> bytes:
        """The body of an answer as it was sent.

        Raises:
            UnusableError: where there is no room for it.
        """
        body = bytearray()
        assert isinstance(response.stream, httpx.AsyncByteStream)
        try:
            async with aclosing(aiter(response.stream)) as pieces:  # type: ignore[type-var]
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
    """LiteLLM's own transport, which does thrice as many requests a second as httpx's."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer is whole."""
        request.headers["accept-encoding"] = "gzip"
        try:
            return await examined(request, await super().handle_async_request(request))
        except httpx.ConnectError as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                raise  # nothing was sent
            raise httpx.ReadError(str(error)) from error  # else LiteLLM sends it again, uncounted

    async def _make_aiohttp_request(self, *args: Any, **keys: Any) -> Any:
        return _Ascii(await super()._make_aiohttp_request(*args, **keys))


class GuardedHttpx(httpx.AsyncHTTPTransport):
    """The transport of those who set DISABLE_AIOHTTP_TRANSPORT or LITELLM_HTTP2."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer is whole."""
        request.headers["accept-encoding"] = "gzip"
        try:
            return await examined(request, await super().handle_async_request(request))
        except httpx.RemoteProtocolError as error:  # LiteLLM would send it again, uncounted
            raise httpx.ReadError(str(error)) from error


class _Ascii:
    """An answer of aiohttp's whose headers httpx can take: it takes no letter beyond ASCII."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.headers = [
            (name.encode("ascii", "replace"), value.encode("ascii", "replace"))
            for name, value in response.headers.items()
        ]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)


def install() -> None:
    """Put the guarded transports in the place of LiteLLM's, for all clients that are made from now on."""
    aiohttp_transport.LiteLLMAiohttpTransport = GuardedAiohttp
    http_handler.TCPConnector = Connections
    http_handler.AsyncHTTPTransport = GuardedHttpx  # also behind a proxy
    http_handler.AsyncHTTPHandler._create_httpx_transport = staticmethod(_of_httpx)
    http_handler.HTTPHandler.create_client = _waiting_client


async def examined(request: httpx.Request, response: httpx.Response) -> httpx.Response:
    """An answer that has been read.

    Raises:
        UnusableError: where it is too large, cannot be read, or points elsewhere.
    """
    try:
        if 300 <= response.status_code < 400:
            raise RedirectError(f"it points to {_where(request, response)} ({response.status_code})")
        body = await ROOM.read(response)
    finally:
        await response.aclose()
    if body[:2] == GZIP:  # whatever the headers say
        body = _unpacked(body)
    status, body = mended(request.url.path, response.status_code, body, response.charset_encoding)
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in LEFT_OUT]
    answer = httpx.Response(status, headers=headers, content=body, request=request)
    if body[:1] == b"{":
        answer.headers["content-type"] = "application/json"  # whatever a proxy calls it
    return answer


def _where(request: httpx.Request, response: httpx.Response) -> str:
    """The address that an answer points to."""
    place = str(response.headers.get("location", ""))
    with suppress(httpx.InvalidURL, ValueError):  # then as it says it
        place = place and str(request.url.join(place))
    return place[:200] or "nowhere"


def _unpacked(packed: bytes) -> bytes:
    """What was compressed, in one piece or several; what follows the last one is left."""
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
            raise UnusableError("its reply is compressed, and cut short")
        packed = unpack.unused_data
        if packed[:2] != GZIP:
            return body
    raise UnusableError(f"its reply is compressed in more than {MOST_PIECES} pieces")


def _of_httpx() -> httpx.AsyncHTTPTransport:
    """What httpx would make of the settings that LiteLLM hands it, guarded."""
    address = "0.0.0.0" if http_handler.litellm.force_ipv4 else None
    verify, http2 = http_handler.get_ssl_configuration(), http_handler.http2_enabled()
    return GuardedHttpx(verify=verify, http2=http2, local_address=address)


_waiting = http_handler.HTTPHandler.create_client


def _waiting_client(handler: Any) -> Any:
    """A client in a thread that waits, which a few providers fetch a token with, without redirects."""
    client = _waiting(handler)
    client.follow_redirects = False
    return client
