"""The pages of a review, as a Starlette application: reading forms, showing templates, nothing else.

To add a page, write a function that takes a `Visit` and returns a response, and add it to `_PAGES`. The
requests of all browsers are answered one after the other, so a page must be quick.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from selfinstruct.errors import UserError
from selfinstruct.review.browse import browse, told
from selfinstruct.review.desk import Changed, Desk, NotGiven
from selfinstruct.review.guard import Guard
from selfinstruct.review.store import name_of
from selfinstruct.review.texts import LONGEST, as_typed, changes, figure, marked, shown
from selfinstruct.run_folder.opened import OpenedRun

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PAGES = Path(__file__).parent / "pages"
FILES = {"style.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
OTHER_TAB = (
    "Your {what} was changed in another tab. Saved there: {there}\n"
    "Below is what you wrote here; save it to replace that."
)
UNDONE = {"yes": "Your last change is undone.", "no": "There is nothing to undo since the review was opened."}
NAMED = "reviewer"


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


def application(site: Site) -> Starlette:
    """The application of a review."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import Response
    from starlette.routing import Route

    def endpoint(page: Callable[[Visit], Response]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return page(await _visit(site, request))

        return answer

    def slow(read: Callable[[Path, Mapping[str, str]], dict[str, Any]], template: str) -> Any:
        async def answer(request: Request) -> Response:
            from starlette.concurrency import run_in_threadpool

            visit = await _visit(site, request)
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


async def _visit(site: Site, request: Request) -> Visit:
    body = (await request.body()).decode("utf-8", "replace")
    form = dict(parse_qsl(body, keep_blank_values=True))
    reviewer = unquote(request.cookies.get(_named(site), ""))
    try:
        reviewer = name_of(reviewer or site.reviewer)
    except UserError:  # not asked yet, or somebody has changed the cookie
        reviewer = ""
    return Visit(site, dict(request.query_params), form, reviewer)


def _named(site: Site) -> str:
    return f"{site.guard.cookie}-{NAMED}"


def _home(visit: Visit) -> Response:
    if not visit.reviewer:
        return visit.to("/name")
    id = visit.desk.current(visit.reviewer)
    return visit.to("/review", id=id) if id else visit.to("/summary")


def _ask_name(visit: Visit, notice: str = "") -> Response:
    people = [one["name"] for one in visit.desk.people()]
    status = 400 if notice else 200
    return visit.page("name.html", status, people=people, notice=notice, typed=visit.form.get("name", ""))


def _set_name(visit: Visit) -> Response:
    try:
        name = name_of(visit.form.get("name", ""))
    except UserError as error:
        return _ask_name(visit, f"{error}.")
    response = visit.to("/")
    response.set_cookie(_named(visit.site), quote(name), httponly=True, samesite="strict", path="/")
    return response


def _review(visit: Visit) -> Response:
    return _shown(visit, visit.query.get("id", ""), UNDONE.get(visit.query.get("undone", ""), ""))


def _shown(
    visit: Visit, id: str, notice: str = "", status: int = 200, mine: Mapping[str, Any] | None = None
) -> Response:
    """The page of one record; `mine` has texts that the reviewer wrote and that are not saved."""
    ids = visit.desk.mine(visit.reviewer) if visit.reviewer else []
    if id not in ids:  # another reviewer's, or of no sample
        return visit.to("/")
    return visit.page(
        "review.html",
        status,
        here="review",
        task=visit.desk.material.tasks[id],
        review=visit.desk.reviews.of(visit.reviewer, id),
        place=ids.index(id) + 1,
        notice=notice,
        all=visit.query.get("all"),
        mine=mine or {},
    )


def _forward(visit: Visit) -> Response:
    id = visit.desk.forward(visit.reviewer, visit.query.get("id", "")) if visit.reviewer else None
    if not visit.reviewer:
        return visit.to("/")
    return visit.to("/review", id=id) if id else visit.to("/summary", end="1")


def _back(visit: Visit) -> Response:
    return visit.to("/review", id=visit.desk.back(visit.reviewer, visit.query.get("id", "")))


def _answer(visit: Visit) -> Response:
    form, id = visit.form, visit.form.get("id", "")
    question, value = form.get("question", ""), form.get("value", "")
    try:
        over = visit.desk.answer(visit.reviewer, id, question, value, form.get("seen", ""))
    except NotGiven:
        return visit.to("/")
    except Changed:
        there = visit.desk.reviews.of(visit.reviewer, id).answers.get(question)
        text = visit.desk.questions[question].choices.get(there or "")
        answered = f"“{text.text if text else there}”" if there else "no answer"
        words = f"This question was answered in another tab: {answered}. Answer again to change that."
        return _shown(visit, id, words, 409)
    return visit.to("/forward" if over else "/review", id=id)


def _note(visit: Visit) -> Response:
    form, id = visit.form, visit.form.get("id", "")
    try:
        visit.desk.comment(visit.reviewer, id, form.get("note", ""), as_typed(form.get("seen", "")))
    except NotGiven:
        return visit.to("/")
    except Changed:
        there = visit.desk.reviews.of(visit.reviewer, id).note or "nothing"
        words = OTHER_TAB.format(what="note", there=there)
        return _shown(visit, id, words, 409, {"note": form.get("note", "")})
    return visit.to("/review", id=id)


def _edit(visit: Visit) -> Response:
    form, id = visit.form, visit.form.get("id", "")
    texts = {key.removeprefix("field:"): text for key, text in form.items() if key.startswith("field:")}
    try:
        seen = json.loads(form.get("seen") or "null")
        visit.desk.edit(visit.reviewer, id, texts, seen)
    except (NotGiven, KeyError, ValueError):
        return visit.to("/")
    except Changed:
        there = visit.desk.reviews.of(visit.reviewer, id).edit or {}
        saved = "".join(f"\n{name}: {text[:2_000]}" for name, text in there.items()) or "no edit"
        return _shown(visit, id, OTHER_TAB.format(what="edit", there=saved), 409, {"edit": texts})
    return visit.to("/review", id=id)


def _undo(visit: Visit) -> Response:
    here = visit.form.get("id", "")
    try:
        id = visit.desk.undo(visit.reviewer)
    except Changed:
        return _shown(visit, here, "Not undone: that review was changed in another tab since.", 409)
    return visit.to("/review", id=id or here, undone="yes" if id else "no")


def _summary(visit: Visit) -> Response:
    desk = visit.desk
    figures, given = desk.figures(), desk.reviews.given()
    progress = desk.progress(visit.reviewer)
    taken = {id for ids in given.values() for id in ids}
    free = sum(id not in taken for id in desk.material.sample)
    mine = [id for id in desk.mine(visit.reviewer) if not desk.complete(desk.reviews.of(visit.reviewer, id))]
    left = free + len(mine)
    return visit.page(
        "summary.html",
        here="summary",
        figures=figures,
        people=desk.people(),
        pairs=_pairs(figures["questions"]),
        left=left,
        elsewhere=max(0, progress["size"] - progress["done"] - left),
        over=progress["done"] >= progress["size"],
        first=" / ".join(
            dict.fromkeys(next(iter(one.choices.values())).text for one in desk.questions.values())
        ),
        notice="You have been through the sample; some of your records still have an open question."
        if mine and "end" in visit.query
        else "",
        next=visit.site.next,
    )


def _pairs(questions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The agreement of each two reviewers: `by` question, and how many records they share at most."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, row in questions.items():
        for one in row["agreement"]:
            pair = found.setdefault(tuple(one["reviewers"]), {"records": 0, "by": {}})
            pair["records"] = max(pair["records"], one["records"])
            pair["by"][name] = one
    return [{"reviewers": list(names), **pair} for names, pair in found.items()]


_PAGES: dict[tuple[str, str], Callable[[Visit], Response]] = {
    ("GET", "/"): _home,
    ("GET", "/name"): _ask_name,
    ("POST", "/name"): _set_name,
    ("GET", "/review"): _review,
    ("GET", "/forward"): _forward,
    ("GET", "/back"): _back,
    ("POST", "/answer"): _answer,
    ("POST", "/note"): _note,
    ("POST", "/edit"): _edit,
    ("POST", "/undo"): _undo,
    ("GET", "/summary"): _summary,
}
# Pages that read much of the run: the function that reads it, in a thread of its own, and the template.
_SLOW: dict[str, tuple[Callable[[Path, Mapping[str, str]], dict[str, Any]], str]] = {
    "/browse": (browse, "browse.html"),
    "/story": (told, "story.html"),
}


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
