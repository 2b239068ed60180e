"""How many requests to have in flight, found from the share that the provider refuses (429).

Some refusals do not depend on how much is asked: a busy provider refuses a few of any number. Fewer requests
would not help against them. Others are refused because too many were sent. The two are told apart by trying:
after a round with more refusals than usual, one round has clearly fewer requests in flight. What is refused
in it is the usual share; the rest was too much, and the level falls by that rest. So the level falls to what
the provider took, and not to half (as TCP Westwood does with a measured bandwidth, and BBR with its phases
above and below it). It then rises by a small step, and by twice that step while nothing more is refused.

Only shares are compared, and no latency: a server that answers slowly under load refuses nothing, so it gets
as many requests as the user allows.
"""

from __future__ import annotations

import math
from bisect import bisect
from dataclasses import dataclass, field

SHORTEST = 1.0  # seconds of a round
FEW, SOME, ENOUGH = 5, 8, 20  # requests of a round
CLEARLY_LESS = 0.85  # of what the provider took, in a round that shows the usual share of refusals
SURE = 0.25  # seconds after which it can be said that everything is refused
MUCH = 0.8  # of what a level allows; a round that sent less shows nothing about the level
NO_MATTER = 0.01  # a share of refusals that is not worth a change
WORTH_A_TEST, TEST_EVERY = 0.03, 15  # a usual share that is tested again after so many rounds
MOST_USUAL = 0.5  # a larger share of refusals is never taken for usual
FEWEST = 0.2  # requests a second, if everything is refused
STEP = 0.5  # requests a second, the least that is tried beyond a level
LONGEST_PATIENCE = 4  # rounds between two attempts at more
LAST = 64  # answers that count in the mean of their seconds
MEMORY = 0.8  # how much of the earlier tests counts in the usual share
STEADY, MORE, FEWER, NONE = "steady", "more", "fewer", "none"


@dataclass
class Round:
    """What happened to the requests sent in some time.

    Attributes:
        began: when it began.
        kind: with as many requests as before, with more, with fewer, or with as few as possible.
        sent: when each request was sent.
        refused: when each of those was sent that were refused.
        answered: how many of them were answered.
        peak: the most in flight.
        idle: seconds without any in flight.
    """

    began: float
    kind: str = STEADY
    sent: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    answered: int = 0
    peak: int = 0
    idle: float = 0.0

    @property
    def share(self) -> float:
        """The share that was refused."""
        return min(1.0, len(self.refused) / len(self.sent)) if self.sent else 0.0


