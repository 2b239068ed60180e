"""The contents of a file of a dataset, kept on the disk if they are large.

A page about the files has their digests, so it is written after the contents of all of them are known; those
of a large run would take gigabytes of memory until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from weakref import finalize

IN_MEMORY = 8_000_000  # bytes of a file; more go to a temporary file
AT_ONCE = 1 << 20  # bytes of a piece


class Contents:
    """The contents of a file.

    Args:
        pieces: the bytes, in order.

    Attributes:
        digest: the beginning of their SHA-256.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        found = sha256()
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  (closed with the last reference to this)
        finalize(self, self._file.close)
        for piece in pieces:
            found.update(piece)
            self._file.write(piece)
        self.digest = found.hexdigest()[:16]

    def pieces(self) -> Iterator[bytes]:
        """The bytes, in order."""
        self._file.seek(0)
        while piece := self._file.read(AT_ONCE):
            yield piece
