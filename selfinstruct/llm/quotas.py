"""What a provider says about its rate limits in the headers of its answers.

Known are the headers of OpenAI, Azure, Groq, xAI and Fireworks (`x-ratelimit-remaining-requests`,
`x-ratelimit-reset-tokens`), Anthropic (`anthropic-ratelimit-input-tokens-remaining`), Mistral and Cerebras
(`x-ratelimit-remaining-tokens-minute`), Together (`x-ratelimit-remaining`, `x-tokenlimit-remaining`),
OpenRouter (`x-ratelimit-reset`) and the IETF's drafts (`ratelimit-remaining`, and
`ratelimit: "default";r=50;t=30`). They differ in the order of the same words, so that all are read by one
rule: a name has `remaining` or `reset`, and the other words say of what.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

REQUESTS, TOKENS, SENT, RECEIVED = "requests", "tokens", "tokens sent", "tokens received"
WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "month": 2_592_000.0}
OWN_WORDS = {"x", "anthropic", "ratelimit", "tokenlimit", "remaining", "reset"}
HALVES = {"input": SENT, "prompt": SENT, "output": RECEIVED, "generated": RECEIVED, "completion": RECEIVED}
LONGEST = 120.0  # seconds; what is left for a day is used at any speed, until the provider refuses
AHEAD = 2.0  # times the even use of what is left: so much faster at first, and slower later
SLOWEST = 0.2  # requests a second, whatever the headers say
DOUBTS = 8  # requests answered although nothing was left, after which a header is ignored
UNITS = {"ms": 0.001, "us": 1e-6, "µs": 1e-6, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|s|m|h|d)")
EPOCH = 1e9  # a larger number is a time since 1970, in seconds or, from 1e11, in milliseconds


@dataclass(frozen=True)
class Quota:
    """What is left of one limit.

    Attributes:
        name: of what, in the words of the header.
        unit: what is counted.
        remaining: how much is left.
        seconds: when there is as much as at first again, at the latest.
    """

    name: str
    unit: str
    remaining: float
    seconds: float


def quotas(headers: Mapping[str, str], now: float) -> list[Quota]:
    """What the headers say is left.

    Args:
        headers: the headers of an answer, their names in lower case.
        now: the present time since 1970, used if there is no header `date`.
    """
    if not any("limit" in name for name in headers):
        return []
    now = _since_1970(headers.get("date", "")) or now
    found: dict[str, dict[str, str]] = {}
    for name, value in headers.items():
        words = name.replace("rate-limit", "ratelimit").split("-")
        kind = next((one for one in ("remaining", "reset") if one in words), None)
        if kind and not OWN_WORDS.isdisjoint(words) and any(word.endswith("limit") for word in words):
            rest = ["tokens"] if "tokenlimit" in words else []
            rest += [word for word in words if word not in OWN_WORDS]
            found.setdefault(" ".join(rest), {})[kind] = str(value)
    left = [_quota(name, given, now) for name, given in found.items()]
    every = [*filter(None, left), *_structured(str(headers.get("ratelimit", "")))]
    return [one for one in every if math.isfinite(one.remaining) and math.isfinite(one.seconds)]


def _quota(name: str, given: Mapping[str, str], now: float) -> Quota | None:
    """The quota of some headers; None if they do not say what is left, or of what."""
    words = name.split()
    unit = _unit(words)
    window = next((WINDOWS[word] for word in words if word in WINDOWS), WINDOWS["minute"])
    try:
        remaining = float(given["remaining"])
        seconds = seconds_until(given["reset"], now) if "reset" in given else window
    except (KeyError, ValueError, OverflowError):
        return None
    return Quota(name or REQUESTS, unit, remaining, seconds) if unit and remaining >= 0 else None


def _unit(words: list[str]) -> str | None:
    """What a limit counts; None if it is neither requests nor tokens."""
    if any(word.startswith("token") for word in words):
        return next((HALVES[word] for word in words if word in HALVES), TOKENS)
    if any(word.startswith("req") for word in words) or set(words) <= set(WINDOWS):
        return REQUESTS
    return None


def _structured(value: str) -> Iterator[Quota]:
    """The quotas in one header `ratelimit`: `"default";r=50;t=30`, or `limit=100, remaining=50, reset=30`."""
    for item in value.split(",") if ";" in value else [value]:
        remaining = re.search(r"\b(?:r|remaining)=(\d+)", item)
        reset = re.search(r"\b(?:t|reset)=(\d+)", item)
        if remaining and reset:
            name = item.split(";")[0].strip(' "') if ";" in item else ""
            unit = TOKENS if "token" in name.lower() else REQUESTS
            yield Quota(name or REQUESTS, unit, float(remaining[1]), float(reset[1]))


def seconds_until(reset: str, now: float) -> float:
    """The seconds of `30`, `1.5`, `20ms`, `6m0s`, a time since 1970, an RFC 3339 time or an HTTP date.

    Raises:
        ValueError: if it is none of these.
    """
    text = reset.strip()
    parts = DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * UNITS[unit] for number, unit in parts)
    try:
        number = float(text)
    except ValueError:
        at = _since_1970(text)
        if at is None:
            raise
        return max(0.0, at - now)
    if number < EPOCH:
        return max(0.0, number)
    return max(0.0, (number / 1000 if number > 100 * EPOCH else number) - now)


def _since_1970(text: str) -> float | None:
    """A time as RFC 3339 or an HTTP date has it, in seconds since 1970; None if it is neither."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        try:
            found = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()


@dataclass
class _Heard:
    quota: Quota
    at: float
    uncounted: float  # requests that the provider had not counted yet
    doubts: int = 0


class Allowance:
    """The rate at which what is left lasts until the provider adds to it.

    A limit may be a bucket that fills all the time, or a window that begins anew. Both are used up evenly by
    what is left, divided by the time until there is as much as at first: the bucket stays partly filled,
    and the window's rest lasts to its end. Runs that share a limit share it by this rule without knowing of
    each other.

    Args:
        cost: what a request takes of a unit, on average; None if that is not known yet.
    """

    def __init__(self, cost: Callable[[str], float | None]) -> None:
        self._cost = cost
        self._heard: dict[str, _Heard] = {}

    def heard(self, found: list[Quota], in_flight: int, at: float) -> None:
        """Note what an answer said.

        Args:
            found: what is left.
            in_flight: requests in flight; they were sent later than the one that was answered.
            at: the present time of a monotonic clock, in seconds.
        """
        for quota in found:
            before = self._heard.get(quota.name)
            doubts = before.doubts if before and quota.remaining < 1 else 0
            self._heard[quota.name] = _Heard(quota, at, in_flight, doubts)

    def sent(self) -> None:
        """Note that a request is sent."""
        for one in self._heard.values():
            one.uncounted += 1

    def taken(self) -> None:
        """Note that a request was answered: if nothing was left, the header may be wrong."""
        for one in self._heard.values():
            one.doubts += one.quota.remaining < 1

    def rate(self, at: float) -> tuple[float, str] | None:
        """The largest rate in requests a second, and the limit that it keeps; None if there is none."""
        rates = [(rate, name) for name, one in self._heard.items() if (rate := self._of(one, at))]
        return min(rates, default=None)

    def _of(self, one: _Heard, at: float) -> float | None:
        cost = 1.0 if one.quota.unit == REQUESTS else self._cost(one.quota.unit)
        left = one.at + one.quota.seconds - at
        if not cost or left <= 0 or one.quota.seconds > LONGEST or one.doubts >= DOUBTS:
            return None
        return max(SLOWEST, AHEAD * max(0.0, one.quota.remaining / cost - one.uncounted) / left)
