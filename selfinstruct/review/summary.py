"""The pages around a review: who reviews, and the figures so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from selfinstruct.errors import UserError
from selfinstruct.review.store import name_of
from selfinstruct.review.visit import Visit, name_cookie

if TYPE_CHECKING:
    from starlette.responses import Response
OPEN = "You have been through the sample; some of your records still have an open question."


def ask_name(visit: Visit, notice: str = "") -> Response:
    """The page that asks for the name; `notice` says what is wrong with the one that was typed."""
    people = [one["name"] for one in visit.desk.people()]
    status = 400 if notice else 200
    return visit.page("name.html", status, people=people, notice=notice, typed=visit.form.get("name", ""))


def set_name(visit: Visit) -> Response:
    """Store the name in a cookie."""
    try:
        name = name_of(visit.form.get("name", ""))
    except UserError as error:
        return ask_name(visit, f"{error}.")
    response = visit.to("/")
    response.set_cookie(name_cookie(visit.site), quote(name), httponly=True, samesite="strict", path="/")
    return response


def summary(visit: Visit) -> Response:
    """The figures so far, and what to do next."""
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
        notice=visit.notice or (OPEN if mine and "end" in visit.query else ""),
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
