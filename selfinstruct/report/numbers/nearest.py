"""How similar the texts of a stage are to the seeds and to the texts made before them, by ROUGE-L.

Compared with the seeds is every text. The nearest machine text is in the details if the recipe keeps similar
texts (`keep_similar`); otherwise it is computed, in a long run for a part of the texts, which are drawn at
random; each of these is compared with every earlier text. The texts are kept on the disk.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as kept
from math import isnan, nan
from typing import Any

from selfinstruct.records import ACCEPTED, REJECTED, Record, stream
from selfinstruct.report.numbers.histogram import SHARES, histogram
from selfinstruct.text.diversity import nearest_of, nearest_seed
from selfinstruct.text.on_disk import TextsOnDisk

MOST = 4_000  # texts that are compared with every earlier one


@dataclass
class Similarity:
    """Collects the texts of a stage and the scores that its checks kept.

    Attributes:
        field: the field of the texts.
        checks: the names of the checks that reject similar texts.
        seeds: the seed tasks' ids.
    """

    field: str
    checks: Collection[str]
    seeds: Collection[str]
    texts: TextsOnDisk = kept(default_factory=TextsOnDisk)
    requests: array[int] = kept(default_factory=lambda: array("q"))
    machine: array[float] = kept(default_factory=lambda: array("d"))  # NaN if it was not kept
    rejected: array[float] = kept(default_factory=lambda: array("d"))

    def see(self, record: Record) -> None:
        """Collect an accepted text, or the score of a rejected one."""
        if record.fate == ACCEPTED:
            self.texts.append(str(record.data.get(self.field, "")))
            self.requests.append(record.request)
            made = _nearest_made(record.detail.get("most_similar") or {}, self.seeds)
            self.machine.append(nan if made is None else made)
        elif record.fate == REJECTED and record.check in self.checks:
            score = record.detail.get("score")
            if isinstance(score, int | float):
                self.rejected.append(float(score))

    def scores(self, seeds: Sequence[str], language: str, seed: int) -> Scores:
        """The scores of the texts.

        Args:
            seeds: the texts of the seed tasks.
            language: the language of all texts, as a BCP 47 tag.
            seed: the run's seed, for the draw.
        """
        missing: Sequence[int] = array("q", (at for at, score in enumerate(self.machine) if isnan(score)))
        if len(missing) > MOST:
            missing = sorted(stream(seed, "nearest").sample(missing, MOST))
        machine = self.machine[:]
        for place, score in zip(missing, nearest_of(self.texts, missing, language, True), strict=True):
            machine[place] = nan if score is None else score
        return Scores(self.requests, array("d", nearest_seed(self.texts, seeds, language)), machine)


@dataclass(frozen=True)
class Scores:
    """The scores of accepted texts, in order.

    Attributes:
        requests: the request that each came from, in ascending order.
        seed: how similar each is to its nearest seed; empty if there are no seeds.
        machine: how similar each is to the nearest text made before it; NaN if that was not compared.
    """

    requests: Sequence[int]
    seed: Sequence[float]
    machine: Sequence[float]

    def between(self, first: int, last: int) -> list[float]:
        """How similar each text of some requests is to the nearest text before it, a seed or not."""
        found = []
        for place in range(bisect_left(self.requests, first), bisect_right(self.requests, last)):
            made = self.machine[place]
            if not isnan(made) or not place:  # before the first one there are only seeds
                known = [score for score in (made, *self.seed[place : place + 1]) if not isnan(score)]
                found += [max(known)] if known else []
        return found

    def figures(self, rejected: Sequence[float], threshold: float | None) -> dict[str, Any]:
        """The histograms, as in the report."""
        machine = array("d", (score for score in self.machine if not isnan(score)))
        return {
            "to_seed": histogram(self.seed, SHARES),
            "to_machine": {**histogram(machine, SHARES), "texts": len(self.requests)},
            "rejected": histogram(rejected, SHARES),
            "threshold": threshold,
        }


def _nearest_made(similar: Mapping[str, float], seeds: Collection[str]) -> float | None:
    """The score of the most similar text, seeds left out; None if that text was not kept."""
    return max((score for id, score in similar.items() if id not in seeds), default=None)
