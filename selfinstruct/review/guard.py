"""Who may see the page: a browser on this machine that was given the token.

The address that is printed has a random token in it. The first visit turns it into a cookie and leads to the
same page without it, so that it is in no history and in no screenshot. Each request is refused

    without the cookie or the token;
    with another Host than this server's, as after DNS rebinding: another site's name that leads here;
    that changes something and does not come from this page's own origin.

A refusal has no content of the run. Nothing is cached, and the page runs no script but its own file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from secrets import compare_digest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LARGEST = 4 << 20  # bytes of a form
SAFE = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
AGAIN = (
    "This page is only for the browser that opened the address printed by selfinstruct review.\n"
    "Open that address, with the token in it; if you just did, reload this page.\n"
)


class Guard:
    """Lets requests through or refuses them.

    Args:
        token: the token of this start.
        port: the server's port.
    """

    def __init__(self, token: str, port: int) -> None:
        self._token = token
        self.cookie = f"selfinstruct-review-{port}"  # cookies of all ports are one another's
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, request: Request, follow: Callable[[Request], Awaitable[Response]]) -> Response:
        """Answer a request: a refusal, the cookie, or what follows."""
        response = self.refusal(request) or self._welcome(request) or await follow(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def refusal(self, request: Request) -> Response | None:
        """The refusal of a request; None if it may pass."""
        from starlette.responses import PlainTextResponse

        headers = request.headers
        if headers.getlist("host") != [headers.get("host")] or headers["host"] not in self._hosts:
            return PlainTextResponse("This server has another name.\n", HTTPStatus.MISDIRECTED_REQUEST)
        if request.method not in SAFE and headers.get("origin") != f"http://{headers['host']}":
            return PlainTextResponse("This request comes from another page.\n", HTTPStatus.FORBIDDEN)
        length = headers.get("content-length", "0" if request.method in SAFE else "")
        if not length.isdecimal() or int(length) > LARGEST:
            return PlainTextResponse("This is too long to be stored.\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        given = request.cookies.get(self.cookie) or ""
        if not self._fits(given) and not self._fits(request.query_params.get("token", "")):
            return PlainTextResponse(AGAIN, HTTPStatus.FORBIDDEN)
        return None

    def _welcome(self, request: Request) -> Response | None:
        """The answer to a request with the token in its address: the cookie, and the address without it."""
        from starlette.responses import RedirectResponse

        if "token" not in request.query_params:
            return None
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        if self._fits(request.query_params["token"]):
            response.set_cookie(self.cookie, self._token, httponly=True, samesite="strict", path="/")
        return response

    def _fits(self, given: str) -> bool:
        return compare_digest(given.encode(), self._token.encode())