class Level:
    """The number of requests in flight that the provider takes; it may be a fraction.

    All times are in seconds of one monotonic clock.

    Args:
        most: the largest level.

    Attributes:
        now: the present level.
        usual: the share of refusals that does not depend on the level.
        seconds: how long an answer takes, on average; None before the first.
        open: whether nothing is held back.
        why: why the level changed last, in words.
    """

    def __init__(self, most: int) -> None:
        self.most = self.now = float(most)
        self.usual = 0.0
        self.seconds: float | None = None
        self.open = True
        self.why = ""
        self._round = Round(0.0)
        self._number = 0
        self._tests = [0.0, 0.0]  # requests in rounds with fewer, and those of them that were refused
        self._before, self._used_before = self._round, 0.0  # the round before the one with fewer
        self._unlowered = self.most  # the level before the rounds with fewer
        self._step: float | None = None
        self._base = 0.0  # the level before more was tried
        self._fast = False
        self._resume = self.most
        self._calm, self._patience, self._since_test = 0, 1, 0
        self._answers = self._refusals = 0
        self._ended = 0.0  # when a request was last answered or refused
        self._refusal_takes = 0.0

    @property
    def rate(self) -> float | None:
        """Requests a second that have this level on average; None if nothing is held back."""
        return None if self.open or not self.seconds else self.now / self.seconds

    @property
    def kind(self) -> str:
        """The kind of the present round."""
        return self._round.kind

    @property
    def stuck(self) -> bool:
        """Whether nothing is taken at all, so that one request now and then is enough."""
        return self._round.kind == NONE

    @property
    def calm(self) -> bool:
        """Whether no more is refused than usual, as far as this round shows."""
        return not self._too_many()

    def sent(self, in_flight: int, at: float) -> int:
        """Note that a request is sent; return the number of its round.

        Args:
            in_flight: requests in flight, with this one.
            at: the present time.
        """
        if not self._round.sent:
            self._round.began = at
        elif in_flight == 1:
            self._round.idle += at - self._ended
        self._end_round(at)
        self._round.sent.append(at)
        self._round.peak = max(self._round.peak, in_flight)
        return self._number

    def refused(self, number: int, seconds: float, at: float) -> None:
        """Note that a request was refused, because of too many requests, after some seconds."""
        self._ended = at
        self._refusals = min(self._refusals + 1, LAST)
        self._refusal_takes += (seconds - self._refusal_takes) / self._refusals
        if number == self._number:
            self._round.refused.append(at - seconds)
        self._end_round(at)

    def answered(self, number: int, seconds: float | None, at: float) -> None:
        """Note that a request was taken.

        Args:
            number: the number of its round.
            seconds: how long its answer took; None if there was none in the end.
            at: the present time.
        """
        self._ended = at
        if seconds is not None:
            self._answers = min(self._answers + 1, LAST)
            self.seconds = (self.seconds or 0.0) + (seconds - (self.seconds or 0.0)) / self._answers
        if number == self._number:
            self._round.answered += 1
            if self.stuck:
                self.why = "requests are answered again"
                self._next(STEADY, self._resume, at)
                return
        self._end_round(at)

    def _used(self, at: float) -> float:
        """The level that the round has really had.

        A paced round has its level, even if the number in flight follows later, unless there were by far not
        enough requests to send.
        """
        lasted, seconds = at - self._round.began - self._round.idle, self.seconds
        by_rate = len(self._round.sent) * seconds / lasted if seconds and lasted else math.inf
        if self.rate:
            return self.now if by_rate > self.now / 2 else by_rate
        return min(self.now, by_rate, self._round.peak)

    def _too_many(self) -> bool:
        """Whether more was refused than chance explains: two standard deviations above the usual."""
        sent, usual = len(self._round.sent), self.usual
        chance = 2 * math.sqrt(sent * usual * (1 - usual))
        return len(self._round.refused) > sent * (usual + NO_MATTER) + chance + 1

    def _none_taken(self, at: float) -> bool:
        """Whether the round's requests were all refused, except for the newest, which are undecided."""
        now, decided = self._round, at - 2 * self._refusal_takes
        if now.answered or len(now.refused) < SOME or at - now.began < SURE:
            return False
        return bisect(now.refused, decided) >= bisect(now.sent, decided)

    def _end_round(self, at: float) -> None:
        ended = self._round
        if self.stuck:
            return
        if self._none_taken(at):
            self._resume, self.why = self._used(at) / 2, "all requests were refused (429)"
            self._next(NONE, 0.0, at)
            return
        shortest = max(SHORTEST, 4 * self._refusal_takes, (self.seconds or 0.0) / 4)
        enough = min(ENOUGH, max(FEW, 2 * self.now))
        if (len(ended.sent) < enough and len(ended.refused) < FEW) or at - ended.began < shortest:
            return
        if ended.kind == FEWER:
            self._tested(ended, at)
        elif self._too_many():
            self._fall(ended, at)
        else:
            self._well(ended, at)

    def _fall(self, ended: Round, at: float) -> None:
        """Go on with less after a round with too many refusals."""
        used = self._used(at)
        taken = self._taken(used, ended.share)
        self._fast, self._step, self._calm = taken < used / 4, None, 0
        self.open = False
        self.why = f"{ended.share:.0%} of {len(ended.sent)} requests were refused (429)"
        if ended.kind == MORE:
            self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
            self._next(STEADY, max(taken, self._base), at)  # it was fine before we tried more
        else:
            self._test(at)

    def _well(self, ended: Round, at: float) -> None:
        """Go on after a round without unusual refusals."""
        refused = len(ended.refused)
        upper = (refused + 2 * math.sqrt(refused) + 3) / len(ended.sent)
        self.usual = min(self.usual, upper)
        self._since_test += 1
        if self.usual > WORTH_A_TEST and self._since_test >= TEST_EVERY:
            self._test(at)
            return
        could = (self.rate or math.inf) * (at - ended.began)
        busy = len(ended.sent) >= MUCH * could
        if self.now >= self.most and (not busy or ended.peak >= MUCH * self.most):
            self.open = True
        if self.now >= self.most or (ended.peak < int(self.now) and not busy):
            self._next(STEADY, self.now, at)  # nothing is held back, or less was sent than allowed
            return
        if ended.kind == MORE:
            self._patience = 1
        else:
            self._base = self.now
        self._calm += 1
        if ended.kind != MORE and self._calm < self._patience:
            self._next(STEADY, self.now, at)
            return
        self._calm, self.why = 0, "no more requests than usual were refused"
        first = min(1.0, max(self.now / 8, STEP * (self.seconds or 0.0)))
        self._step = 2 * self._step if self._step else first
        self._next(MORE, self.now + (self.now if self._fast else self._step), at)

    def _test(self, at: float) -> None:
        """Begin a round with clearly fewer requests than were taken, even if no refusal is usual."""
        if self.kind != FEWER:
            self._unlowered = self.now
        self._before, self._used_before, self._since_test = self._round, self._used(at), 0
        level = self._used_before * (1 - self._round.share)
        if self.seconds and at > self._round.began:  # refused requests that wait send less than their level
            taken = len(self._round.sent) - len(self._round.refused)
            level = min(level, taken * self.seconds / (at - self._round.began))
        self._next(FEWER, CLEARLY_LESS * level, at)

    def _tested(self, ended: Round, at: float) -> None:
        """Learn the usual share from a round with fewer, unless it had still too many itself."""
        before, sent = self._before, len(ended.sent)
        share = before.share
        helped = len(ended.refused) < sent * share - math.sqrt(sent * share * (1 - share))
        if self._too_many() and (helped or ended.share > MOST_USUAL):
            self._test(at)
            return
        for one in (ended,) if helped else (ended, before):
            self._tests = [
                MEMORY * self._tests[0] + len(one.sent),
                MEMORY * self._tests[1] + len(one.refused),
            ]
        self.usual = min(MOST_USUAL, self._tests[1] / self._tests[0])
        self._next(STEADY, self._taken(self._used_before, share) if helped else self._unlowered, at)

    def _taken(self, level: float, share: float) -> float:
        """The part of a level that the provider took, at the usual share of refusals."""
        return level * min(1.0, (1 - share) / (1 - self.usual))

    def _next(self, kind: str, level: float, at: float) -> None:
        least = min(1.0, FEWEST * (self.seconds or 1 / FEWEST))
        self.now = min(self.most, max(least, level))
        if self.now < self.most:
            self.open = False
        self._round = Round(at, kind)
        self._number += 1
