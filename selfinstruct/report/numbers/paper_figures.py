"""The figures of the paper (arXiv 2212.10560, sections 3.1 to 3.3) beside those of a run.

Only what compares is shown: a run without a field has no figure of it, and words are counted as in the paper
only in English. To add a figure, add a line to `FIGURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from selfinstruct.text.tokenizers import is_english

Stats = Mapping[str, Any]
COUNT, SHARE, WORDS, EACH = "records", "share", "words", "instances an instruction"
REVIEWED = ("instruction", "input", "output")  # the names of the paper's questions


@dataclass(frozen=True)
class Figure:
    """A figure of the paper.

    Attributes:
        what: what it is, in words.
        paper: its value in the paper.
        unit: the unit of both values; a share is from 0 to 1.
        where: its place in the paper.
        run: finds the run's value; None if it has none.
        english: whether it compares only in English.
    """

    what: str
    paper: float
    unit: str
    where: str
    run: Callable[[Stats], float | None]
    english: bool = False


def beside(stats: Stats, language: str) -> list[dict[str, Any]]:
    """The figures that compare, in the order of the paper.

    Args:
        stats: the other numbers of the report.
        language: the language of the run, as a BCP 47 tag.
    """
    return list(_rows(stats, is_english(language)))


def _rows(stats: Stats, english: bool) -> Iterator[dict[str, Any]]:
    for figure in FIGURES:
        value = figure.run(stats) if english or not figure.english else None
        if value is not None:
            yield {
                "what": figure.what,
                "paper": figure.paper,
                "run": value,
                "unit": figure.unit,
                "where": figure.where,
            }


def _size(key: str) -> Callable[[Stats], float | None]:
    def size(stats: Stats) -> float | None:
        found: float | None = stats["sizes"].get(key)
        return found

    return size


def _part(key: str, of: str) -> Callable[[Stats], float | None]:
    def share(stats: Stats) -> float | None:
        part, whole = (stats["sizes"].get(name) for name in (key, of))
        return part / whole if part is not None and whole else None

    return share


def _mean_words(field: str) -> Callable[[Stats], float | None]:
    def mean(stats: Stats) -> float | None:
        found = stats["lengths"].get(field)
        value: float | None = found["words"]["mean"] if found else None
        return value

    return mean


def _reviewed(question: str | None) -> Callable[[Stats], float | None]:
    def share(stats: Stats) -> float | None:
        review = stats.get("review")
        if not review or {one["name"] for one in review["questions"]} != {*REVIEWED}:
            return None
        by_name = {one["name"]: one["share_good"] for one in review["questions"]}
        found: float | None = by_name[question] if question else review["all_good"]["share"]
        return found

    return share


TABLE_1, TABLE_2 = "table 1", "table 2"
FIGURES = (
    Figure("instructions", 52_445, COUNT, TABLE_1, _size("instructions")),
    Figure("classification tasks", 11_584 / 52_445, SHARE, TABLE_1, _part("classification", "instructions")),
    Figure("instances", 82_439, COUNT, TABLE_1, _size("instances")),
    Figure("instances per instruction", 82_439 / 52_445, EACH, TABLE_1, _part("instances", "instructions")),
    Figure("instances with empty input", 35_878 / 82_439, SHARE, TABLE_1, _part("empty_input", "instances")),
    Figure("mean length of an instruction", 15.9, WORDS, TABLE_1, _mean_words("instruction"), True),
    Figure("mean length of a non-empty input", 12.7, WORDS, TABLE_1, _mean_words("input"), True),
    Figure("mean length of an output", 18.9, WORDS, TABLE_1, _mean_words("output"), True),
    Figure("review: the instruction is a valid task", 0.92, SHARE, TABLE_2, _reviewed("instruction")),
    Figure("review: the input fits the instruction", 0.79, SHARE, TABLE_2, _reviewed("input")),
    Figure("review: the output is right", 0.58, SHARE, TABLE_2, _reviewed("output")),
    Figure("review: all three", 0.54, SHARE, TABLE_2, _reviewed(None)),
)
