"""Bytes in a temporary file, for what a large run has too much of for the memory.

The file is where `TMPDIR` says. It has no name there, so nothing is left behind, however the process ends.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from operator import eq
from tempfile import SpooledTemporaryFile
from typing import IO
from weakref import finalize

from selfinstruct.errors import RunFolderError

IN_MEMORY = 1_000_000  # bytes that are kept in memory before there is a file
AT_ONCE = 1 << 16  # bytes to write at once


class Temporary:
    """A temporary file; it is closed with the last reference to it.

    Args:
        in_memory: so many bytes are kept in memory before there is a file.

    Attributes:
        size: how many bytes it has.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._file = SpooledTemporaryFile(in_memory)  # noqa: SIM115  (closed with the last reference to this)
        finalize(self, _close, self._file)
        self._pending: list[bytes] = []  # not in the file yet
        self._written = self.size = 0

    def add(self, data: bytes) -> None:
        """Write bytes at the end.

        Raises:
            RunFolderError: if the file cannot be written.
        """
        self._pending.append(data)
        self.size = size = self.size + len(data)
        if size - self._written >= AT_ONCE:
            self._write()

    def read(self, start: int, size: int) -> bytes:
        """So many bytes from a place on.

        Raises:
            RunFolderError: if the last bytes could not be written.
        """
        if start + size > self._written:
            self._write()
        try:
            self._file.seek(start)
            return self._file.read(size)
        except OSError as error:
            raise _failed(error) from error

    def _write(self) -> None:
        try:
            self._file.seek(self._written)
            self._file.write(b"".join(self._pending))
            self._file.flush()
        except OSError as error:
            raise _failed(error) from error
        self._pending.clear()
        self._written = self.size


class Entries(Temporary):
    """Byte strings in a temporary file, by their number; each takes 8 bytes of memory."""

    def __init__(self) -> None:
        super().__init__()
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        """How many there are."""
        return len(self._ends) - 1

    def add(self, data: bytes) -> None:
        """Add one; see `Temporary`."""
        self._pending.append(data)  # not with `super`, since this runs for each row of each export
        self.size = size = self.size + len(data)
        self._ends.append(size)
        if size - self._written >= AT_ONCE:
            self._write()

    def __getitem__(self, number: int) -> bytes:
        """The one with this number, from 0."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        start, end = self._ends[number : number + 2]
        return self.read(start, end - start)

    def __iter__(self) -> Iterator[bytes]:
        """All of them, in order."""
        return map(self.__getitem__, range(len(self)))

    def joined(self, numbers: Sequence[int]) -> bytes:
        """Those with these numbers, as one."""
        first, last = numbers[0], numbers[-1]
        if last - first == len(numbers) - 1 and all(map(eq, numbers, count(first))):
            return self.read(self._ends[first], self._ends[last + 1] - self._ends[first])
        return b"".join(map(self.__getitem__, numbers))


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # what a full disk did not take is not needed any more
        file.close()


def _failed(error: OSError) -> RunFolderError:
    return RunFolderError(
        f"a temporary file cannot be written: {error}; set TMPDIR to a folder with more room"
    )
