"""A process that has imported everything, and forks a copy of itself for each command line that it gets.

A fresh interpreter needs 3 to 10 s of CPU until it has imported Hydra and LiteLLM. A copy has them already.
It is a process like any other: it has its own number, environment, standard streams and exit status, and
signals end it. `children` starts the nursery, `nursery_client` asks it for copies. Each request is a
connection:

    eight bytes, the length of the rest, with the open ones of the streams 0, 1 and 2 attached
    JSON: the arguments, the folder, the environment, and which streams are attached

The answer is two lines: the process number of the copy and, when it has ended, its exit status, which is
negative for a signal. A keeper, which is one more copy, waits for that end. The nursery ends when its
standard input is closed, and that is at the end of the tests, even if they are killed.
"""

from __future__ import annotations

import gc
import io
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

# A copy may differ from the nursery in these variables only, since no module reads them when it is imported.
FREE = {
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "AZURE_API_KEY", "TINY_KEY", "NO_PROXY"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TERM", "COLUMNS", "LINES"),
    # The product itself sets these when it needs them, so they may be left from an earlier test.
    *("HYDRA_FULL_ERROR", "OMP_WAIT_POLICY", "HF_HUB_DISABLE_PROGRESS_BARS", "TIKTOKEN_CACHE_DIR"),
    *("PYTHONUNBUFFERED", "PWD", "OLDPWD", "SHLVL", "_"),
}
FREE_PREFIXES = ("PYTEST_", "SELFINSTRUCT_TESTS_", "RAY_")


def warm_up() -> None:
    """Run a recipe over HTTP, which imports what a command line imports.

    The threads of the run and of its server must have ended: a copy has only the thread that forks.
    """
    from server import ModelServer, by_prompt

    from selfinstruct.cli.main import command

    project = tempfile.mkdtemp()
    os.chdir(project)
    sys.path[0] = project
    for name in FREE & set(os.environ):
        del os.environ[name]
    os.environ |= {"XDG_CACHE_HOME": project, "XDG_CONFIG_HOME": project, "NO_PROXY": "127.0.0.1"}
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out), ModelServer(by_prompt) as server:
        model = ("model=vllm", "model.name=hosted_vllm/tiny", f"model.api_base={server.base}", "cache=off")
        status = command(["recipe=paper", "target=1", *model])
    if status:
        sys.exit(f"the nursery could not run a recipe:\n{out.getvalue()}")
    os.chdir("/")
    shutil.rmtree(project)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(10)
    assert threading.active_count() == 1, threading.enumerate()
    gc.collect()
    gc.freeze()  # otherwise the garbage collector of each copy would write to all the memory that it shares


def next_request(listener: socket.socket) -> dict[str, Any]:
    """Fork for each connection; return in the copies only, each with its request."""
    warm = False
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            _reap()
            shutil.rmtree(Path(listener.getsockname()).parent)
            os._exit(0)
        if not warm:  # now, since many sessions need no copy
            warm_up()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            warm = True
        connection, _ = listener.accept()
        with connection:
            if os.fork():
                _reap()
                continue
            request = received(connection)
            listener.close()
            if names := other_variables(request["environment"]):
                connection.sendall(f"other values of {names}\n".encode())
                os._exit(1)
            pid = os.fork()
            if pid == 0:
                return request
            keep(connection, pid, request["attached"])


def received(connection: socket.socket) -> dict[str, Any]:
    """The request that comes over a connection; `attached` are its streams."""
    size, attached, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as sent:
        request = json.loads(sent.read(int.from_bytes(size, "big")))
    return {**request, "attached": attached}


def keep(connection: socket.socket, pid: int, attached: list[int]) -> None:
    """Report a copy's process number, wait for its end, report its exit status, and end too."""
    try:
        for descriptor in (0, *attached):  # whoever reads from them must see that the copy has ended
            os.close(descriptor)
        connection.sendall(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    finally:
        os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Make this copy like an interpreter that was started as the request says."""
    attached = dict(zip(request["streams"], request["attached"], strict=True))
    for number in (0, 1, 2):
        if number in attached:
            os.dup2(attached[number], number)
        else:
            os.close(number)
    for descriptor in attached.values():
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]
    sys.argv[1:] = request["arguments"]
    streams = (opened(number, like) if number in attached else None for number, like in enumerate(STANDARD))
    sys.stdin, sys.stdout, sys.stderr = streams


def other_variables(environment: dict[str, str]) -> list[str]:
    """The variables with another value than when the modules were imported, which some of them may have read.

    The product sets some before it imports LiteLLM, in the nursery as in any other process.
    """
    names = {*environment, *STARTED} - FREE
    known = {name: {STARTED.get(name), os.environ.get(name)} for name in names}
    return sorted(
        name
        for name in names
        if environment.get(name) not in known[name] and not name.startswith(FREE_PREFIXES)
    )


def opened(number: int, like: TextIO) -> TextIO:
    """A standard stream, as the interpreter opens it."""
    mode, unbuffered = ("wb", bool(os.environ.get("PYTHONUNBUFFERED"))) if number else ("rb", False)
    binary = open(number, mode, 0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    lines = number == 2 or binary.isatty()
    return io.TextIOWrapper(
        binary,
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=lines,
        write_through=unbuffered,
    )


def _reap() -> None:
    """Let the system forget the keepers that have ended, and count their CPU seconds."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    STARTED = dict(os.environ)
    STANDARD = (sys.stdin, sys.stdout, sys.stderr)
    become(next_request(socket.socket(fileno=int(sys.argv[1]))))
    runpy.run_module("selfinstruct", run_name="__main__", alter_sys=True)  # as `python -m selfinstruct`
