"""Records as a user sees them: accepted, with the labels that later stages set, none of them rejected.

What later stages say of a record goes for all that was made of it: its children have the labels set on it
after they were made, and go where it goes.
"""

from __future__ import annotations

from selfinstruct.journal.store import Journal
from selfinstruct.recipe.build import Recipe
from selfinstruct.records import ACCEPTED, REJECTED, Record
from selfinstruct.stages import OTHERWISE, Stage


def rows(recipe: Recipe, journal: Journal, name: str, before: str | None = None) -> dict[int, Record]:
    """The records of a stage, with their labels.

    Args:
        recipe: the recipe.
        journal: its journal.
        name: the stage that made the records.
        before: leave out the labels set by this stage and those after it.

    Returns:
        The records by their number among all accepted ones of the stage, from 1. A record whose label was
        rejected is not among them, nor is what was made of it, unless the recipe says what an answer that
        cannot be read means; one that has no label yet is.
    """
    found = dict(enumerate(journal.records(name, ACCEPTED), 1))
    stage = recipe.stage(name)
    if stage.of:
        found = _following(stage, found, rows(recipe, journal, stage.of, before))
    numbers = {record.id: number for number, record in found.items()}
    for label in recipe.labels_of(name, before):
        for verdict in journal.records(label.name):
            number = numbers.get(verdict.parent or "", 0)
            otherwise = verdict.detail.get(OTHERWISE)
            if verdict.fate == REJECTED and otherwise is None:
                found.pop(number, None)
            elif number in found and verdict.fate in (ACCEPTED, REJECTED):
                found[number].data.update(verdict.data if otherwise is None else otherwise)
    return found


def _following(stage: Stage, found: dict[int, Record], parents: dict[int, Record]) -> dict[int, Record]:
    """The records whose parents are left, with what was set on those later; a field of their own stays."""
    own = set(stage.own)
    inherited = {
        parent.id: {key: value for key, value in parent.data.items() if key not in own}
        for parent in parents.values()
    }
    for record in found.values():
        record.data.update(inherited.get(record.parent or "", {}))
    return {number: record for number, record in found.items() if record.parent in inherited}
