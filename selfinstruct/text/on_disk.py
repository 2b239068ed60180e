"""Texts that are kept on the disk, for work that goes through all texts of a large run. Usable on its own.

>>> texts = TextsOnDisk()
>>> texts.append("Write a poem.")
>>> texts.append("List some rivers.")
>>> texts[1], len(texts)
('List some rivers.', 2)

They are a sequence like a list of texts, so whatever goes through a list, or draws from it, takes them too.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import overload
from weakref import finalize

from selfinstruct.errors import RunFolderError

IN_MEMORY = 4_000_000  # bytes of texts that need no file
_AT_ONCE = 1_000  # texts that are read together


class TextsOnDisk(Sequence[str]):
    """Texts in a temporary file, in the order in which they were added; 8 bytes a text are in memory."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (closed with this object)
        self._ends = array("Q", [0])  # where each text ends, after a 0 where the first one begins
        self._moved = False  # whether the file is elsewhere than at its end
        finalize(self, self._file.close)

    def append(self, text: str) -> None:
        """Add a text.

        Raises:
            RunFolderError: if the temporary file cannot be written.
        """
        raw = text.encode("utf-8", "surrogatepass")
        try:
            if self._moved:  # not always, since it would write each text by itself
                self._file.seek(self._ends[-1])
                self._moved = False
            self._file.write(raw)
        except OSError as error:
            raise RunFolderError(
                f"a temporary file cannot be written: {error}; set TMPDIR to a folder with more room"
            ) from error
        self._ends.append(self._ends[-1] + len(raw))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        one = range(len(self))[place]  # from the end, if negative
        return next(self._read(one, one + 1))

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _AT_ONCE):
            yield from self._read(first, min(first + _AT_ONCE, len(self)))

    def _read(self, first: int, last: int) -> Iterator[str]:
        """The texts from one place to before another."""
        begin, self._moved = self._ends[first], True
        self._file.seek(begin)
        raw = self._file.read(self._ends[last] - begin)
        for place in range(first, last):
            text = raw[self._ends[place] - begin : self._ends[place + 1] - begin]
            yield text.decode("utf-8", "surrogatepass")
