"""What the world outside does to a process: it stops it by signals; a terminal, a pipe or room is gone."""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

GONE = (errno.EPIPE, errno.EIO, errno.EBADF)  # the reader, as `| head`; the terminal; closed from the start
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk; what was to be printed is not worth a run
ERROR = 2  # the number of standard error


def stopping() -> list[signal.Signals]:
    """The signals that stop a run: Ctrl-C, SIGTERM, and a closed terminal unless that is ignored (nohup)."""
    signals = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        signals.append(hangup)
    return signals


class Lasting:
    """A stream that takes what is written to it, also when nobody can read it, or keep it, any more.

    Where the disk is full, that is said once on standard error, as far as that has room itself.

    Args:
        stream: where it goes.
        own: whether the stream is this process's alone, so that what it holds back may be thrown away.
    """

    def __init__(self, stream: TextIO, own: bool = False) -> None:
        self._stream, self._own, self._said = stream, own, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, if it can be."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Hand on what is held back, if it can be."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _give_up(self, error: OSError | ValueError) -> None:
        closed = isinstance(error, ValueError) and self._stream.closed
        number = error.errno if isinstance(error, OSError) else None
        if not closed and number not in (*GONE, *FULL):
            raise error
        if number in FULL and not self._said:
            self._said = True
            self._say(f"selfinstruct: {error}: what is printed is cut off here; that stops no run\n")
        if self._own and not closed:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def _say(self, text: str) -> None:
        with suppress(OSError, ValueError, AttributeError):  # it may be the stream that is full
            if self._stream.fileno() != ERROR:
                os.write(ERROR, text.encode())


def lasting(stream: TextIO | None) -> TextIO:
    """A stream that outlasts its reader; one that throws all away where there is none (`2>&-`)."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    return stream if isinstance(stream, Lasting) else cast(TextIO, Lasting(stream))


def outlast_the_terminal() -> None:
    """Let standard output and standard error outlast their readers, for the whole process."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: what is opened next would get its number, and what is printed with it
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        setattr(sys, name, Lasting(stream, own=True) if stream else lasting(None))
