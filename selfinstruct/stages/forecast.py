"""What a stage has left to do: how many requests it will send, and how many records there are then.

A kind answers by `StageKind.forecast`, from what is `Known`; these are the ways in which those that ask a
model do. Each assumption is given in words too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Any

from selfinstruct.stages.ranges import Range, around, exactly
from selfinstruct.where import Where

ENOUGH = 20  # replies, or records, of a stage that say more than an assumption does
SHOWN = (0.8, 1.0, 1.25)  # what a run has shown may turn out so much lower or higher
ASSUMED = (0.5, 1.0, 2.0)
KEPT = (1.0, 1.0, 2.0)  # where a record without a child goes on itself


@dataclass(frozen=True)
class Known:
    """What is known of a stage, from the recipe and from the run in its folder.

    Attributes:
        target: records to accept in a stage that begins with none of another.
        rows: how many records come to the stage.
        seen: the fields of those that have come already.
        options: the options that the recipe sets.
        accepted: records accepted so far.
        candidates: those judged so far.
        taken: replies taken in so far.
        replies: of these, the last ones that were looked at; 0 where there are too few to show anything.
        yielded: accepted records that each of those yielded, on average.
    """

    target: int
    rows: Range
    seen: Callable[[], Sequence[Mapping[str, Any]]]
    options: frozenset[str] = frozenset()
    accepted: int = 0
    candidates: int = 0
    taken: int = 0
    replies: int = 0
    yielded: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """What a stage has left to do.

    Attributes:
        requests: prompts to send.
        accepts: how many records it is expected to accept from the replies to these.
        makes: records of its own once it is done; None where it makes none.
        leaves: of the records that it is about, those that go on then; None where all do.
        pace: what a reply has yielded, in words, for the line of what the run has shown.
        assumed: what the figures rest on where nothing has shown it, in words.
        shown: what the run in the folder has shown, in words.
    """

    requests: Range = field(default_factory=Range)
    accepts: float = 0.0
    makes: Range | None = None
    leaves: Range | None = None
    pace: str = ""
    assumed: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


def asked_until_target(name: str, known: Known, expected: float) -> Forecast:
    """That of a stage which asks until so many records are accepted."""
    yields, assumed = _yields(name, known, expected, ASSUMED, told=True)
    left = exactly(max(0, known.target - known.accepted))
    made = exactly(max(known.accepted, known.target))
    requests = (left / yields).whole()
    accepts = requests.expected * yields.expected
    return Forecast(requests, accepts, made, pace=_pace(known), assumed=assumed)


def asked_of_each(name: str, known: Known, part: Forecast, expected: float, keep: bool) -> Forecast:
    """That of a stage which makes children of each record that it asks about.

    Args:
        name: the stage.
        known: what is known of it.
        part: of the records that come to it, those it asks about, from `part_of`.
        expected: accepted records a reply.
        keep: whether a record without a child goes on itself.
    """
    told = "expected" in known.options
    yields, assumed = _yields(name, known, expected, KEPT if keep else ASSUMED, told)
    made, requests = part.requests * yields, _left(part, known)
    return replace(
        part,
        requests=requests,
        accepts=requests.expected * yields.expected,
        makes=made,
        pace=_pace(known),
        assumed=assumed + part.assumed,
    )


def labels_of_each(known: Known, part: Forecast) -> Forecast:
    """That of a stage which labels each record that it asks about; the rejected go no further."""
    accepted = known.yielded if known.replies else 1.0
    lost = part.requests.expected * (1 - accepted) / (known.rows.expected or 1)
    requests = _left(part, known)
    accepts = requests.expected * accepted
    return replace(part, requests=requests, accepts=accepts, leaves=known.rows * exactly(1 - lost))


def part_of(
    name: str,
    of: str | None,
    known: Known,
    share: float,
    where: Where,
) -> Forecast:
    """How many of the records that come to a stage it will ask about, those asked before among them."""
    if not where:
        return Forecast(known.rows)
    found = [data for data in known.seen() if where.keys() <= data.keys()]
    if len(found) >= ENOUGH:
        picked = mean(map(where.fits, found))
        words = f"{name}: {picked:.2g} of {len(found):,} {of} that it might ask about"
        return Forecast(known.rows * around(picked, SHOWN).at_most(1.0), shown=(words,))
    part = around(share, ASSUMED).at_most(1.0)
    words = f"{name}: {part.expected:g} ({part.low:g} - {part.high:g}) of {of}, pipeline.{name}.share"
    return Forecast(known.rows * part, assumed=(words,))


def _left(part: Forecast, known: Known) -> Range:
    return part.requests.less(known.taken).whole()


def _yields(
    name: str, known: Known, expected: float, factors: tuple[float, float, float], told: bool
) -> tuple[Range, tuple[str, ...]]:
    """Accepted records a reply, and the words for it where it is an assumption."""
    if known.replies:
        # None so far: the next reply may be the first to yield one.
        return around(known.yielded or 1 / known.replies, SHOWN), ()
    found = around(expected, factors)
    source = f", pipeline.{name}.expected" if told else ""
    return found, (f"{name}: {found.expected:g} ({found.low:g} - {found.high:g}) accepted a reply{source}",)


def _pace(known: Known) -> str:
    return f"{known.yielded:.2g} accepted a reply, "
