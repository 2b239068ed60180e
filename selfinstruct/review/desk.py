"""What reviewers do: get a record, answer, comment, edit. Nothing here knows of HTTP.

Each change says what the reviewer saw before. If that is not what is stored any more, since the same reviewer
has changed it in another tab, nothing is overwritten: `Changed` is raised, and the page shows both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from selfinstruct.config import QuestionConfig
from selfinstruct.report.numbers.agreement import summed_up
from selfinstruct.review.material import Material
from selfinstruct.review.sample import next_for
from selfinstruct.review.store import Change, Review, Reviews
from selfinstruct.review.texts import as_typed

Edit = dict[str, str] | None


class Changed(Exception):
    """What is to be changed is not what the reviewer saw."""


class NotGiven(Exception):
    """The record was not given to this reviewer, or the question or answer does not exist."""


@dataclass
class Desk:
    """The records, the questions and the reviews of a run.

    Attributes:
        reviews: the reviews, in the journal.
        material: the records.
        questions: the questions by name.
        overlap: how many records of the sample go to everybody.
    """

    reviews: Reviews
    material: Material
    questions: Mapping[str, QuestionConfig]
    overlap: int = 0

    def mine(self, name: str) -> list[str]:
        """The ids of the records that a reviewer was given, in order."""
        return [id for id in self.reviews.given().get(name, []) if id in self.material.tasks]

    def current(self, name: str) -> str | None:
        """The first record that a reviewer has not finished, or else a new one; None if there is none."""
        open_ = (id for id in self.mine(name) if not self.complete(self.reviews.of(name, id)))
        return next(open_, None) or self._one_more(name)

    def forward(self, name: str, id: str) -> str | None:
        """The record after one, a new one after the last; None if there is none."""
        mine = self.mine(name)
        after = mine[mine.index(id) + 1 :] if id in mine else []
        return after[0] if after else self._one_more(name)

    def back(self, name: str, id: str) -> str:
        """The record before one; the first one itself."""
        mine = self.mine(name)
        place = mine.index(id) if id in mine else len(mine)
        return mine[max(0, place - 1)] if mine else id

    def complete(self, review: Review | Mapping[str, Any]) -> bool:
        """Whether a review answers all questions."""
        return complete(self.questions, review)

    def answer(self, name: str, id: str, question: str, value: str, seen: str) -> bool:
        """Answer a question; return whether this was the last open one.

        Args:
            name: the reviewer.
            id: the record.
            question: the question's name.
            value: the answer.
            seen: the answer that the page showed; empty for none.
        """
        if question not in self.questions or value not in self.questions[question].choices:
            raise NotGiven(f"{question}: {value}")

        def change(review: Review) -> Review:
            stored = review.answers.get(question, "")
            if stored not in (seen, value):
                raise Changed
            return replace(review, answers={**review.answers, question: value})

        before, after = self._save(name, id, change)
        return self.complete(after) and not self.complete(before)

    def comment(self, name: str, id: str, note: str, seen: str) -> None:
        """Replace the note."""
        note = as_typed(note).strip()

        def change(review: Review) -> Review:
            if review.note not in (seen, note):
                raise Changed
            return replace(review, note=note)

        self._save(name, id, change)

    def edit(self, name: str, id: str, texts: Mapping[str, str], seen: Edit) -> None:
        """Keep the fields that differ from the record; none is left if all are as they were."""
        original = self.material.tasks[id].texts
        known = {key: as_typed(text) for key, text in texts.items() if isinstance(original.get(key), str)}
        edit = {key: text for key, text in known.items() if text != as_typed(original[key])} or None

        def change(review: Review) -> Review:
            if review.edit not in (seen, edit):
                raise Changed
            return replace(review, edit=edit)

        self._save(name, id, change)

    def progress(self, name: str) -> dict[str, int]:
        """The page's figures: `size` and `done` of the sample; `mine` and `finished` of a reviewer."""
        reviews = self.reviews.all()
        sample = self.material.tasks.keys()
        finished = {
            who: {id for id, review in of.items() if id in sample and self.complete(review)}
            for who, of in reviews.items()
        }
        done: set[str] = set().union(*finished.values())
        own = len(finished.get(name, ()))
        return {"size": len(sample), "done": len(done), "mine": len(self.mine(name)), "finished": own}

    def figures(self) -> dict[str, Any]:
        """The summary; see `summed_up`."""
        questions = {name: list(one.choices) for name, one in self.questions.items()}
        return summed_up(questions, self.reviews.all())

    def people(self) -> list[dict[str, Any]]:
        """By reviewer: how many records were given, finished, edited and commented."""
        given, reviews = self.reviews.given(), self.reviews.all()
        return [
            {
                "name": name,
                "given": len(given.get(name, ())),
                "finished": sum(map(self.complete, reviews.get(name, {}).values())),
                "edited": sum(bool(review["edit"]) for review in reviews.get(name, {}).values()),
                "notes": sum(bool(review["note"]) for review in reviews.get(name, {}).values()),
            }
            for name in sorted({*given, *reviews})
        ]

    def _one_more(self, name: str) -> str | None:
        def choose(given: dict[str, list[str]]) -> str | None:
            return next_for(name, self.material.sample, given, self.overlap)

        return self.reviews.give(name, choose)

    def _save(self, name: str, id: str, change: Change) -> tuple[Review, Review]:
        if id not in self.mine(name):
            raise NotGiven(id)
        return self.reviews.save(name, id, change)


def complete(questions: Mapping[str, QuestionConfig], review: Review | Mapping[str, Any]) -> bool:
    """Whether a review answers all questions."""
    answers = review.answers if isinstance(review, Review) else review.get("answers", {})
    return all(answers.get(name) in one.choices for name, one in questions.items())
