"""The answers of reviewers in a dataset: the field `review` of a record, and the texts that they have edited.

The journal has a fact `review/<reviewer>/<id of the record>` for each review: the answers by question, the
edited fields if there are any, and a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from selfinstruct.recipe.exports import VERDICTS
from selfinstruct.records import Record

REVIEW, EDITED = "review", "edited"


Choices = Mapping[str, Sequence[str]]  # by question, the values of its choices, the good one first


def decided(choices: Choices, reviews: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The answer to each question about one record: the one that most of its reviewers gave.

    If as many gave another, the one that the question lists last counts, so that doubt never counts as good.
    An answer that is no choice of the question any more does not count.

    Args:
        choices: the questions.
        reviews: what each reviewer says of the record.
    """
    given: dict[str, list[str]] = {}
    for review in reviews:
        for name, answer in (review.get("answers") or {}).items():
            if answer in choices.get(name, ()):
                given.setdefault(name, []).append(answer)
    places = {name: {choice: place for place, choice in enumerate(all)} for name, all in choices.items()}
    return {
        name: max(answers, key=lambda answer: (answers.count(answer), places[name][answer]))
        for name, answers in given.items()
    }


def verdict(choices: Choices, answers: Mapping[str, str]) -> str | None:
    """`ok` if all questions have the good answer, `not ok` if one has another; None if neither is known yet.

    Args:
        choices: the questions.
        answers: the answers about one record; see `decided`.
    """
    ok, wrong = VERDICTS
    if any(answer != choices[name][0] for name, answer in answers.items()):
        return wrong
    return ok if answers and len(answers) == len(choices) else None


class Reviews:
    """The reviews of a run.

    Args:
        facts: each review, by reviewer and record: `<reviewer>/<id>`.
        questions: the questions with their choices; the first choice is the good one.
    """

    def __init__(self, facts: Mapping[str, Any], questions: Mapping[str, Any]) -> None:
        self._choices = {name: list(one["choices"]) for name, one in questions.items()}
        self._of: dict[str, list[Mapping[str, Any]]] = {}
        for key, review in facts.items():
            if isinstance(review, dict):
                self._of.setdefault(key.partition("/")[2], []).append(review)

    def __len__(self) -> int:
        """How many records have a review."""
        return len(self._of)

    @property
    def ids(self) -> list[str]:
        """The ids of the records that have a review."""
        return list(self._of)

    def verdict(self, id: str) -> str | None:
        """What most reviewers say of a record; see `verdict`. None without a review."""
        return verdict(self._choices, decided(self._choices, self._of.get(id, ())))

    def edit(self, id: str) -> dict[str, Any]:
        """The fields that the latest edit of a record replaces."""
        edits = [one for one in self._of.get(id, ()) if one.get("edit")]
        latest = max(edits, key=lambda one: str(one.get("at") or ""), default=None)
        return dict(latest["edit"]) if latest else {}

    def applied(self, record: Record) -> Record:
        """The record with its verdict as the field `review`, and with its edited texts.

        A field `review` of the recipe's own stays as it is.
        """
        if record.id not in self._of:
            return record
        edit, verdict = self.edit(record.id), self.verdict(record.id)
        found = {REVIEW: verdict} if verdict else {}
        detail = {**record.detail, EDITED: True} if edit else record.detail
        return replace(record, data={**found, **record.data, **edit}, detail=detail)
