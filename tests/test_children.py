"""The processes that tests start: a copy of the warm interpreter is as good as a fresh one."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from children import FORKS, Copy, program, run, start
from conftest import ROOT
from killing import data

pytestmark = pytest.mark.skipif(not FORKS, reason="only fresh interpreters are started here")
PAPER = ("recipe=paper", "model=scripted", "cache=off")
VERSION = version("selfinstruct")


def test_a_copy_does_what_a_fresh_interpreter_does(project: Path) -> None:
    """It prints the same, ends in the same way and writes the same bytes, in the folder that was named."""
    for name in ("fresh", "copy"):
        (project / name).mkdir()
    for words in ([*PAPER, "target=3"], ["check", *PAPER, "target=-1"], ["chek"]):
        fresh, copy = (run(project / name, *words, fresh=name == "fresh") for name in ("fresh", "copy"))
        assert copy.returncode == fresh.returncode
        assert steady(copy) == steady(fresh)
    assert data(project / "fresh/runs/paper") == data(project / "copy/runs/paper") != {}


def steady(done: subprocess.CompletedProcess[str]) -> str:
    """What a process has printed, but for seconds."""
    return re.sub(r"\d\.\d|(?m:^starting .*\n)", "", done.stdout + done.stderr)


def test_a_copy_has_an_environment_of_its_own(project: Path) -> None:
    """As it was given; with another value of what an import may have read, a fresh interpreter is started."""
    assert run(project, *PAPER[:2], "target=1", XDG_CACHE_HOME=str(project / "mine")).returncode == 0
    assert list((project / "mine").rglob("*.sqlite"))
    assert not (project / ".cache").exists()
    assert isinstance(start(project, "--version"), Copy)
    other = start(project, "--version", PYTHONPATH=f"{ROOT}:{project}")
    assert isinstance(other, subprocess.Popen)
    assert other.communicate()[0].strip() == VERSION
    script = f"PYTHONPATH={ROOT}:{project} {program()} --version; {program()} --version"
    done = subprocess.run(["bash", "-c", script], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [VERSION, VERSION], done.stderr


@pytest.mark.parametrize(("signals", "status"), [([signal.SIGKILL], -9), ([signal.SIGINT] * 2, 130)])
def test_signals_end_a_copy(project: Path, signals: list[signal.Signals], status: int) -> None:
    """And it has the status of a process that they have ended."""
    copy = start(project, *PAPER, "target=9", "model.options.delay=60", "run_dir=run")
    while not (project / "run/run.sqlite").exists():
        time.sleep(0.01)
    with pytest.raises(subprocess.TimeoutExpired):
        copy.wait(0.5)
    for number in signals:
        copy.send_signal(number)
        time.sleep(0.3)
    copy.communicate(timeout=30)
    assert copy.returncode == copy.wait() == copy.poll() == status


def test_a_copy_in_a_shell_script(project: Path) -> None:
    """It has the script's streams, also where one is closed, and its status is the command's."""
    script = f"{program()} --version | cat\n{program()} chek 2>&1 >&-\necho $?"
    done = subprocess.run(["bash", "-c", script], cwd=project, capture_output=True, text=True, check=True)
    first, *said, status = done.stdout.splitlines()
    assert (first, status) == (VERSION, "1"), done.stdout + done.stderr
    assert "unknown verb" in "".join(said)


def test_the_nursery_ends_with_the_session() -> None:
    """Whatever has ended the session, the nursery removes its socket and ends."""
    script = (
        "import os, signal\n"
        "from children import nursery\n"
        "print(nursery(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    folder, end = Path(done.stdout.strip()).parent, time.monotonic() + 30
    while folder.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert folder.name.startswith("nursery-")
    assert not folder.exists()
