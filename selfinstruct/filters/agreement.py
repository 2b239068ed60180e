"""The filter of answers on which several tries, or several models, do not agree (arXiv 2203.11171).

Longer answers agree in their words, or, with an embedding model, in their meaning.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from selfinstruct.config import Asks, Machine, ModelConfig
from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import value
from selfinstruct.records import Record, Rejection
from selfinstruct.text.same_answer import Alike, agreeing, in_words, is_long

if TYPE_CHECKING:
    from selfinstruct.llm.embedding import Embedder
    from selfinstruct.llm.endpoint import RunContext

SHOWN = 60  # characters of an answer in a reason
CHARACTERS = 4000  # of an answer whose meaning is compared, from its beginning
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
    model: Annotated[ModelConfig | str | None, Asks("embedding", vectors=True)] = None,
    cosine: Annotated[float, Field(gt=0, lt=1)] = 0.94,
    batch: Annotated[int, Field(ge=1, le=10_000), Machine] = 64,
    language: str = "en",
) -> Filter:
    """Keeps one record with the answer of the majority, and rejects the others; the share is kept with it.

    The answers are the candidates of a reply (`sampling.n` choices). With `others` they are fields of one
    record, which `label` stages have set, each with its own model if you like; a record stays if its own
    answer is the majority's. Labels, numbers and short answers agree if they are equal without case,
    punctuation and the words before a final answer ("Answer: 1,000.0" and "1000"). Longer ones agree by
    ROUGE-L, or with `model` by their meaning.

    Args:
        field: the field of the answer.
        others: the fields of the other answers in the same record; empty compares the candidates of a reply.
        same: the fields that candidates must share to be answers to the same task, such as [input], if a
            reply may have several; empty if all of a reply are.
        share: the share of the answers that must say the same.
        least: the fewest answers that are compared; a record with fewer is rejected.
        threshold: long answers agree at this ROUGE-L F-measure or above, if there is no `model`.
        model: the embedding model that compares long answers by their meaning: the name of a file of
            conf/embedding (local, which needs an optional package; openai; vllm), or a model's keys.
        cosine: with `model`, long answers agree at this cosine or above; the right value depends on the
            model, and 0.94 is for `local`.
        batch: the most answers in one request to the embedding model.
        language: the language of the answers, as a BCP 47 tag; the recipe's by default.
    """
    assert not isinstance(model, str), "a recipe's model is already resolved"
    meaning = _Meaning(model, cosine, batch) if model else None
    vote = _Vote(share, least, meaning.alike if meaning else in_words(threshold), language)

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
    check = Filter(each=each) if others else Filter(together=together)
    check = replace(check, fields=fields, tells=TELLS)
    if meaning is None:
        return check

    def compared(record: Record) -> list[str]:
        """The answers in a record whose meaning is compared."""
        texts = [value(record, name) for name in (field, *others)]
        return [text[:CHARACTERS] for text in texts if is_long(text, language)]

    return replace(
        check,
        prepare=meaning.preparing(compared),
        close=meaning.embedder.close,
        asks=model,
        sends=lambda record: "\n".join(compared(record)),
        batch=batch,
    )


class _Meaning:
    """The meaning of answers, by their embeddings."""

    def __init__(self, model: ModelConfig, cosine: float, batch: int) -> None:
        from selfinstruct.llm.embedding import Embedder

        self.embedder: Embedder = Embedder(model, None, batch)
        self._cosine = cosine

    def preparing(
        self, compared: Callable[[Record], Iterable[str]]
    ) -> Callable[[Sequence[Record], RunContext, str, str], Awaitable[None]]:
        """What gets the vectors of the answers in some records before they are compared."""

        async def prepare(records: Sequence[Record], context: RunContext, stage: str, name: str) -> None:
            await self.embedder.fetch(
                [text for record in records for text in compared(record)], context, stage
            )

        return prepare

    def alike(self, one: str, two: str) -> bool:
        """Whether two answers mean the same; one without a vector means nothing that can be compared."""
        texts = [one[:CHARACTERS], two[:CHARACTERS]]
        found = self.embedder.vectors(texts)
        return len(found) == len(set(texts)) and float(found[texts[0]] @ found[texts[1]]) >= self._cosine


class _Vote:
    """How answers are counted."""

    def __init__(self, share: float, least: int, alike: Alike, language: str) -> None:
        self._share, self._least, self._alike, self._language = share, least, alike, language

    def of(self, answers: list[str]) -> tuple[int | None, dict[str, float | int], str]:
        """The place of the first answer of the majority, or None; the details; why there is no majority."""
        if len(answers) < self._least:
            return None, {"agreement": 0.0, "answers": len(answers)}, self._few(len(answers))
        counts = [sum(row) for row in agreeing(answers, self._alike, self._language)]
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
        return agreeing([answers[one], answers[two]], self._alike, self._language)[0][1]

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
