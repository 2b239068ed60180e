"""Records as a user sees them: accepted, with the labels that later stages set, none of them rejected."""

from __future__ import annotations

from selfinstruct.recipe import Recipe
from selfinstruct.records import ACCEPTED, REJECTED, Record
from selfinstruct.store import Journal


def rows(recipe: Recipe, journal: Journal, name: str, before: str | None = None) -> dict[int, Record]:
    """The records of a stage, with their labels.

    Args:
        recipe: the recipe.
        journal: its journal.
        name: the stage that made the records.
        before: leave out the labels set by this stage and those after it.

    Returns:
        The records by their number among all accepted ones of the stage, from 1. A record whose label was
        rejected is not among them; one that has no label yet is.
    """
    found = dict(enumerate(journal.records(name, ACCEPTED), 1))
    numbers = {record.id: number for number, record in found.items()}
    for label in recipe.labels_of(name, before):
        for verdict in journal.records(label.name):
            number = numbers.get(verdict.parent or "", 0)
            if verdict.fate == REJECTED:
                found.pop(number, None)
            elif number in found and verdict.fate == ACCEPTED:
                found[number].data.update(verdict.data)
    return found
