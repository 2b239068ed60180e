"""The answers of reviewers in a dataset: the field `review` of a record, and the texts that they have edited.

The journal has a fact `review/<reviewer>/<id of the record>` for each review: the answers by question, the
edited fields if there are any, and a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from selfinstruct.recipe.exports import VERDICTS
from selfinstruct.records import Record

REVIEW, EDITED = "review", "edited"


class Reviews:
    """The reviews of a run.

    Args:
        facts: each review, by reviewer and record: `<reviewer>/<id>`.
        questions: the questions with their choices; the first choice is the good one.
    """

    def __init__(self, facts: Mapping[str, Any], questions: Mapping[str, Any]) -> None:
        self._good = {name: next(iter(one["choices"])) for name, one in questions.items()}
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
        """`ok` if each answer of each reviewer is the good one, else `not ok`; None without an answer."""
        reviews = self._of.get(id, ())
        answers = [answer for one in reviews for answer in (one.get("answers") or {}).items()]
        if not answers:
            return None
        ok, wrong = VERDICTS
        return ok if all(self._good.get(name, value) == value for name, value in answers) else wrong

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
