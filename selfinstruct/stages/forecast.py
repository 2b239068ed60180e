"""The work that a stage has left: how many requests it will send, and how many records there will be.

A kind answers with `StageKind.forecast`, from what is `Known`. The functions here are for kinds that ask a
model. Each assumption is also given in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from selfinstruct.stages.ranges import Range, around, exactly
from selfinstruct.where import Where

ENOUGH = 20  # from this many replies, or records, on, their average replaces the assumption
SHOWN = (0.8, 1.0, 1.25)  # the average so far may turn out this much lower or higher
ASSUMED = (0.5, 1.0, 2.0)
KEPT = (1.0, 1.0, 2.0)  # if a record without a child goes on itself
Groups = tuple[tuple[Mapping[str, Any], Range], ...]


@dataclass(frozen=True)
class Known:
    """What is known about a stage, from the recipe and from the run in its folder.

    Attributes:
        target: how many records to accept, for a stage that works on no other stage's records.
        rows: how many records the stage receives.
        seen: returns the fields of the records it has received already; of those that it has made, if it
            works on no other stage's.
        options: the options that the recipe sets.
        accepted: records accepted so far.
        candidates: candidates judged so far.
        taken: replies taken in so far.
        replies: how many of the last replies were looked at; 0 if too few to show anything.
        yielded: the average number of accepted records from each of those.
        groups: fields and number of the records it receives that have them; empty if not known.
    """

    target: int
    rows: Range
    seen: Callable[[], Iterable[Mapping[str, Any]]]
    options: frozenset[str] = frozenset()
    accepted: int = 0
    candidates: int = 0
    taken: int = 0
    replies: int = 0
    yielded: float = 0.0
    groups: Groups = ()


@dataclass(frozen=True)
class Forecast:
    """The work that a stage has left.

    Attributes:
        requests: prompts to send.
        accepts: how many records it is expected to accept from their replies.
        makes: how many records it has made when it is done; None if it makes none.
        leaves: how many of the records it works on are left then; None if all are.
        pace: what a reply has given so far, in words, for the line about the run so far.
        assumed: the assumptions where the run has shown nothing yet, in words.
        shown: what the run in the folder has shown, in words.
        groups: fields and number of the records that will have them, for conditions of later stages.
    """

    requests: Range = field(default_factory=Range)
    accepts: float = 0.0
    makes: Range | None = None
    leaves: Range | None = None
    pace: str = ""
    assumed: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    groups: Groups = ()


def asked_until_target(name: str, known: Known, expected: float, sent: Callable[[float], float]) -> Forecast:
    """The forecast for a stage that asks until the target is reached.

    Args:
        name: the stage.
        known: what is known about it.
        expected: accepted records per reply.
        sent: how many requests a new run has sent when this many replies have reached the target. A run that
            continues has the replies to the others already.
    """
    yields, assumed = _yields(name, known, expected, ASSUMED, given=True)
    left = exactly(max(0, known.target - known.accepted))
    made = exactly(max(known.accepted, known.target))
    needed = (left / yields).whole()
    accepts = needed.expected * yields.expected
    new = needed.expected and not known.taken
    requests = Range(*map(sent, (needed.low, needed.expected, needed.high))) if new else needed
    return Forecast(requests, accepts, made, pace=_pace(known), assumed=assumed)


def asked_of_each(name: str, known: Known, part: Forecast, expected: float, keep: bool) -> Forecast:
    """The forecast for a stage that makes children of each record that it asks about.

    Args:
        name: the stage.
        known: what is known about it.
        part: how many of the records it receives it asks about, from `part_of`.
        expected: accepted records per reply.
        keep: whether a record without a child goes on itself.
    """
    given = "expected" in known.options
    yields, assumed = _yields(name, known, expected, KEPT if keep else ASSUMED, given)
    made, requests = part.requests * yields, _left(part, known)
    return replace(
        part,
        requests=requests,
        accepts=requests.expected * yields.expected,
        makes=made,
        pace=_pace(known),
        assumed=assumed + part.assumed,
    )


def asked_until_filled(
    name: str,
    known: Known,
    part: Forecast,
    expected: float,
    requests: Callable[[float, float], float],
    wanted: Callable[[float], float],
) -> Forecast:
    """The forecast for a stage that asks about each record until it has made so many from it.

    Args:
        name: the stage.
        known: what is known about it.
        part: how many of the records it receives it asks about, from `part_of`.
        expected: accepted records per reply.
        requests: returns how many requests so many records take, if each reply gives so many.
        wanted: returns how many are made from so many records.
    """
    yields, assumed = _yields(name, known, expected, ASSUMED, given=True)
    rows = part.requests
    made = Range(*map(wanted, (rows.low, rows.expected, rows.high)))
    left = made.expected - known.accepted
    share = max(0.0, left / made.expected) if made.expected else 0.0
    asked = Range(
        requests(rows.low, yields.high),
        requests(rows.expected, yields.expected),
        requests(rows.high, yields.low),
    )
    return replace(
        part,
        requests=(asked * exactly(share)).whole(),
        accepts=max(0.0, left),
        makes=made,
        pace=_pace(known),
        assumed=assumed + part.assumed,
    )


def labels_of_each(known: Known, part: Forecast) -> Forecast:
    """The forecast for a stage that labels each record it asks about; rejected records are dropped."""
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
    """How many of the records that a stage receives it asks about, including those asked already."""
    if not where:
        return Forecast(known.rows)
    if known.groups and all(where.keys() <= data.keys() for data, _ in known.groups):
        return Forecast(sum((count for data, count in known.groups if where.fits(data)), Range()))
    found = Counter(where.fits(data) for data in known.seen() if where.keys() <= data.keys())
    if found.total() >= ENOUGH:
        picked = found[True] / found.total()
        words = f"{name}: {picked:.2g} of {found.total():,} {of} that it might ask about"
        return Forecast(known.rows * around(picked, SHOWN).at_most(1.0), shown=(words,))
    part = around(share, ASSUMED).at_most(1.0)
    words = f"{name}: {part.expected:g} ({part.low:g} - {part.high:g}) of {of}, pipeline.{name}.share"
    return Forecast(known.rows * part, assumed=(words,))


def _left(part: Forecast, known: Known) -> Range:
    return part.requests.less(known.taken).whole()


def _yields(
    name: str, known: Known, expected: float, factors: tuple[float, float, float], given: bool
) -> tuple[Range, tuple[str, ...]]:
    """Accepted records per reply, with the words for it if it is an assumption."""
    if known.replies:
        # None was accepted so far, but the next reply may give one.
        return around(known.yielded or 1 / known.replies, SHOWN), ()
    found = around(expected, factors)
    source = f", pipeline.{name}.expected" if given else ""
    return found, (f"{name}: {found.expected:g} ({found.low:g} - {found.high:g}) accepted per reply{source}",)


def _pace(known: Known) -> str:
    return f"{known.yielded:.2g} accepted per reply, "
