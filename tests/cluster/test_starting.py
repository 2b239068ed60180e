"""`executor=ray` where Ray does not answer: the wait has a limit, and Ctrl-C works meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from machines import LONGEST, PATIENT, ended, until

pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")
pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

SETTINGS = bytes(3) + b"\4" + bytes(5)  # how a server of HTTP/2 begins
PROGRAM = """
import sys
from selfinstruct.cluster import link
link.LONGEST_OWN = link.LONGEST_THERE = float(sys.argv.pop(1))
from selfinstruct.cli.main import main
main()
"""
TOKEN = "0123456789abcdef" * 4
SCRIPTED = ["recipe=paper", "cache=off", "model=scripted", "executor=ray", "run_dir=run"]


@contextmanager
def silence() -> Iterator[str]:
    """The address of somebody who speaks as a cluster does, and then says nothing more, as a busy one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def greet() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                connection.sendall(SETTINGS)

        threading.Thread(target=greet, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        for connection in held:
            connection.close()


def begin(project: Path, limit: float, *words: str) -> subprocess.Popen[bytes]:
    """Type a command, with so many seconds as the limit for Ray; standard error goes to the file `err`."""
    with (project / "err").open("w") as err:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(limit), *words],
            cwd=project,
            env={**os.environ, **PATIENT},
            stdout=subprocess.DEVNULL,
            stderr=err,
        )


def said(project: Path, process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """The exit status, and what was said on standard error."""
    process.wait(LONGEST)
    return process.returncode, (project / "err").read_text()


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_cluster_that_does_not_answer(project: Path, verb: str) -> None:
    """After two seconds the wait is shown, and after the limit the command ends and says what to do."""
    with silence() as address:
        process = begin(project, 4, verb, *SCRIPTED, f"executor.address={address}")
        status, err = said(project, process)
    assert status == 1, err
    assert f"connecting to Ray at {address} …" in err
    assert f"executor.address: Ray at {address} did not answer within 4 s\n  ask it" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("verb", ["check", "run"])
def test_ctrl_c_while_a_cluster_does_not_answer(project: Path, verb: str) -> None:
    """Ends the command, since no request is in flight."""
    with silence() as address:
        process = begin(project, 100, verb, *SCRIPTED, f"executor.address={address}")
        while "connecting to Ray" not in (project / "err").read_text():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        status, err = said(project, process)
    assert status == 130, err
    assert "Traceback" not in err


def test_a_cluster_of_our_own_that_does_not_start(project: Path) -> None:
    """The run ends and says what to do, and whatever Ray has started by then ends too."""
    process = begin(project, 5, *SCRIPTED)
    theirs: dict[int, Any] = {}
    while process.poll() is None:  # without its first process, Ray cannot get further
        with suppress(psutil.Error):
            for one in psutil.Process(process.pid).children(recursive=True):
                theirs[one.pid] = one
                if one.name() == "gcs_server":
                    one.send_signal(signal.SIGSTOP)
        time.sleep(0.01)
    status, err = said(project, process)
    assert status == 1, err
    assert "a Ray cluster cannot be started here: it takes longer than 5 s" in err
    assert "ray start --head, and then executor.address=HOST:6379" in err
    assert "Traceback" not in err
    until(lambda: ended(theirs.values()))


def test_a_cluster_that_asks_for_a_token(project: Path) -> None:
    """The token of this machine is used, and without it the message says where to get it."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_AUTH")}
    homes = {name: {**env, "HOME": str(project / name)} for name in ("with", "without")}
    (project / "with/.ray").mkdir(parents=True)
    (project / "with/.ray/auth_token").write_text(TOKEN)
    head = [f"--port={port}", "--num-cpus=1", "--include-dashboard=false", "--disable-usage-stats"]
    ray = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *head],
        env=homes["with"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert ray.stdout
        for line in ray.stdout:
            if "Ray runtime started" in line:
                break
        else:
            pytest.skip("Ray does not start on this machine now")
        check = [
            sys.executable,
            "-m",
            "selfinstruct",
            "check",
            *SCRIPTED,
            f"executor.address=127.0.0.1:{port}",
        ]
        found = {
            name: subprocess.run(check, cwd=project, env=own, capture_output=True, text=True, timeout=LONGEST)
            for name, own in homes.items()
        }
    finally:
        ray.terminate()
        ray.wait(LONGEST)
    assert found["with"].returncode == 0, found["with"].stderr
    assert f"at 127.0.0.1:{port}: machines: 1" in found["with"].stdout
    assert found["without"].returncode == 1
    assert "it asks for its token, and there is none here" in found["without"].stderr
    assert "copy ~/.ray/auth_token from the cluster's first machine" in found["without"].stderr
