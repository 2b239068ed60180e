"""The command line as a process: a copy of a warm interpreter, or a fresh interpreter.

    process = start(project, "recipe=paper", "model=scripted")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

Most tests need a copy (see `nursery`): a process with an exit status, which can be killed. A test needs a
fresh interpreter if it is about the start of one, its warnings, other variables of the environment, or a
session; or if the command starts processes itself. Each way to end a process has a test on a fresh one too.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from atexit import register
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

import nursery_client
from nursery_client import ADDRESS, ask

# Elsewhere, a process that has loaded such libraries may crash once it is forked.
FORKS = sys.platform == "linux"


class Refused(Exception):
    """The nursery made no copy, because imports may have read other values of the environment."""


class Copy:
    """A copy of the nursery, with the part of `subprocess.Popen` that tests use.

    Args:
        connection: the connection to the copy's keeper.
        out: the file that gets standard output.
        err: the file that gets standard error.
    """

    def __init__(self, connection: socket.socket, out: IO[bytes], err: IO[bytes]) -> None:
        self._connection, self._files = connection, (out, err)
        self._answers = connection.makefile()
        answer = self._answers.readline().strip()
        if not answer.isdigit():
            raise Refused(answer)
        self.pid = int(answer)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process; return the exit status."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("selfinstruct", timeout or 0)
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._connection.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end of the process; return its standard output and standard error."""
        self.wait(timeout)
        out, err = (_text(file) for file in self._files)
        return out, err

    def send_signal(self, number: int) -> None:
        """Send a signal, if the process still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, if the process still runs."""
        self.send_signal(signal.SIGKILL)


Process = Copy | subprocess.Popen[str]


def start(
    project: Path,
    *arguments: str,
    fresh: bool = False,
    streams: Sequence[int] | None = None,
    **variables: str,
) -> Process:
    """Start the command line in a user's folder.

    Args:
        project: the folder.
        arguments: the words after `selfinstruct`.
        fresh: whether to start an interpreter; one is started too if the nursery refuses.
        streams: descriptors for standard input, output and error, instead of files for `communicate`.
        variables: variables of the environment, in addition.
    """
    environment = {**os.environ, **variables}
    if FORKS and not fresh:
        with suppress(Refused):
            return _copy(project, arguments, streams, environment)
    stdin, stdout, stderr = streams or (subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE)
    return subprocess.Popen(
        [sys.executable, "-m", "selfinstruct", *arguments],
        cwd=project,
        env=environment,
        text=True,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )


def _copy(
    project: Path, arguments: Sequence[str], streams: Sequence[int] | None, environment: Mapping[str, str]
) -> Copy:
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    with Path(os.devnull).open() as nothing:
        attached = dict(enumerate(streams or (nothing.fileno(), out.fileno(), err.fileno())))
        return Copy(ask(nursery(), str(project), arguments, environment, attached), out, err)


def run(
    project: Path, *arguments: str, fresh: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Start the command line in a user's folder, and wait for its end."""
    process = start(project, *arguments, fresh=fresh, streams=None, **variables)
    out, err = process.communicate()
    return subprocess.CompletedProcess(arguments, process.wait(), out, err)


def program(fresh: bool = False) -> str:
    """The words for a shell script in place of `selfinstruct`."""
    client = f"-I -S {nursery_client.__file__}"
    return f"{sys.executable} {'-m selfinstruct' if fresh or not FORKS else client}"


@cache
def nursery() -> str:
    """The path of the nursery's socket; the first call in a session starts the nursery."""
    if ADDRESS in os.environ:
        return os.environ[ADDRESS]
    path = f"{tempfile.mkdtemp(prefix='nursery-')}/socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py")), str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    register(process.communicate)  # which closes the nursery's standard input
    return path


def _text(file: IO[bytes]) -> str:
    """The text that a process has written."""
    file.seek(0)
    return file.read().decode()
