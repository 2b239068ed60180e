"""Whether each record has got its quota of records, such as each topic its share of the tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from selfinstruct.journal import labelled_records as view
from selfinstruct.journal.store import Journal
from selfinstruct.records import Record

if TYPE_CHECKING:  # a report is made without what makes a recipe
    from selfinstruct.recipe.build import Recipe
    from selfinstruct.stages import Stage

COVERAGE = "coverage"  # the meta key, and the key in the summary
GROUPED = "branch"  # the field by which the records are grouped, if they have it
NAMED = ("path", "topic")  # the fields that name a record; without them, its id does
SHOWN = 200  # records listed that have less than their quota


def coverage(recipe: Recipe, journal: Journal, made: Mapping[str, Iterable[Record]]) -> list[dict[str, Any]]:
    """For each stage with a quota, how many of the records that it works on have got theirs.

    Args:
        recipe: the recipe.
        journal: the journal of its run.
        made: the accepted records of each stage, without those that a later label rejected.
    """
    found = []
    for stage in recipe.stages:
        read = cache(partial(_worked_on, recipe, journal, stage))
        wanted = stage.kind.quotas(stage, read, recipe.config.target, recipe.config.seed)
        if wanted:
            rows = read()
            counts = Counter(record.parent for record in made.get(stage.name, ()))
            there = {number: counts[rows[number].id] for number in wanted}
            found.append(_of_stage(stage.name, stage.of or "", rows, wanted, there))
    return found


def _worked_on(recipe: Recipe, journal: Journal, stage: Stage) -> Mapping[int, Record]:
    """The records that a stage works on, by number."""
    return view.rows(recipe, journal, stage.of, before=stage.name) if stage.of else {}


def _of_stage(
    name: str, of: str, rows: Mapping[int, Record], wanted: Mapping[int, int], there: Mapping[int, int]
) -> dict[str, Any]:
    """The figures of one stage."""
    groups: dict[str, list[int]] = {}
    for number in wanted:
        groups.setdefault(str(rows[number].data.get(GROUPED, "")), []).append(number)
    lacking = [number for number in wanted if there[number] < wanted[number]]
    return {
        "stage": name,
        "of": of,
        **_counts(wanted, wanted, there),
        "branches": [{"branch": key, **_counts(numbers, wanted, there)} for key, numbers in groups.items()],
        "lacking": [
            {"name": _name(rows[number]), "wanted": wanted[number], "there": there[number]}
            for number in lacking[:SHOWN]
        ],
    }


def _counts(numbers: Iterable[int], wanted: Mapping[int, int], there: Mapping[int, int]) -> dict[str, int]:
    """How many records are asked about, with all, some and nothing of their quota, and the sums."""
    asked = [number for number in numbers if wanted[number]]
    return {
        "asked": len(asked),
        "full": sum(there[number] >= wanted[number] for number in asked),
        "some": sum(0 < there[number] < wanted[number] for number in asked),
        "none": sum(not there[number] for number in asked),
        "not_asked": sum(not wanted[number] for number in numbers),
        "wanted": sum(wanted[number] for number in asked),
        "there": sum(there[number] for number in asked),
    }


def _name(row: Record) -> str:
    return next((str(row.data[key]) for key in NAMED if key in row.data), row.id)
