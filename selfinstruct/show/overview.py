"""A run at a glance, as plain data: its state, the figures of each stage so far, and a few of its records.

It reads the journal, so it works during a run. Of a large run it reads the figures and the samples only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from selfinstruct.dataset.merged import merged
from selfinstruct.llm.batch.still_open import STARTED, still_open
from selfinstruct.records import ACCEPTED, OTHERWISE, REJECTED, Record, stream
from selfinstruct.run_folder.folder import JOB, JOURNAL
from selfinstruct.run_folder.opened import RUNNING, UNFINISHED, OpenedRun
from selfinstruct.show.story import parents_of

SAMPLES = 3
_WORDS = {
    RUNNING: "a process is writing to it; these are the figures so far",
    UNFINISHED: "it was stopped before its end; the command that started it continues it",
}


def overview(run: OpenedRun, count: int = SAMPLES) -> dict[str, Any]:
    """The state of a run, its figures, and sample records.

    Args:
        run: the run, opened.
        count: how many samples.

    Returns:
        recipe, state: as in `summary.json`; during a run the state is `running`.
        note: more about the state, and the batches that are open at the provider; empty if it is finished.
        stages: the figures of each stage, as in `summary.json`.
        samples: records of the last stage that makes records and has one, drawn at random.
        merged: of a merge: its runs and what was taken of each, as in `summary.json`.
    """
    batches = still_open(run.journal, "" if run.running else STARTED)
    missed = run.summary.get("missed") or {}
    notes = {**_WORDS, "missed": f"in {missed.get('stage')} {missed.get('why')}" if missed else ""}
    return {
        "recipe": run.outline.recipe,
        "state": run.state,
        "note": "; ".join(filter(None, [notes.get(run.state, ""), *batches])),
        "stages": figures(run),
        "samples": samples(run, count),
        **({"merged": facts} if (facts := merged(run.journal)) else {}),
    }


def figures(run: OpenedRun) -> dict[str, dict[str, Any]]:
    """The figures of each stage so far, as in `summary.json`."""
    found = {stage.name: asdict(run.journal.stats(stage.name)) for stage in run.outline.stages}
    for one in found.values():
        if one["embeddings"] is None:
            del one["embeddings"]
    written = run.summary.get("stages", {})
    labels = [stage.name for stage in run.outline.stages if stage.labels and found[stage.name]["rejected"]]
    for stage in run.outline.makers:
        name, own = stage.name, found[stage.name]
        same = all(written.get(one, {}).get("candidates") == found[one]["candidates"] for one in found)
        if same and "left" in written[name]:
            own["left"] = written[name]["left"]
        else:  # only a rejected label leaves records out
            own["left"] = sum(1 for _ in run.records(name)) if labels else own["accepted"]
    return found


def samples(run: OpenedRun, count: int = SAMPLES) -> list[dict[str, Any]]:
    """A few records of the last stage that has some, with their labels; the same ones each time."""
    for stage in reversed(run.outline.makers):
        numbers = sorted(run.journal.taken(stage.name) or {one.request for one in _unasked(run, stage.name)})
        stream(run.outline.seed, "samples").shuffle(numbers)
        found = list(islice(_labelled(run, stage.name, numbers[: 20 * count]), count))
        if found:
            return found
    return []


def _labelled(run: OpenedRun, stage: str, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The records of some requests that no label leaves out: the first one of each, then the others."""
    others: list[Record] = []
    for number in numbers:
        records = list(run.journal.records(stage, ACCEPTED, number))
        others += records[1:]
        for record in records[:1]:
            data = labelled(run, record)
            yield from [{"id": record.id, **data}] if data else []
    for record in others:
        data = labelled(run, record)
        yield from [{"id": record.id, **data}] if data else []


def labelled(run: OpenedRun, record: Record) -> dict[str, Any] | None:
    """The fields of a record with its labels, as in the file of its stage; None if a label leaves it out."""
    line = [*parents_of(run, record), record]
    data, own = dict(record.data), set(run.outline.stage(record.stage).own)
    names = {stage.name: stage.own for stage in run.outline.stages if stage.labels}
    for label in run.journal.children(*(one.id for one in line)):
        if label.stage not in names:
            continue
        otherwise = label.detail.get(OTHERWISE)
        if label.fate == REJECTED and otherwise is None:
            return None
        given = otherwise or {name: label.data[name] for name in names[label.stage] if name in label.data}
        mine = label.parent == record.id
        data |= {name: value for name, value in given.items() if mine or name not in own}
    return data


def jobs(sweep: Path) -> list[dict[str, Any]]:
    """The jobs of a sweep, by number, each as its file has it; empty if the folder is not a sweep's."""
    if (sweep / JOURNAL).exists() or not sweep.is_dir():
        return []
    numbered = sorted(
        (path for path in sweep.iterdir() if path.name.isdecimal()), key=lambda one: int(one.name)
    )
    return [{"job": int(path.name), **_outcome(path)} for path in numbered if path.is_dir()]


def _outcome(job: Path) -> dict[str, Any]:
    try:
        found = json.loads((job / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict):
        return found
    return {
        "state": UNFINISHED if (job / JOURNAL).exists() else "not started",
        "overrides": [],
        "figures": {},
    }


def _unasked(run: OpenedRun, stage: str) -> Iterator[Record]:
    """The records of a stage that asks no model."""
    return run.journal.records(stage, ACCEPTED)
