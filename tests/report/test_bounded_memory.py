"""What reads a whole run holds only a part of it: its memory does not grow with the records."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from selfinstruct.cli.main import command
from selfinstruct.journal.outline import OUTLINE
from selfinstruct.journal.store import Journal
from selfinstruct.records import ACCEPTED, Record

FEW, MANY = 1_000, 11_000
BYTES = 8_000  # of a record
LEAST = (MANY - FEW) * BYTES / 1e6  # MB that the other 10,000 records take in memory
BEFORE = """
import sys
from pathlib import Path
from selfinstruct.run_folder.opened import opened
path = Path(sys.argv[1])
"""
AFTER = """
status = Path("/proc/self/status").read_text()
print("MB:", int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6)
"""
WORK = {
    "the report": """
from selfinstruct.report.command import main
main([str(path)], path.parent)
""",
    "the sample of a review": """
from selfinstruct.review.material import read_material
with opened(path) as run:
    assert len(read_material(run, {}, 200).sample) == 200
""",
    "a search": """
from selfinstruct.show.command import main
main([str(path), "--where", "output=Yes.", "-n", "1"], path.parent)
""",
    "samples": """
from selfinstruct import open_run
assert "instances" in open_run(path)._repr_html_()
""",
}

# Elsewhere, the most memory of a process counts that of the one which started it.
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Gives the folder of a run with so many long instances more."""
    project = tmp_path_factory.mktemp("grown")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("XDG_CACHE_HOME", str(project / ".cache"))
        assert command(["recipe=paper", "model=scripted", "target=5", "run_dir=run", "report=off"]) == 0

    def copy(count: int) -> Path:
        to = project / f"run-{count}"
        if to.is_dir():
            return to
        shutil.copytree(project / "run", to)
        (to / "summary.json").unlink()  # so that records are read from the journal
        journal = Journal(to / "run.sqlite")
        journal.set_meta(OUTLINE, {**journal.meta(OUTLINE), "language": "fi"})  # no parser, which takes more
        parent = next(journal.records("instances", ACCEPTED)).parent
        for first in range(0, count, 1_000):
            numbers = range(100 + first, 100 + first + 1_000)
            journal.take("instances", 100 + first, [instance(number, parent) for number in numbers])
        journal.close()
        return to

    return copy


def instance(number: int, parent: str | None) -> Record:
    """An accepted record with a long field that no stage has named."""
    data = {"input": "", "output": "Yes.", "about": f"{number} " + "x" * BYTES}
    return Record(f"instances-{number:06d}-9", "instances", number, 9, data, parent, fate=ACCEPTED)


@pytest.mark.parametrize("work", WORK)
def test_memory_does_not_grow_with_the_records(grown: Callable[[int], Path], work: str) -> None:
    """The most memory of a process that does the work, on a small run and on one with 80 MB more."""
    few, many = (most_memory(grown(count), WORK[work]) for count in (FEW, MANY))
    assert many - few < LEAST / 3


def most_memory(run: Path, work: str) -> float:
    """The most memory, in MB, of a process that does some work on a run."""
    words = [sys.executable, "-c", BEFORE + work + AFTER, str(run)]
    done = subprocess.run(words, cwd=run.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.rpartition("MB:")[2])
