"""What a stage holds in memory of the records that it asks about: their places, not their fields."""

from __future__ import annotations

import signal
import time
import tracemalloc
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
from killing import data, start, stored

from selfinstruct.journal.labelled_records import LAST, one_by_one, rows
from selfinstruct.journal.store import Journal
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import ACCEPTED, REJECTED, Record, Reply
from selfinstruct.stages import StageContext

REPLIES, EACH, LONG = 200, 8, 3_000
TASKS, LABEL, INSTANCES = "instructions", "classification", "instances"
REPLY = {LABEL: " No", INSTANCES: "Input: none\nOutput: Done."}


def paper(folder: Path) -> Recipe:
    """The paper's recipe."""
    return compose(["recipe=paper", "model=scripted", "target=10_000"], folder).recipe()


def filled(folder: Path) -> Journal:
    """A journal with 1,600 long instructions, and a label for each."""
    journal = Journal(folder / "run.sqlite")
    for number in range(1, REPLIES + 1):
        journal.take(TASKS, number, [task(number, place) for place in range(EACH)])
    for number in range(1, REPLIES * EACH + 1):
        journal.take(LABEL, number, [label(number)])
    return journal


def task(number: int, place: int) -> Record:
    """An accepted instruction; it differs from all others."""
    text = f"Task {number} {place} ".ljust(LONG, "x")
    return Record(f"{TASKS}-{number:06}-{place}", TASKS, number, place, {"instruction": text}, fate=ACCEPTED)


def label(number: int) -> Record:
    """The label of an instruction; each tenth is rejected."""
    request, place = divmod(number - 1, EACH)
    parent, fate = f"{TASKS}-{request + 1:06}-{place}", ACCEPTED if number % 10 else REJECTED
    return Record(f"{LABEL}-{number:06}-0", LABEL, number, 0, {"is_classification": False}, parent, fate)


def opened(recipe: Recipe, journal: Journal, name: str) -> StageContext:
    """What a run gives the stage."""
    find = partial(rows, recipe, journal, before=name)
    return StageContext(
        journal=journal,
        seeds=recipe.seeds.tasks,
        mix=recipe.config.mix,
        seed=0,
        target=10_000,
        rows=lambda: find(TASKS),
        rows_of=find,
        asked_about=list,
    )


@pytest.mark.parametrize("name", [LABEL, INSTANCES])
def test_a_stage_holds_places_of_records(tmp_path: Path, name: str) -> None:
    """The most memory on the way is that of the last records; all of them would take twice as much."""
    recipe, journal = paper(tmp_path), filled(tmp_path)
    stage, context = recipe.stage(name), opened(recipe, journal, name)
    stage.kind.open(stage, context)  # whatever is imported and compiled now is not counted
    tracemalloc.start()
    try:
        work = stage.kind.open(stage, context)
        for _ in range(LAST + 100):
            assert (request := work.compose())
            assert request.number == work.turn()
            assert [record.parent for record in work.take(request.number, Reply(REPLY[name]))][:1]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        journal.close()
    assert most < 0.75 * REPLIES * EACH * LONG


def test_a_choice_holds_no_records(tmp_path: Path) -> None:
    """Those chosen and those not chosen wait in a temporary file until all of them are stored."""
    choice = f"+pipeline.some={{kind: sample, of: {TASKS}, count: 900}}"
    keys = ["recipe=paper", "model=scripted", "target=10_000", "export=none", choice]
    recipe = compose(keys, tmp_path).recipe()
    journal = filled(tmp_path)
    stage, context = recipe.stage("some"), opened(recipe, journal, "some")
    tracemalloc.start()
    try:
        stage.kind.open(stage, context)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    kept = journal.count("record", "some")
    journal.close()
    assert kept == REPLIES * EACH * 9 // 10
    assert most < 0.75 * REPLIES * EACH * LONG


def test_a_quota_holds_no_records(tmp_path: Path) -> None:
    """What was made about each is read again for the next request about it, also after an interruption."""
    keys = [f"+pipeline.{INSTANCES}.quota=2", f"~filters.{INSTANCES}"]  # filters keep texts to compare
    recipe = compose(["recipe=paper", "model=scripted", "target=10_000", *keys], tmp_path).recipe()
    journal = filled(tmp_path)
    stage, context = recipe.stage(INSTANCES), opened(recipe, journal, INSTANCES)
    work = stage.kind.open(stage, context)
    tracemalloc.start()
    try:
        for number in range(1, len(rows(recipe, journal, TASKS)) + 1):
            request = work.compose()
            assert request and request.number == number
            journal.sent([request])
            reply = Reply(f"Input: none\nOutput: {number} ".ljust(LONG, "y"))
            journal.arrived(request, reply)
            journal.take(INSTANCES, number, work.take(number, reply))
        journal.commit()
        held, _ = tracemalloc.get_traced_memory()
        again = stage.kind.open(stage, context)
        held_again, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert work.compose() == again.compose()
    journal.close()
    assert max(held, held_again - held) < 0.75 * REPLIES * EACH * LONG


def test_records_read_in_any_order_are_those_read_one_by_one(tmp_path: Path) -> None:
    """Each has its label, those with a rejected label are left out, and the numbers count these too."""
    recipe, journal = paper(tmp_path), filled(tmp_path)
    found: Mapping[int, Record] = rows(recipe, journal, TASKS)
    assert list(found) == [number for number in range(1, REPLIES * EACH + 1) if number % 10]
    assert len(found) == REPLIES * EACH * 9 // 10
    assert 10 not in found
    with pytest.raises(KeyError):
        found[10]
    assert [found[number] for number in reversed(list(found))] == [*one_by_one(recipe, journal, TASKS)][::-1]
    assert found[11].data["is_classification"] is False
    assert found[11].id == f"{TASKS}-000002-2"
    assert list(rows(recipe, journal, TASKS, before=LABEL)) == list(range(1, REPLIES * EACH + 1))
    journal.close()


def test_writing_between_two_records_disturbs_nothing(tmp_path: Path) -> None:
    """A stage writes to the journal while it reads; also rows that are written twice, and are rolled back."""
    recipe, journal = paper(tmp_path), filled(tmp_path)
    seen = []
    for number, record in rows(recipe, journal, TASKS).items():
        child = Record(f"{INSTANCES}-{number:06}-0", INSTANCES, number, 0, {}, record.id, ACCEPTED)
        journal.take(INSTANCES, number, [child])
        journal.take(INSTANCES, number, [child])
        if number % 100 == 1:
            journal.commit()
        seen.append(record.id)
    assert seen == [record.id for record in one_by_one(recipe, journal, TASKS)]
    assert len([*one_by_one(recipe, journal, INSTANCES)]) == len(seen)
    journal.close()


@pytest.mark.slow
def test_a_kill_while_records_are_asked_about_changes_no_byte(project: Path) -> None:
    """Killed among the labels, and again among the instances; the data are those of a calm run."""
    command = ("recipe=paper", "model=scripted", "cache=off", "target=24")
    slowly = ("model.options.delay=0.5", "model.concurrency=2")  # a kill comes in time on a busy machine
    calm = start(project, *command, "run_dir=calm")
    _, err = calm.communicate(timeout=300)
    assert calm.returncode == 0, err
    for stage in (LABEL, INSTANCES):
        process = start(project, *command, *slowly, "run_dir=run")
        while sum(name == stage for name, _ in stored(project / "run")) < 3:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    last = start(project, *command, "run_dir=run")
    _, err = last.communicate(timeout=300)
    assert last.returncode == 0, err
    assert data(project / "run") == data(project / "calm")
