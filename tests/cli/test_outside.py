"""The world outside: a terminal that is closed, a reader that goes away, a disk that is full."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import Process, program
from conftest import Typed
from killing import data, start, stored

from selfinstruct.monitor.outside import Lasting, lasting

PAPER = ("recipe=paper", "model=scripted", "cache=off")
PROGRAM = (sys.executable, "-m", "selfinstruct")


def wait_for_replies(run: Path, count: int, process: Process) -> None:
    """Wait until so many replies are in the journal."""
    while len(stored(run)) < count:
        assert process.poll() is None, "it ended too early"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_closed_terminal_stops_a_run_at_work(typed: Typed, project: Path) -> None:
    """Its terminal is gone in mid-run: what is in flight is taken in, files are whole, status 130."""
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)

    arguments = (*PAPER, "target=60", "model.options.delay=0.3", "run_dir=run")
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=project,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        text=True,
        preexec_fn=take_terminal,
    )
    os.close(theirs)
    wait_for_replies(project / "run", 5, process)
    os.close(ours)
    assert process.wait(timeout=30) == 130
    status, out, err = typed("verify", "run")
    assert status == 0, out + err
    assert "the run is unfinished" in out
    assert len(stored(project / "run")) >= 5
    for name in ("run", "calm"):
        _, err = start(project, *PAPER, "target=60", f"run_dir={name}").communicate(timeout=120)
    assert data(project / "run") == data(project / "calm"), err


@pytest.mark.slow
def test_nohup_is_respected(project: Path) -> None:
    """Where a closed terminal is to be ignored, the run comes to its end."""
    process = subprocess.Popen(
        [*PROGRAM, *PAPER, "target=12", "model.options.delay=0.5", "run_dir=run"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    wait_for_replies(project / "run", 1, process)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 0


@pytest.mark.slow
def test_a_closed_terminal_ends_a_sweep_and_a_program_that_is_starting(project: Path) -> None:
    """The next job does not begin; and where no run has begun yet there is nothing to keep."""
    sweep = start(project, "-m", *PAPER, "target=200,201", "model.options.delay=0.3", "sweep_dir=s")
    wait_for_replies(project / "s/0", 3, sweep)
    sweep.send_signal(signal.SIGHUP)
    _, err = sweep.communicate(timeout=30)
    assert sweep.returncode == 130, err
    assert "sweep_dir=s" in err
    assert not (project / "s/1").exists()
    code = (
        "import os, selfinstruct.cli.main as cli; cli.command = lambda _: os.kill(os.getpid(), 1); cli.main()"
    )
    early = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (early.returncode, early.stderr) == (130, "")


@pytest.mark.slow
def test_the_exit_status_is_that_of_the_run_whoever_reads_its_output(project: Path) -> None:
    """`| head`, `>&-` and `2>&-`: no failure of a run, a check, a replay, a sweep or the help."""
    copy, paper = program(), " ".join(PAPER)
    run, fresh = f"{copy} {paper}", f"{program(fresh=True)} {paper}"
    statuses = {
        f"{fresh} target=4 run_dir=run | true": 0,
        f"{fresh} target=4 run_dir=run >&- 2>&-": 0,
        f"{run} target=9 budget.requests=1 run_dir=poor 2>&1 | true": 3,
        f"{run} targte=4 | true": 1,
        f"{copy} replay run run_dir=replayed | true": 0,
        f"{copy} check recipe=paper model=scripted | true": 0,
        f"{copy} --help 2>&- | true": 0,
        f"{copy} -m {paper} target=3 sweep_dir=s 2>&1 | true": 0,
        f"{copy} verify run | true": 0,
    }
    code = "".join(f"{command}\necho ${{PIPESTATUS[0]}}\n" for command in statuses)
    done = subprocess.run(["bash", "-c", code], cwd=project, capture_output=True, text=True, check=False)
    assert [int(line) for line in done.stdout.split()] == list(statuses.values()), done.stderr
    assert "Traceback" not in done.stderr
    assert data(project / "run").keys() == {
        *("instructions.jsonl", "instances.jsonl", "rejected.jsonl", "dataset/alpaca.jsonl"),
        *("dataset/chat.jsonl", "dataset/prompt_completion.jsonl", "dataset/sharegpt.jsonl"),
    }


def test_a_stream_outlasts_its_reader_and_hides_no_other_failure() -> None:
    """A pipe without a reader, a closed file and a full disk take what is written; a folder does not."""
    out, into = os.pipe()
    with os.fdopen(into, "w") as pipe:
        os.close(out)
        stream = Lasting(pipe, own=True)
        assert stream.write("x" * 100_000) == 100_000
        stream.flush()
        print("more", file=stream, flush=True)
    assert stream.write("closed") == 6
    with lasting(None) as nowhere:
        print("nothing", file=nowhere)
    with Path("/dev/full").open("w") as full:
        assert Lasting(full, own=True).write("x" * 100_000) == 100_000

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENXIO, "No such device")

    with pytest.raises(OSError, match="No such device"):
        Lasting(Broken()).write("x")


@pytest.mark.slow
def test_a_full_disk_under_what_is_printed_stops_nothing(project: Path) -> None:
    """Said once where there is room for it; the run, its status and its files are those of any other."""
    run, fresh = (f"{words} {' '.join(PAPER)} target=4" for words in (program(), program(fresh=True)))
    statuses = {
        f"{run} run_dir=calm >/dev/null 2>&1": 0,
        f"{fresh} run_dir=one >/dev/full": 0,
        f"{run} run_dir=two >/dev/full 2>/dev/full": 0,
        f"{fresh} targte=4 2>/dev/full": 1,
        f"{program()} verify one >/dev/full": 0,
    }
    code = "".join(f"{command}\necho $? >>statuses\n" for command in statuses)
    done = subprocess.run(["bash", "-c", code], cwd=project, capture_output=True, text=True, check=False)
    assert [int(line) for line in (project / "statuses").read_text().split()] == [*statuses.values()]
    assert done.stderr.count("the output is cut off") == 2
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert data(project / "one") == data(project / "two") == data(project / "calm")


@pytest.fixture
def small(project: Path) -> Iterator[Path]:
    """A disk of 700 kB, in the user's folder."""
    disk = project / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_a_run_in_words_and_room_brings_it_to_its_end(small: Path, project: Path) -> None:
    """A real disk that is full: a message, status 1, a whole journal; with more room the same bytes."""
    keys = (*PAPER, "target=60")
    full = start(project, *keys, "run_dir=disk/run")
    _, err = full.communicate(timeout=60)
    assert full.returncode == 1
    assert "No space left" in err or "disk is full" in err, err
    assert "Traceback" not in err
    subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
    kept = stored(small / "run")
    assert kept
    for folder in ("disk/run", "calm"):
        again = start(project, *keys, f"run_dir={folder}")
        _, err = again.communicate(timeout=60)
        assert again.returncode == 0, err
    assert data(small / "run") == data(project / "calm")
    assert kept.items() <= stored(small / "run").items(), "nothing that was stored is asked again"
