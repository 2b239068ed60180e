"""What all pages of a review share: the site, one request to it, and the templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode

from selfinstruct.errors import UserError
from selfinstruct.review.desk import Desk
from selfinstruct.review.guard import Guard
from selfinstruct.review.store import name_of
from selfinstruct.review.texts import LONGEST, changes, figure, marked, shown
from selfinstruct.run_folder.opened import OpenedRun

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request
    from starlette.responses import Response

PAGES = Path(__file__).parent / "pages"
NOTICES = {  # what the page before has done, by the word that it leaves in the address
    "undone": "Your last change is undone.",
    "nothing": "There is nothing to undo.",
    "released": "That record is not yours any more; nothing was changed.",
}


@dataclass(frozen=True)
class Site:
    """What all pages share.

    Attributes:
        run: the run.
        name: its name on the pages.
        words: the path of its folder, as the user has typed it.
        desk: the reviews.
        reviewer: the name given on the command line; empty if the page asks for it.
        guard: who may see it.
        next: what to do after the review: words and a command.
    """

    run: OpenedRun
    name: str
    words: str
    desk: Desk
    reviewer: str
    guard: Guard
    next: list[tuple[str, str]]
    templates: Environment = field(default_factory=lambda: _templates())


@dataclass(frozen=True)
class Visit:
    """One request.

    Attributes:
        site: the site.
        query: the parameters of the address.
        form: the fields of the form that was sent; empty for a page.
        reviewer: the name of the reviewer; empty if not known yet.
    """

    site: Site
    query: Mapping[str, str]
    form: Mapping[str, str]
    reviewer: str

    @property
    def desk(self) -> Desk:
        """The reviews."""
        return self.site.desk

    @property
    def notice(self) -> str:
        """What the page before has done; empty if there is nothing to say."""
        return NOTICES.get(self.query.get("said", ""), "")

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page from a template."""
        from starlette.responses import HTMLResponse

        site = self.site
        shared = {
            "run": {"name": site.name, "path": str(site.run.path)},
            "reviewer": self.reviewer,
            "questions": site.desk.questions,
            "overlap": site.desk.overlap,
            "progress": self.desk.progress(self.reviewer) if self.reviewer else None,
        }
        return HTMLResponse(site.templates.get_template(template).render({**shared, **values}), status)

    def to(self, path: str, **query: str) -> Response:
        """The way to another page."""
        from starlette.responses import RedirectResponse

        return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)


async def visit_of(site: Site, request: Request) -> Visit:
    """The visit that a request is."""
    body = (await request.body()).decode("utf-8", "replace")
    form = dict(parse_qsl(body, keep_blank_values=True))
    reviewer = unquote(request.cookies.get(name_cookie(site), ""))
    try:
        reviewer = name_of(reviewer or site.reviewer)
    except UserError:  # not asked yet, or somebody has changed the cookie
        reviewer = ""
    return Visit(site, dict(request.query_params), form, reviewer)


def name_cookie(site: Site) -> str:
    """The cookie with the reviewer's name."""
    return f"{site.guard.cookie}-reviewer"


def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "marked": marked,
        "shown": shown,
        "figure": figure,
        "changes": changes,
        "cut": lambda words: words if len(words) <= LONGEST else f"{words[:LONGEST]}…",
    }
    found.globals |= {"longest": LONGEST, "here": "", "notice": "", "all": None}
    return found
