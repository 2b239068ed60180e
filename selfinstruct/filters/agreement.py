"""The filter of answers on which several tries, or several models, do not agree (arXiv 2203.11171)."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Annotated

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import value
from selfinstruct.records import Record, Rejection
from selfinstruct.text.same_answer import agreeing

SHOWN = 60  # characters of an answer in a reason
TELLS = {
    "agreement": "the share of the answers that say the same as this one: 0 to 1",
    "answers": "how many answers were compared",
}


@FILTERS.register
def agreement(
    *,
    field: str = "output",
    others: list[str] = [],  # noqa: B006  # options are read, never changed
    same: list[str] = [],  # noqa: B006
    share: Annotated[float, Field(gt=0, le=1)] = 0.6,
    least: Annotated[int, Field(ge=2, le=1_000)] = 2,
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.7,
    language: str = "en",
) -> Filter:
    """Keeps one record with the answer of the majority, and rejects the others; the share is kept with it.

    The answers are the candidates of a reply (`sampling.n` choices). With `others` they are fields of one
    record, which `label` stages have set, each with its own model if you like; a record stays if its own
    answer is the majority's. Labels, numbers and short answers agree if they are equal without case,
    punctuation and the words before a final answer ("Answer: 1,000.0" and "1000"). Longer ones agree by
    ROUGE-L.

    Args:
        field: the field of the answer.
        others: the fields of the other answers in the same record; empty compares the candidates of a reply.
        same: the fields that candidates must share to be answers to the same task, such as [input], if a
            reply may have several; empty if all of a reply are.
        share: the share of the answers that must say the same.
        least: the fewest answers that are compared; a record with fewer is rejected.
        threshold: long answers agree at this ROUGE-L F-measure or above.
        language: the language of the answers, as a BCP 47 tag; the recipe's by default.
    """
    vote = _Vote(share, least, threshold, language)

    def together(records: list[Record], rng: random.Random) -> dict[int, Rejection]:
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, record in enumerate(records):
            groups[tuple(value(record, name) for name in same)].append(place)
        rejections: dict[int, Rejection] = {}
        for places in groups.values():
            rejections |= _sort(vote, [records[place] for place in places], places, field)
        return rejections

    def each(record: Record) -> Rejection | None:
        answers = [value(record, name) for name in (field, *others)]
        said = [answer for answer in answers if answer.strip()]
        kept, detail, reason = vote.of(said)
        own = vote.agrees(said, 0, kept) if kept is not None and answers[0].strip() else False
        if not own:
            return Rejection(reason or _another(answers[0], said, kept or 0, detail), detail)
        record.detail.update(detail)
        return None

    fields = (field, *others, *same)
    if others:
        return Filter(each=each, fields=fields, tells=TELLS)
    return Filter(together=together, fields=fields, tells=TELLS)


class _Vote:
    """How answers are counted."""

    def __init__(self, share: float, least: int, threshold: float, language: str) -> None:
        self._share, self._least, self._threshold, self._language = share, least, threshold, language

    def of(self, answers: list[str]) -> tuple[int | None, dict[str, float | int], str]:
        """The place of the first answer of the majority, or None; the details; why there is no majority."""
        if len(answers) < self._least:
            return None, {"agreement": 0.0, "answers": len(answers)}, self._few(len(answers))
        counts = [sum(row) for row in agreeing(answers, self._threshold, self._language)]
        most = max(counts)
        best, share = counts.index(most), most / len(answers)
        detail = {"agreement": round(share, 3), "answers": len(answers)}
        if most < 2 or share < self._share:
            words = _shown(answers[best])
            reason = f"no majority: {most} of {len(answers)} say {words}, fewer than {self._share:.0%}"
            return None, detail, reason
        return best, detail, ""

    def agrees(self, answers: list[str], one: int, two: int) -> bool:
        """Whether two of the answers say the same."""
        return agreeing([answers[one], answers[two]], self._threshold, self._language)[0][1]

    def _few(self, count: int) -> str:
        return f"{count} answer{'s' * (count != 1)} to compare, fewer than {self._least}"


def _sort(vote: _Vote, records: list[Record], places: list[int], field: str) -> dict[int, Rejection]:
    """The rejections of all but one of the candidates that answer the same task."""
    answers = [value(record, field) for record in records]
    kept, detail, reason = vote.of(answers)
    if kept is None:
        return {place: Rejection(reason, detail) for place in places}
    records[kept].detail.update(detail)
    found = {}
    for number, place in enumerate(places):
        if number == kept:
            continue
        if vote.agrees(answers, number, kept):
            nearest = records[kept].id
            found[place] = Rejection(f"the same answer as {nearest}", {**detail, "nearest": nearest})
        else:
            found[place] = Rejection(_another(answers[number], answers, kept, detail), detail)
    return found


def _another(answer: str, answers: list[str], kept: int, detail: dict[str, float | int]) -> str:
    count = round(detail["agreement"] * detail["answers"])
    return f"another answer: {_shown(answer)}; {count} of {detail['answers']} say {_shown(answers[kept])}"


def _shown(answer: str) -> str:
    words = " ".join(answer.split())
    return repr(words[:SHOWN] + "…" * (len(words) > SHOWN))
