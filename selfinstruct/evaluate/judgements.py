"""What a judge and people have said, read from their runs, and the figures from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from selfinstruct.dataset.reviews import decided
from selfinstruct.evaluate import judge_runs, pairs, rating
from selfinstruct.evaluate.agreement import agreed
from selfinstruct.evaluate.bootstrap import interval
from selfinstruct.evaluate.judge_runs import COMPARISON, RATING, Way, judge_folder
from selfinstruct.evaluate.rating import Figures, Sheet, Spread
from selfinstruct.journal.store import REVIEWS
from selfinstruct.records import ACCEPTED
from selfinstruct.report.numbers.agreement import by_reviewer
from selfinstruct.run_folder.folder import JOURNAL
from selfinstruct.run_folder.opened import opened

VERDICTS = (*pairs.SIDES, pairs.TIE)


@dataclass(frozen=True)
class People:
    """What people have answered.

    Attributes:
        answers: the answer that most gave, by the place of the row.
        reviews: the reviews by reviewer and record.
    """

    answers: dict[int, str] = field(default_factory=dict)
    reviews: dict[str, dict[str, Any]] = field(default_factory=dict)


def summed_up(to: Path, judge: str | None, resamples: int, confidence: float) -> dict[str, Any]:
    """The key `judged` of evaluation.json, from what is in the folder of an evaluation; see `judged`.

    Args:
        to: the folder.
        judge: the judge's name; None if no model has judged.
        resamples: of the bootstrap.
        confidence: the share of the intervals.
    """
    made: dict[str, Any] = {"judge": judge, "resamples": resamples, "confidence": confidence}
    spread = partial(_spread, resamples=resamples, confidence=confidence)
    if found := judge_runs.read(to, RATING):
        made["ratings"] = _ratings(to, *found, judge, spread)
    if found := judge_runs.read(to, COMPARISON):
        made["pairs"] = _pairs(to, *found, judge, partial(_two, spread, resamples, confidence))
    return made


def _ratings(to: Path, sheet: Sheet, more: Mapping[str, Any], judge: str | None, spread: Spread) -> Figures:
    models, levels = more["models"], more["levels"]
    of_judge = {place: str(data["rating"]) for place, data in _data(to, RATING, judge).items()}
    people = _people(to, RATING, levels)
    made: Figures = {"levels": levels, "answers": len(sheet.rows)}
    if judge:
        made["judge"] = rating.figures(models, levels, sheet, of_judge, spread)
    if people.answers:
        made["people"] = rating.figures(models, levels, sheet, people.answers, spread)
    return {**made, **_agreement(RATING, of_judge, people, levels)}


def _pairs(to: Path, sheet: Sheet, more: Mapping[str, Any], judge: str | None, figures: Any) -> Figures:
    of_judge = {
        place: pairs.of_judge(data["verdict"], data["verdict_swapped"])
        for place, data in _data(to, COMPARISON, judge).items()
    }
    people = _people(to, COMPARISON, VERDICTS)
    by_people = {place: pairs.of_people(answer) for place, answer in people.answers.items()}
    made: Figures = {}
    if judge:
        made["judge"] = figures(more["models"], sheet, of_judge)
    if people.answers:
        made["people"] = figures(more["models"], sheet, by_people)
    better = {place: verdict.better for place, verdict in of_judge.items()}
    return {**made, **_agreement(COMPARISON, better, people, ())}


def _two(
    spread: Spread,
    resamples: int,
    confidence: float,
    models: Sequence[str],
    sheet: Sheet,
    given: Mapping[int, pairs.Verdict],
) -> list[Figures]:
    return pairs.figures(models, sheet, given, spread, resamples, confidence)


def _agreement(way: Way, judge: Mapping[int, str], people: People, order: Sequence[str]) -> Figures:
    if not people.answers:
        return {}
    return {
        "reviewers": {name: len(of) for name, of in sorted(people.reviews.items())},
        "agreement": agreed(way.question, judge, people.answers, people.reviews, order),
    }


def _data(to: Path, way: Way, judge: str | None) -> dict[int, Mapping[str, Any]]:
    """The fields of the rows that a judge has judged, by their place."""
    run = judge_folder(to, judge) / way.name if judge else None
    if not run or not (run / JOURNAL).is_file():
        return {}
    with opened(run) as found:
        return {record.request - 1: record.data for record in found.records(way.rows)}


def _people(to: Path, way: Way, choices: Sequence[str]) -> People:
    run = to / way.name
    if not (run / JOURNAL).is_file():
        return People()
    with opened(run) as found:
        reviews = {
            name: kept
            for name, of in by_reviewer(found.journal.facts(REVIEWS)).items()
            if (kept := {id: one for id, one in of.items() if _answer(one, way) in choices})
        }
        places = {record.id: record.request - 1 for record in found.journal.records(way.rows, ACCEPTED)}
    answers = {}
    for id, place in places.items():
        given = decided({way.question: choices}, [of[id] for of in reviews.values() if id in of])
        if given:
            answers[place] = given[way.question]
    return People(answers, reviews)


def _answer(review: Mapping[str, Any] | None, way: Way) -> Any:
    return ((review or {}).get("answers") or {}).get(way.question)


def _spread(values: Sequence[float], groups: Sequence[str], resamples: int, confidence: float) -> Figures:
    if not values:
        return {"mean": None, "low": None, "high": None}
    return asdict(interval(values, resamples, confidence, 0, groups))
