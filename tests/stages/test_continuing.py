"""What a bootstrap stage holds in memory while it goes on with a run."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from tiny_recipe import write_tiny

from selfinstruct.journal.store import Journal
from selfinstruct.recipe.compose import compose
from selfinstruct.records import ACCEPTED, Record, Reply, Request
from selfinstruct.stages import StageContext

REPLIES, EACH = 300, 8


def test_earlier_records_are_read_reply_by_reply(tmp_path: Path) -> None:
    """The pool keeps places alone, and all records as objects would take several hundred bytes each."""
    write_tiny(tmp_path)
    recipe = compose(["recipe=tiny", "model=scripted", "target=10_000"], tmp_path).recipe()
    stage = recipe.stages[0]
    journal = Journal(tmp_path / "run.sqlite")
    for number in range(1, REPLIES + 1):
        request = Request(stage.name, number, "more", None, {})
        journal.sent([request])
        journal.arrived(request, Reply("some", "stop", "tiny", 1, 1))
        journal.take(stage.name, number, [made(stage.name, number, place) for place in range(EACH)])
    context = StageContext(
        journal=journal,
        seeds=recipe.seeds.tasks,
        mix=recipe.config.mix,
        seed=0,
        target=10_000,
        rows=dict,
        rows_of=lambda name: {},
        asked_about=list,
    )
    stage.kind.open(stage, context)  # whatever is imported and compiled now is not counted
    tracemalloc.start()
    try:
        work = stage.kind.open(stage, context)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        journal.close()
    assert work.turn() == REPLIES + 1
    assert kept < REPLIES * EACH * 30, "the pool keeps their places only"
    assert most < kept + REPLIES * EACH * 60, "and no more than a few are objects at a time"


def made(stage: str, number: int, place: int) -> Record:
    """An accepted record."""
    data = {"instruction": f"Task {number} {place}"}
    return Record(f"{stage}-{number:06}-{place}", stage, number, place, data, fate=ACCEPTED)
