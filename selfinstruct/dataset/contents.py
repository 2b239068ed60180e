"""The contents of a file of a dataset, kept on the disk if they are large.

A page about the files has their digests, so it is written after the contents of all of them are known; those
of a large run would take gigabytes of memory until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from selfinstruct.project.temporary import Temporary

IN_MEMORY = 8_000_000  # bytes of a file; more go to a temporary file
AT_ONCE = 1 << 20  # bytes of a piece


class Contents:
    """The contents of a file.

    Args:
        pieces: the bytes, in order.

    Attributes:
        digest: the beginning of their SHA-256.

    Raises:
        RunFolderError: if the temporary file cannot be written.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        found = sha256()
        self._file = Temporary(IN_MEMORY)
        for piece in pieces:
            found.update(piece)
            self._file.add(piece)
        self.digest = found.hexdigest()[:16]

    def pieces(self) -> Iterator[bytes]:
        """The bytes, in order."""
        for start in range(0, self._file.size, AT_ONCE):
            yield self._file.read(start, AT_ONCE)
