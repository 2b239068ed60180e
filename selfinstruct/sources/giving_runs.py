"""Runs that give their records to a merge: what is known of each before its records are read.

The records are read one stage at a time, from the journals, which nothing here changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.errors import DamagedJournal, Fault, RunFolderError
from selfinstruct.journal.outline import Outline, stored_outline
from selfinstruct.journal.store import FINISHED, MERGED, Journal
from selfinstruct.records import ACCEPTED, Record
from selfinstruct.sources.past_runs import (
    Asked,
    add_damage,
    folder_of,
    opened_to_read,
    refuse_damaged,
    unfinished_fault,
)


@dataclass(frozen=True)
class GivingRun:
    """A run that gives its records.

    Attributes:
        path: its folder.
        name: the name that the records keep of it: as much of its path as tells it from the others.
        outline: its stages.
        accepted: by stage that makes records, how many it accepted.
        first: by stage that makes records, the fields of the first one, as sample values.
        digest: a digest of all its records.
        facts: recipe, languages, seed, models, finished, digests (see `origins_of`), and what it has cost:
            cost_usd, tokens, requests.
    """

    path: Path
    name: str
    outline: Outline
    accepted: Mapping[str, int]
    first: Mapping[str, Mapping[str, Any]]
    digest: str
    facts: Mapping[str, Any]

    @contextmanager
    def opened(self) -> Iterator[Journal]:
        """Its journal, to read from.

        Raises:
            RunFolderError: if it is damaged, or gone.
        """
        with opened_to_read(self.path) as journal:
            yield journal


def read_runs(
    runs: Sequence[str], project: Path, asked: Asked, unfinished: bool, faults: list[Fault]
) -> list[GivingRun]:
    """The runs in these folders, in order; empty after adding a fault.

    Args:
        runs: the folders, as a user types them.
        project: the user's folder.
        asked: the keys that ask for them.
        unfinished: whether a run that is not finished may be among them.
        faults: receives every fault found.
    """
    before = len(faults)
    paths = [path for words in runs if (path := folder_of(words, project, asked, faults))]
    resolved = [path.resolve() for path in paths]
    for words, path in zip(runs, resolved, strict=False):
        if len(paths) == len(runs) and resolved.count(path) > 1:
            faults.append(Fault(asked.run, f"{words} is named twice", "name each run once"))
            break
    names = names_of(resolved) if len(faults) == before else []
    found = [_read(path, name, asked, unfinished, faults) for path, name in zip(paths, names, strict=False)]
    return [run for run in found if run] if len(faults) == before else []


def names_of(paths: Sequence[Path]) -> list[str]:
    """For each folder as much of the end of its path as no other has."""
    longest = max((len(path.parts) for path in paths), default=0)
    for depth in range(1, longest + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def fields_of(outline: Outline, stage: str) -> list[str]:
    """The fields that a run gives the records of a stage itself, with the labels that are set on them."""
    labels = [name for label in outline.labels_of(stage) for name in label.own]
    return list(dict.fromkeys([*outline.stage(stage).own, *labels]))


def origins_of(journal: Journal) -> list[str]:
    """A digest of all records of a run; of a merge, those of the runs that it began with."""
    before: list[dict[str, Any]] = journal.meta(MERGED, [])
    return [one for run in before for one in run.get("digests", [])] or [journal.digest()]


def _read(path: Path, name: str, asked: Asked, unfinished: bool, faults: list[Fault]) -> GivingRun | None:
    try:
        refuse_damaged(path)
        with opened_to_read(path) as journal:
            outline = stored_outline(journal)
            if outline is None:
                what = f"the run in {path} is of an earlier version, whose records cannot be read here"
                remedy = "run its own command once more, which brings it up to date"
                faults.append(Fault(asked.run, what, remedy))
                return None
            if not unfinished and not journal.meta(FINISHED):
                faults.append(unfinished_fault(path, asked))
            makers = [stage.name for stage in outline.makers]
            accepted = {stage: journal.fates(stage)[0] for stage in makers}
            first = {stage: _first(journal, outline, stage) for stage in makers}
            return GivingRun(
                path, name, outline, accepted, first, journal.digest(), _facts(journal, outline, name)
            )
    except DamagedJournal as error:
        add_damage(error, asked, faults)
    except RunFolderError as error:
        faults.append(Fault(asked.run, str(error)))
    return None


def _first(journal: Journal, outline: Outline, stage: str) -> dict[str, Any]:
    """The fields of the first accepted record of a stage, with its labels and those of its parents."""
    record = next(journal.records(stage, ACCEPTED), None)
    data: dict[str, Any] = {}
    while record:
        labels = [one for one in journal.children(record.id) if _is_label(outline, one)]
        for one in (record, *labels):
            data = {**one.data, **data}
        record = journal.record(record.parent) if record.parent else None
    return data


def _is_label(outline: Outline, record: Record) -> bool:
    return record.fate == ACCEPTED and any(
        stage.labels for stage in outline.stages if stage.name == record.stage
    )


def _facts(journal: Journal, outline: Outline, name: str) -> dict[str, Any]:
    """What the journal of a merge keeps of a run; what a merged one has cost, its own runs have."""
    before: list[dict[str, Any]] = journal.meta(MERGED, [])
    spent = journal.spent()
    models = {str(row["model"]) for stage in outline.stages for row in journal.spending(stage.name)}
    return {
        "run": name,
        "recipe": outline.recipe,
        "languages": sorted({name for one in before for name in one["languages"]}) or [outline.language],
        "seed": outline.seed,
        "models": sorted({*models, *(model for one in before for model in one["models"])} - {""}),
        "finished": bool(journal.meta(FINISHED)),
        "digests": origins_of(journal),
        "cost_usd": round(spent.usd + sum(one["cost_usd"] for one in before), 6),
        "tokens": spent.tokens + sum(one["tokens"] for one in before),
        "requests": spent.requests + sum(one["requests"] for one in before),
    }
