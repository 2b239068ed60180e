"""Whether the better answers of pairs are simply the longer ones: the limit on that, and what is reported.

A judge that likes long answers teaches a model to write long ones. So the share of pairs whose chosen answer
is the longer one can be limited. The pairs are counted in the order of their records, so the same answers and
scores give the same pairs at any concurrency, and a run that grows keeps those that it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field

from selfinstruct.records import ACCEPTED, Record, Rejection

CHOSEN, REJECTED = "chosen", "rejected"
LENGTH_BIAS = "length_bias"  # the check that rejects a record without an allowed pair
Bound = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Tally:
    """Counts the pairs so far, and those whose chosen answer is the longer one.

    Args:
        most: the largest share of these; None if there is no limit.
    """

    def __init__(self, most: float | None) -> None:
        self._most = None if most is None else Fraction(str(most))
        self.pairs = self.longer = 0

    def count(self, record: Record) -> None:
        """Count a record if it is an accepted pair."""
        if record.fate == ACCEPTED and CHOSEN in record.data:
            self.pairs += 1
            self.longer += is_longer(record)

    def allows(self, chosen: str, rejected: str) -> bool:
        """Whether the next pair may be this one; the limit is rounded up to a whole pair."""
        if self._most is None or len(chosen) <= len(rejected):
            return True
        return self.longer + 1 <= math.ceil(self._most * (self.pairs + 1))

    @property
    def rejection(self) -> Rejection:
        """The reason why a record has no allowed pair."""
        share = f"{self.longer} of the {self.pairs} pairs before it have a longer chosen answer"
        return Rejection(
            f"its chosen answer would be the longer one; {share}, and length_bias allows no more"
        )

    @property
    def note(self) -> str:
        """A sentence about the pairs; empty if there are none."""
        if not self.pairs:
            return ""
        return f"the chosen answer is the longer one in {self.longer:,} of {self.pairs:,} pairs"


def is_longer(record: Record) -> bool:
    """Whether the chosen answer of a pair has more characters than the rejected one."""
    return _size(record, CHOSEN) > _size(record, REJECTED)


def figures(records: Iterable[Record]) -> dict[str, Any]:
    """The lengths of the answers of pairs, for the summary; empty if there is no pair.

    Returns:
        {"pairs", "chosen_characters", "rejected_characters", "chosen_longer", "chosen_longer_share"}; the
        characters are means, and answers of equal length are not longer.
    """
    pairs = longer = 0
    sizes = dict.fromkeys((CHOSEN, REJECTED), 0)
    for record in records:
        if CHOSEN in record.data:
            pairs += 1
            longer += is_longer(record)
            for side in sizes:
                sizes[side] += _size(record, side)
    if not pairs:
        return {}
    return {
        "pairs": pairs,
        **{f"{side}_characters": round(size / pairs, 1) for side, size in sizes.items()},
        "chosen_longer": longer,
        "chosen_longer_share": round(longer / pairs, 4),
    }


def _size(record: Record, side: str) -> int:
    return len(str(record.data.get(side, "")).strip())
