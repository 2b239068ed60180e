"""Asks the nursery for a copy: for `children`, and as a command for the shell scripts of tests.

    python nursery_client.py check recipe=paper

The command has the exit status of the copy, which has the command's streams. It imports very little, so it
starts in a fiftieth of the time that `python -m selfinstruct` takes.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence

ADDRESS = "SELFINSTRUCT_TESTS_NURSERY"  # the variable with the path of the nursery's socket


def ask(
    address: str,
    folder: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    streams: Mapping[int, int],
) -> socket.socket:
    """A connection on which the nursery was asked for a copy; `nursery` describes what is sent.

    Args:
        address: the path of the socket.
        folder: the working directory of the copy.
        arguments: the words after `selfinstruct`.
        environment: the whole environment.
        streams: the descriptors for 0, 1 and 2, without those that are closed.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    request = {
        "folder": folder,
        "arguments": list(arguments),
        "environment": dict(environment),
        "streams": list(streams),
    }
    text = json.dumps(request).encode()
    socket.send_fds(connection, [len(text).to_bytes(8, "big")], list(streams.values()))
    connection.sendall(text)
    return connection


def main() -> None:
    """Run the command line as a copy; end as it ends."""
    streams = {number: number for number in (0, 1, 2) if _is_open(number)}
    connection = ask(os.environ[ADDRESS], os.getcwd(), sys.argv[1:], os.environ, streams)  # noqa: PTH109
    answers = connection.makefile().read().split("\n")
    if not answers[0].isdigit():  # other values of the environment: a fresh interpreter has them
        os.execv(sys.executable, [sys.executable, "-m", "selfinstruct", *sys.argv[1:]])
    status = int(answers[1])
    sys.exit(status if status >= 0 else 128 - status)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
