"""The pages on which a reviewer judges records one by one, and the forms of these pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from selfinstruct.review.desk import Changed, NotGiven
from selfinstruct.review.texts import as_typed
from selfinstruct.review.visit import Visit

if TYPE_CHECKING:
    from starlette.responses import Response

OTHER_TAB = (
    "Your {what} was changed in another tab. Saved there: {there}\n"
    "Below is what you wrote here; save it to replace that."
)


def home(visit: Visit) -> Response:
    """The record to go on with, or where there is none, the summary."""
    if not visit.reviewer:
        return visit.to("/name")
    id = visit.desk.current(visit.reviewer)
    said = {"said": visit.query["said"]} if "said" in visit.query else {}
    return visit.to("/review", id=id, **said) if id else visit.to("/summary", **said)


def review(visit: Visit) -> Response:
    """The page of one record."""
    return _shown(visit, visit.query.get("id", ""), visit.notice)


def forward(visit: Visit) -> Response:
    """The record after this one."""
    id = visit.desk.forward(visit.reviewer, visit.query.get("id", "")) if visit.reviewer else None
    if not visit.reviewer:
        return visit.to("/")
    return visit.to("/review", id=id) if id else visit.to("/summary", end="1")


def back(visit: Visit) -> Response:
    """The record before this one."""
    return visit.to("/review", id=visit.desk.back(visit.reviewer, visit.query.get("id", "")))


def answer(visit: Visit) -> Response:
    """Store an answer; the last open one leads to the next record."""
    form, id = visit.form, visit.form.get("id", "")
    question, value = form.get("question", ""), form.get("value", "")
    try:
        over = visit.desk.answer(visit.reviewer, id, question, value, form.get("seen", ""))
    except NotGiven:
        return visit.to("/", said="released")
    except Changed:
        there = visit.desk.reviews.of(visit.reviewer, id).answers.get(question)
        text = visit.desk.questions[question].choices.get(there or "")
        answered = f"“{text.text if text else there}”" if there else "no answer"
        words = f"This question was answered in another tab: {answered}. Answer again to change that."
        return _shown(visit, id, words, 409)
    return visit.to("/forward" if over else "/review", id=id)


def note(visit: Visit) -> Response:
    """Store a note."""
    form, id = visit.form, visit.form.get("id", "")
    try:
        visit.desk.comment(visit.reviewer, id, form.get("note", ""), as_typed(form.get("seen", "")))
    except NotGiven:
        return visit.to("/", said="released")
    except Changed:
        there = visit.desk.reviews.of(visit.reviewer, id).note or "nothing"
        words = OTHER_TAB.format(what="note", there=there)
        return _shown(visit, id, words, 409, {"note": form.get("note", "")})
    return visit.to("/review", id=id)


def edit(visit: Visit) -> Response:
    """Store an edit."""
    form, id = visit.form, visit.form.get("id", "")
    texts = {key.removeprefix("field:"): text for key, text in form.items() if key.startswith("field:")}
    try:
        seen = json.loads(form.get("seen") or "null")
        visit.desk.edit(visit.reviewer, id, texts, seen)
    except (NotGiven, ValueError):
        return visit.to("/", said="released")
    except Changed:
        there = visit.desk.reviews.of(visit.reviewer, id).edit or {}
        saved = "".join(f"\n{name}: {text[:2_000]}" for name, text in there.items()) or "no edit"
        return _shown(visit, id, OTHER_TAB.format(what="edit", there=saved), 409, {"edit": texts})
    return visit.to("/review", id=id)


def undo(visit: Visit) -> Response:
    """Take back the last change."""
    id = visit.desk.reviews.undo(visit.reviewer)
    return visit.to("/review", id=id or visit.form.get("id", ""), said="undone" if id else "nothing")


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
