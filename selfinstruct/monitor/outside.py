"""Handles events outside the process: signals that stop it, a closed terminal or pipe, a full disk."""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

GONE = (errno.EPIPE, errno.EIO, errno.EBADF)  # no reader (`| head`); no terminal; closed from the start
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk is full, which must not stop a run
ERROR = 2  # the number of standard error


def stopping() -> list[signal.Signals]:
    """The signals that stop a run: Ctrl-C, SIGTERM and, if it is not ignored (nohup), a closed terminal."""
    signals = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        signals.append(hangup)
    return signals


class Lasting:
    """A stream that accepts text even after its reader is gone or its disk is full.

    If the disk is full, it says so once on standard error, if that still has room itself.

    Args:
        stream: the stream to write to.
        own: whether only this process uses the stream, so that its buffered text may be thrown away.
    """

    def __init__(self, stream: TextIO, own: bool = False) -> None:
        self._stream, self._own, self._said = stream, own, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, if that is possible."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Write the buffered text, if that is possible."""
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
            self._say(f"selfinstruct: {error}: the output is cut off here; the command goes on\n")
        if self._own and not closed:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def _say(self, text: str) -> None:
        with suppress(OSError, ValueError, AttributeError):  # standard error may be full itself
            if self._stream.fileno() != ERROR:
                os.write(ERROR, text.encode())


def lasting(stream: TextIO | None) -> TextIO:
    """The stream, made to outlast its reader; if it is closed (`2>&-`), one that discards all text."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    return stream if isinstance(stream, Lasting) else cast(TextIO, Lasting(stream))


def outlast_the_terminal() -> None:
    """Make standard output and standard error outlast their readers, for the whole process."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # it is closed: the next file opened would get its number, and the printed text
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        setattr(sys, name, Lasting(stream, own=True) if stream else lasting(None))
