"""The contents of a file of a dataset: known as a whole, but not held in memory."""

from __future__ import annotations

import tracemalloc
from hashlib import sha256

from selfinstruct.dataset.contents import IN_MEMORY, Contents

PIECE = b"0123456789abcdef" * 65_536  # 1 MiB


def test_a_large_file_is_not_held_in_memory() -> None:
    """Its bytes and its digest are those of all pieces; the memory stays below a part of them."""
    pieces = 6 * IN_MEMORY // len(PIECE)
    tracemalloc.start()
    try:
        made = Contents(PIECE for _ in range(pieces))
        whole = sha256()
        for piece in made.pieces():
            whole.update(piece)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 3 * IN_MEMORY
    assert whole.hexdigest() == sha256(PIECE * pieces).hexdigest()
    assert made.digest == whole.hexdigest()[:16]


def test_it_can_be_read_twice() -> None:
    """A small file too, from its beginning each time."""
    made = Contents([b"one\n", b"two\n"])
    assert b"".join(made.pieces()) == b"".join(made.pieces()) == b"one\ntwo\n"
