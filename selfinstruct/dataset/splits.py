"""Splits by instruction: all records made from one instruction are in one split.

The split follows from a hash of the run's seed and the instruction's text. So two instructions with the same
text are in one split, and a record stays in its split as the run grows. Seed tasks are in `train`, and so is
everything made from an instruction with the text of a seed task.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b, sha256

from selfinstruct.project.firsts import KEY, Firsts
from selfinstruct.records import Record, Rejection
from selfinstruct.sources.pool import SEED_STAGE

TRAIN = "train"


class Sides:
    """Decides which split each record is in.

    Args:
        split: the splits with their shares.
        seed: the run's seed.
        seeds: the seed tasks.
        root: the record that the line of a record began with, without edits.
    """

    def __init__(
        self,
        split: Mapping[str, float],
        seed: int,
        seeds: Iterable[Record],
        root: Callable[[Record], Record],
    ) -> None:
        self._split, self._seed, self._root = split, seed, root
        self._first = TRAIN if TRAIN in split else next(iter(split))
        self._seeds = {_text(seed): seed.id for seed in seeds}
        self._taken = Firsts()  # by instruction, its split and the id of the first record with it

    def of(self, record: Record) -> str:
        """The split of a record: that of the first record in its line."""
        if record.stage == SEED_STAGE:
            return self._first
        first = _text(self._root(record))
        if first in self._seeds:
            return self._first
        digest = sha256(f"{self._seed}/{first}".encode("utf-8", "surrogatepass")).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        for name, share in self._split.items():
            if place < share:
                return name
            place -= share
        return name  # the shares add up to 1 but for rounding

    def unfit(self, record: Record) -> Rejection | None:
        """The reason why a record can be in no split: its instruction is in another one already.

        That happens if an instruction was made from another one, and a third has the same text.
        """
        side, text = self.of(record), _text(record)
        if text in self._seeds:
            taken, id = self._first, self._seeds[text]
        else:
            key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY).digest()
            first = self._taken.get(key)
            if first is None:
                self._taken.put(key, f"{side}\n{record.id}")
                return None
            taken, _, id = first.partition("\n")
        if taken == side:
            return None
        return Rejection(f"the same instruction is in {taken} already, with {id}", {"nearest": id})


def _text(record: Record) -> str:
    """The text of a record's instruction, for comparing; its id if it has none, as a passage."""
    text = record.data.get("instruction")
    if not isinstance(text, str):
        return f"\0{record.id}"
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
