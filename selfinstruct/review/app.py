"""The pages of a review as a Starlette application: which function answers which address.

To add a page, write a function that takes a `Visit` and returns a response, and add it to `_PAGES`. The
requests of all browsers are answered one after the other, so a page must be quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import UserError
from selfinstruct.review import judging, summary
from selfinstruct.review.browse import browse, told
from selfinstruct.review.visit import PAGES, Site, Visit, visit_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

FILES = {"style.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


def application(site: Site) -> Starlette:
    """The application of a review."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import Response
    from starlette.routing import Route

    def endpoint(page: Callable[[Visit], Response]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return page(await visit_of(site, request))

        return answer

    def slow(read: Callable[[Path, Mapping[str, str]], dict[str, Any]], template: str) -> Any:
        async def answer(request: Request) -> Response:
            from starlette.concurrency import run_in_threadpool

            visit = await visit_of(site, request)
            found = await run_in_threadpool(read, site.run.path, visit.query)
            status = 404 if "story" in found and not found["story"] else 200
            return visit.page(template, status, here="browse", all=visit.query.get("all"), **found)

        return answer

    async def file(request: Request) -> Response:
        name = request.url.path.lstrip("/")
        return Response((PAGES / name).read_bytes(), media_type=FILES[name])

    async def wrong(request: Request, error: Exception) -> Response:
        return Response(f"{error}\n", 400, media_type="text/plain")

    routes = [Route(path, endpoint(page), methods=[method]) for (method, path), page in _PAGES.items()]
    routes += [Route(path, slow(*page)) for path, page in _SLOW.items()]
    routes += [Route(f"/{name}", file) for name in FILES]
    return Starlette(
        routes=routes,
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=site.guard)],
        exception_handlers={UserError: wrong},
    )


_PAGES: dict[tuple[str, str], Callable[[Visit], Response]] = {
    ("GET", "/"): judging.home,
    ("GET", "/name"): summary.ask_name,
    ("POST", "/name"): summary.set_name,
    ("GET", "/review"): judging.review,
    ("GET", "/forward"): judging.forward,
    ("GET", "/back"): judging.back,
    ("POST", "/answer"): judging.answer,
    ("POST", "/note"): judging.note,
    ("POST", "/edit"): judging.edit,
    ("POST", "/undo"): judging.undo,
    ("GET", "/summary"): summary.summary,
}
# Pages that read much of the run: the function that reads it, in a thread of its own, and the template.
_SLOW: dict[str, tuple[Callable[[Path, Mapping[str, str]], dict[str, Any]], str]] = {
    "/browse": (browse, "browse.html"),
    "/story": (told, "story.html"),
}
