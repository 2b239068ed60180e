"""The server of the page: on this machine's loopback address only, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import UserError

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

LOOPBACK = "127.0.0.1"  # nobody else can reach it, and no option changes that
NEEDED = "review needs the extra review: pip install 'selfinstruct[review]'"


def refuse_missing() -> None:
    """Refuse to go on without the packages of the extra `review`.

    Raises:
        UserError: if one is missing; the message has the command.
    """
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise UserError(f"{NEEDED} ({error.name} is missing)") from error
    del starlette, uvicorn


def bound(port: int) -> socket.socket:
    """A socket that listens on the loopback address.

    Args:
        port: the port; 0 for one that is free.

    Raises:
        UserError: if the port is taken or not allowed.
    """
    # With the protocol named, asyncio sends small pieces at once; else each page waits 40 ms for the browser.
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere it would allow another program to take the same port
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((LOOPBACK, port))
        found.listen(100)
    except OSError as error:
        found.close()
        why = error.strerror or error
        raise UserError(f"--port {port}: {why}; choose another port, or leave --port out") from error
    found.set_inheritable(False)
    return found


class Stop:
    """Ctrl-C and SIGTERM, which end a review in the normal way, also before its server runs."""

    def __init__(self) -> None:
        self.asked = False
        self.server: uvicorn.Server | None = None

    def __call__(self, number: int = 0, frame: Any = None) -> None:
        """Handle a signal; uvicorn sends the one that ended it once more."""
        self.asked = True
        if self.server:
            self.server.should_exit = True


@contextmanager
def heard() -> Iterator[Stop]:
    """Hear Ctrl-C and SIGTERM, which must not end the process now."""
    stop = Stop()
    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, as in a notebook; there are no signals
        before = {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(application: Starlette, listening: socket.socket, stop: Stop) -> None:
    """Answer requests until the process is told to stop."""
    import uvicorn

    config = uvicorn.Config(
        application,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    stop.server = uvicorn.Server(config)
    if not stop.asked:
        stop.server.run(sockets=[listening])


def browser_opens() -> bool:
    """Whether a browser can be opened here: there is a display, and nobody is connected by ssh."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
