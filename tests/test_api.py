"""From Python."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from selfinstruct import run
from selfinstruct.errors import RecipeError, UserError
from selfinstruct.recipe.compose import compose

SCRIPTED = ["model=scripted", "target=4"]


def test_run_returns_the_run_with_its_records(tmp_path: Path) -> None:
    """Records are dicts, by stage; the last stage's unless one is named."""
    done = run("paper", SCRIPTED, project=tmp_path, quiet=True)
    assert done.folder == tmp_path / "runs/paper"
    assert done.summary["stages"]["instructions"]["accepted"] == 4
    assert len(done.records("instructions")) == 4
    assert {"instruction", "input", "output"} <= set(done.records()[0])
    assert done.records("rejected") == []
    assert [list(done.each(stage)) for stage in (None, "instructions", "rejected")] == [
        done.records(stage) for stage in (None, "instructions", "rejected")
    ]


def test_records_as_a_pandas_frame(tmp_path: Path) -> None:
    """Where pandas is installed, records come as a frame too."""
    pytest.importorskip("pandas", reason="needs the extra selfinstruct[pandas]")
    frame = run("paper", SCRIPTED, project=tmp_path, quiet=True).frame("instructions")
    assert len(frame) == 4
    assert "is_classification" in frame.columns


def test_run_works_where_a_loop_is_running(tmp_path: Path) -> None:
    """As in a notebook, whose cells run inside an event loop."""

    async def cell() -> int:
        return len(run("paper", SCRIPTED, project=tmp_path, quiet=True).records("instructions"))

    assert asyncio.run(cell()) == 4


CELL = """
import asyncio, sys
from selfinstruct import run

async def cell():
    run("paper", ["model=scripted", "target=30", "model.options.delay=0.4"], project=".")

try:
    asyncio.new_event_loop().run_until_complete(cell())  # asyncio.run would take the interrupt for itself
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupted_cell_goes_on_where_it_was(tmp_path: Path, times: int) -> None:
    """The interrupt waits for the thread that writes the journal; every reply received is in it."""
    cell = subprocess.Popen(
        [sys.executable, "-c", CELL], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    journal = tmp_path / "runs/paper/run.sqlite"
    while len(replies(journal)) < 10 and cell.poll() is None:
        time.sleep(0.05)
    for _ in range(times):
        cell.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, err = cell.communicate(timeout=60)
    assert "interrupted" in out, err
    assert "Traceback" not in err
    assert "stopping after the requests in flight" in err
    received = replies(journal)
    assert len(received) >= 10
    assert not json.loads((tmp_path / "runs/paper/summary.json").read_text())["finished"]
    done = run("paper", ["model=scripted", "target=30"], project=tmp_path, quiet=True)
    direct = run("paper", ["model=scripted", "target=30", "run_dir=direct"], project=tmp_path, quiet=True)
    assert done.records() == direct.records()
    assert received <= replies(journal)


def replies(journal: Path) -> set[tuple[str, int, float]]:
    """The replies that a journal holds, each with the time it took, which no second one would have."""
    if not journal.exists():
        return set()
    with closing(sqlite3.connect(journal)) as db, suppress(sqlite3.OperationalError):
        return set(db.execute("SELECT stage, number, seconds FROM reply"))
    return set()


def test_mistakes_are_user_errors(tmp_path: Path) -> None:
    """What the command line would print is raised, with the faults as objects."""
    with pytest.raises(RecipeError) as caught:
        run("paper", [*SCRIPTED, "model.mode=chatty", "model.timeout=-1"], project=tmp_path, quiet=True)
    assert [fault.where for fault in caught.value.faults] == ["model.mode", "model.timeout"]
    with pytest.raises(UserError, match="unknown recipe"):
        run("papre", project=tmp_path, quiet=True)


def test_each_call_sees_its_own_project_alone(tmp_path: Path) -> None:
    """A second project in the same process has neither the first one's recipes nor its config groups."""
    for name, keys in (("a", "target: 2\n"), ("b", "target: 3\n")):
        (tmp_path / name / "recipes").mkdir(parents=True)
        (tmp_path / name / "conf/mix").mkdir(parents=True)
        (tmp_path / name / f"recipes/only_{name}.yaml").write_text(keys)
        (tmp_path / name / "conf/mix/mine.yaml").write_text(
            f"examples: {4 if name == 'a' else 5}\ngenerated: 0\n"
        )
    (tmp_path / "a/conf/mix/other.yaml").write_text("examples: 4\ngenerated: 0\n")
    assert compose(["recipe=only_a", "mix=mine"], tmp_path / "a").config.mix.examples == 4
    assert compose(["recipe=only_b", "mix=mine"], tmp_path / "b").config.mix.examples == 5
    for override in (["recipe=only_a"], ["recipe=only_b", "mix=other"]):
        with pytest.raises(UserError, match="unknown"):
            compose(override, tmp_path / "b")


def test_a_stage_that_is_not_there(tmp_path: Path) -> None:
    """Asking for another stage's records names those there are."""
    done = run("paper", SCRIPTED, project=tmp_path, quiet=True)
    with pytest.raises(UserError, match="known: instances, instructions, rejected"):
        done.records("instance")
