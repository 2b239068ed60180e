"""How a bootstrap stage goes on: what its requests give over time, and from where more of them do not pay.

The knee is defined so that a reader can check it: the requests in 20 equal parts; each part's yield is its
accepted records per request; the knee is the first request of the part from which on every part yields less
than half of what the first two parts yield together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, fsum
from typing import Any

from selfinstruct.records import ACCEPTED, WAITING, Record

POINTS = 200  # at most, on the curve
WINDOW = 5  # requests in a window, in a run that is long enough
PARTS, FIRST = 20, 2  # the parts of a run for the knee, and those it is measured by
LEAST = PARTS * 2  # requests; with fewer, chance decides more than the run


@dataclass
class Progress:
    """Counts the candidates of a stage by their request.

    Attributes:
        candidates, accepted: how many, by number of the request.
        scores: of accepted records of the requests from one to another, how similar each is to the nearest
            text before it.
    """

    candidates: Counter[int] = field(default_factory=Counter)
    accepted: Counter[int] = field(default_factory=Counter)
    scores: Callable[[int, int], Sequence[float]] = lambda first, last: ()

    def see(self, record: Record) -> None:
        """Count a candidate, unless it is waiting."""
        if record.fate != WAITING:
            self.candidates[record.request] += 1
            self.accepted[record.request] += record.fate == ACCEPTED

    def curve(self, taken: Iterable[int]) -> dict[str, Any]:
        """The points of the curve and the knee.

        Args:
            taken: the numbers of the requests whose replies were taken in; some gave no candidate.
        """
        numbers = sorted({*taken, *self.candidates})
        window = max(ceil(len(numbers) / POINTS), min(WINDOW, ceil(len(numbers) / 10)), 1)
        cuts = range(0, len(numbers), window)
        knee, why = knee_of({number: self.accepted[number] for number in numbers})
        return {
            "points": self._points([numbers[start : start + window] for start in cuts]),
            "window": window,
            "knee": knee,
            "knee_why": why,
        }

    def _points(self, windows: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
        """A point for each window of requests: the counts so far, and the window's own rate and score."""
        points, candidates, accepted = [], 0, 0
        for numbers in windows:
            came = sum(self.candidates[number] for number in numbers)
            passed = sum(self.accepted[number] for number in numbers)
            scores = self.scores(numbers[0], numbers[-1])
            candidates, accepted = candidates + came, accepted + passed
            points.append(
                {
                    "request": numbers[-1],
                    "candidates": candidates,
                    "accepted": accepted,
                    "rate": passed / came if came else None,
                    "score": fsum(scores) / len(scores) if scores else None,
                }
            )
        return points


def knee_of(accepted: Mapping[int, int]) -> tuple[int | None, str]:
    """The request from which on more requests do not pay, and why it is that one.

    Args:
        accepted: how many records each request gave, by its number, in order.

    Returns:
        The request's number, None if there is none or the requests are too few; and a sentence for a reader.
    """
    numbers, gave, count = list(accepted), list(accepted.values()), len(accepted)
    if count < LEAST:
        why = f"{count:,} requests are too few to see where more of them stop paying; it takes {LEAST}."
        return None, why
    starts = [count * part // PARTS for part in range(PARTS + 1)]
    yields = [_mean(gave[start:end]) for start, end in pairwise(starts)]
    before = _mean(gave[: starts[FIRST]])
    part = PARTS
    while part and yields[part - 1] < before / 2:
        part -= 1
    if PARTS - part < FIRST:  # one part alone may be chance
        last = _mean(gave[starts[-1 - FIRST] :])
        return None, (
            f"The first tenth of the requests gave {before:.2f} accepted records each, the last tenth"
            f" {last:.2f}: they never fell to less than half and stayed there, so more requests still pay."
            if before
            else "The first requests gave no accepted record, so the later ones cannot be measured by them."
        )
    number, after = numbers[starts[part]], _mean(gave[starts[part] :])
    return number, (
        f"From request {number:,} on, a request gave {after:.2f} accepted records, against {before:.2f} in"
        " the first tenth of the run: less than half, in each twentieth of the run from there to its end."
    )


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)
