"""Rate limits in the headers of answers: what each provider's say, and the pace that keeps them."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from datetime import datetime, timezone
from email.utils import formatdate

import pytest
from conftest import Typed
from server import Answer, Asked, ModelServer, text
from simulated import BEGIN, Provider, simulate, simulate_several
from tiny_recipe import at

from selfinstruct.llm.quotas import RECEIVED, REQUESTS, SENT, TOKENS, Quota, quotas, seconds_until

NOW = 1_800_000_000.0
LATER = datetime.fromtimestamp(NOW + 30, timezone.utc).isoformat().replace("+00:00", "Z")
OPENAI = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "6m0s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": LATER,
    "anthropic-ratelimit-input-tokens-remaining": "20000",
    "anthropic-ratelimit-input-tokens-reset": LATER,
    "anthropic-ratelimit-output-tokens-remaining": "8000",
    "anthropic-ratelimit-output-tokens-reset": LATER,
}
CASES = {
    "openai": (
        OPENAI,
        [Quota("requests", REQUESTS, 59, 1), Quota("tokens", TOKENS, 149984, 360)],
    ),
    "groq": (
        {
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-remaining-tokens": "17997",
            "x-ratelimit-reset-tokens": "20ms",
        },
        [Quota("requests", REQUESTS, 14370, 179.56), Quota("tokens", TOKENS, 17997, 0.02)],
    ),
    "anthropic": (
        ANTHROPIC,
        [
            Quota("requests", REQUESTS, 49, 30),
            Quota("input tokens", SENT, 20000, 30),
            Quota("output tokens", RECEIVED, 8000, 30),
        ],
    ),
    "azure, without a reset": (
        {"x-ratelimit-remaining-requests": "119", "x-ratelimit-remaining-tokens": "119000"},
        [Quota("requests", REQUESTS, 119, 60), Quota("tokens", TOKENS, 119000, 60)],
    ),
    "mistral": (
        {"x-ratelimit-remaining-req-minute": "58", "x-ratelimit-remaining-tokens-month": "900000"},
        [Quota("req minute", REQUESTS, 58, 60), Quota("tokens month", TOKENS, 900000, 2_592_000)],
    ),
    "together": (
        {"x-ratelimit-remaining": "9", "x-ratelimit-reset": "1", "x-tokenlimit-remaining": "500"},
        [Quota("requests", REQUESTS, 9, 1), Quota("tokens", TOKENS, 500, 60)],
    ),
    "openrouter": (
        {
            "x-ratelimit-limit": "20",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": str(int(NOW + 7) * 1000),
        },
        [Quota("requests", REQUESTS, 0, 7)],
    ),
    "github": (
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset": str(int(NOW + 7))},
        [Quota("requests", REQUESTS, 3, 7)],
    ),
    "fireworks": (
        {"x-ratelimit-remaining-tokens-prompt": "70", "x-ratelimit-remaining-tokens-generated": "30"},
        [Quota("tokens prompt", SENT, 70, 60), Quota("tokens generated", RECEIVED, 30, 60)],
    ),
    "ietf, three headers": (
        {"ratelimit-limit": "100", "ratelimit-remaining": "50", "ratelimit-reset": "30"},
        [Quota("requests", REQUESTS, 50, 30)],
    ),
    "ietf, one header": (
        {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'},
        [Quota("default", REQUESTS, 50, 30)],
    ),
    "ietf, a list": (
        {"ratelimit": '"burst";r=5;t=1, "tokens";r=900;t=60'},
        [Quota("burst", REQUESTS, 5, 1), Quota("tokens", TOKENS, 900, 60)],
    ),
    "ietf, an older form": (
        {"ratelimit": "limit=100, remaining=50, reset=30"},
        [Quota("requests", REQUESTS, 50, 30)],
    ),
    "nonsense": (
        {
            "x-ratelimit-remaining-requests": "many",
            "x-ratelimit-remaining-images": "3",
            "x-ratelimit-remaining-tokens": "-1",
            "x-ratelimit-reset-tokens": "soon",
            "ratelimit": ";;;",
            "content-length": "20",
        },
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_headers_of_a_provider(name: str) -> None:
    """What is left of each limit, and until when."""
    headers, expected = CASES[name]
    found = quotas(headers, NOW)
    assert [replace(one, seconds=round(one.seconds, 3)) for one in found] == expected


@pytest.mark.parametrize(
    "value",
    [
        "nan",
        "inf",
        "-inf",
        "1e999",
        "9" * 5000,
        "0001-01-01T00:00:00Z",
        "\x00",
        "d" * 5000,
        "1" + "s" * 5000,
        "²",
    ],
)
def test_no_value_of_a_header_breaks_a_request(value: str) -> None:
    """Whatever a server sends, there is a finite number or nothing."""
    names = ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "ratelimit", "date")
    for name in names:
        for other in ("7", value):
            headers = {**dict.fromkeys(names[:2], other), name: value}
            for found in quotas(headers, NOW):
                assert math.isfinite(found.remaining)
                assert math.isfinite(found.seconds)
    for one in (f'"default";r={value};t=7', f'"default";r=7;t={value}', f"remaining={value}, reset={value}"):
        quotas({"ratelimit": one}, NOW)


def test_a_time_is_counted_from_the_server_s_clock() -> None:
    """A header `date` that differs by an hour moves an absolute time by an hour."""
    found = quotas({**ANTHROPIC, "date": formatdate(NOW + 10, usegmt=True)}, NOW + 3600)
    assert found[0].seconds == pytest.approx(20, abs=1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        ("1.5", 1.5),
        ("20ms", 0.02),
        ("6m0s", 360),
        ("1h2m3.5s", 3723.5),
        ("1d", 86400),
        (LATER, 30),
        (formatdate(NOW + 30, usegmt=True), 30),
        (str(NOW + 30), 30),
        (str(int(NOW + 30) * 1000), 30),
        (str(NOW - 30), 0),
    ],
)
def test_the_forms_of_a_reset(value: str, seconds: float) -> None:
    """Durations, numbers and times."""
    assert seconds_until(value, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "soon", "5 parsecs", "1s later"])
def test_a_reset_that_is_none(value: str) -> None:
    """An error, so that the header is ignored."""
    with pytest.raises(ValueError, match="could not convert"):
        seconds_until(value, NOW)


# Simulated: nothing is refused, and nothing of the limit is wasted


def bucket(provider: Provider) -> dict[str, str]:
    """As OpenAI says it: 500 requests a minute, in a bucket that fills all the time."""
    left = int(provider.left)
    full = f"{(500 - provider.left) / (500 / 60):.3f}s"
    return {"x-ratelimit-remaining-requests": str(left), "x-ratelimit-reset-requests": full}


def window(provider: Provider) -> dict[str, str]:
    """As the IETF's draft says it: 500 requests in each minute."""
    assert provider.window
    since = asyncio.get_running_loop().time() - BEGIN
    left = (provider.period + 1) * 60 - since
    return {"ratelimit": f'"default";r={max(0, 500 - provider.used)};t={int(left) + 1}'}


def test_a_bucket_is_used_whole_and_nothing_is_refused() -> None:
    """All that comes into the bucket, from the second minute on."""
    provider = Provider(seconds=1.0, rate=lambda at: 500 / 60, burst=500, headers=bucket)
    course = simulate(provider, 64, 240)
    assert not provider.bad
    assert provider.rate_of(provider.good, 60, 240) == pytest.approx(500 / 60, rel=0.05)
    assert any("headers" in limit.why for _, limit in course.limits)


def test_a_window_is_used_whole_and_nothing_is_refused() -> None:
    """500 in each of four minutes, as against the hundreds refused without the headers."""
    provider = Provider(seconds=0.5, window=(500, 60), headers=window)
    simulate(provider, 64, 240)
    assert not provider.bad
    assert len(provider.good) >= 1950
    without = Provider(seconds=0.5, window=(500, 60))
    simulate(without, 64, 240)
    assert len(without.bad) > 50


def test_runs_side_by_side_share_a_limit_evenly() -> None:
    """Three that know nothing of each other read the same headers: each gets a third, and none is refused."""
    provider = Provider(seconds=1.0, rate=lambda at: 500 / 60, burst=500, headers=bucket)
    courses = simulate_several(3, provider, 64, 180)
    assert not provider.bad
    shares = [provider.rate_of(course.answered, 60, 180) for course in courses]
    assert sum(shares) == pytest.approx(500 / 60, rel=0.05)
    assert min(shares) > 0.8 * max(shares)


def test_tokens_are_limited_too() -> None:
    """60,000 tokens a minute, and 200 in each request: five a second, with nothing else to tell."""

    def tokens(provider: Provider) -> dict[str, str]:
        left = provider.left * 200
        full = f"{(60_000 - left) / 1000:.3f}s"
        return {"x-ratelimit-remaining-tokens": str(int(left)), "x-ratelimit-reset-tokens": full}

    provider = Provider(seconds=1.0, rate=lambda at: 5, burst=300, headers=tokens)
    simulate(provider, 64, 240, tokens=100)
    assert not provider.bad
    assert provider.rate_of(provider.good, 60, 240) == pytest.approx(5, rel=0.07)


def test_a_daily_limit_does_not_slow_down_at_first() -> None:
    """14,400 a day: what is left of a day is used at any speed."""

    def day(provider: Provider) -> dict[str, str]:
        used = len(provider.good)
        return {
            "x-ratelimit-remaining-requests": str(14_400 - used),
            "x-ratelimit-reset-requests": f"{used * 6}s",
        }

    provider = Provider(seconds=0.5, headers=day)
    simulate(provider, 16, 120)
    assert provider.rate_of(provider.good, 60, 120) > 0.95 * 32


def test_headers_that_are_wrong_are_ignored_after_a_while() -> None:
    """A server that says that nothing is left, and answers all the same."""

    def wrong(provider: Provider) -> dict[str, str]:
        return {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "60"}

    provider = Provider(headers=wrong)
    simulate(provider, 16, 120)
    assert provider.rate_of(provider.good, 60, 120) > 0.9 * 80


# Over HTTP


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", ["openai/tiny", "hosted_vllm/tiny"])
def test_a_run_slows_down_before_it_is_refused(typed: Typed, name: str) -> None:
    """12 requests in a window of 4 s: the rest waits for the next window, and none is refused."""
    began: list[float] = []

    def script(asked: Asked) -> Answer:
        began.append(asked.at)
        number = int((asked.at - began[0]) // 4)
        used = sum(int((one - began[0]) // 4) == number for one in began)
        if used > 12:
            return Answer({"error": {"message": "slow down"}}, 429)
        left = (number + 1) * 4 - (asked.at - began[0])
        headers = {
            "x-ratelimit-remaining-requests": str(12 - used),
            "x-ratelimit-reset-requests": f"{left:.3f}s",
        }
        return replace(text(f"Idea about seed {asked.body['seed']}."), headers=headers)

    with ModelServer(script) as server:
        keys = ("model.seeded=true", "pipeline.ideas.window=4", "model.concurrency=2", f"model.name={name}")
        assert typed(*at(server, *keys, "target=20"))[0] == 0
    refused = len(server.asked) - 20
    assert refused <= 1
    assert server.asked[-1].at - server.asked[0].at > 3


@pytest.mark.usefixtures("tiny")
def test_the_headers_of_a_refusal_count_too(typed: Typed) -> None:
    """A refusal without Retry-After that says when the window ends."""

    def script(asked: Asked) -> Answer:
        if asked.number > 1 and asked.at - server.asked[0].at < 3:
            left = 3 - (asked.at - server.asked[0].at)
            headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{left:.3f}s"}
            return Answer({"error": {"message": "slow down"}}, 429, headers)
        return text(f"Idea about seed {asked.body['seed']}.")

    with ModelServer(script) as server:
        keys = ("model.seeded=true", "pipeline.ideas.window=4", "model.concurrency=4", "model.retries=9")
        assert typed(*at(server, *keys, "target=8"))[0] == 0
    refused = [asked for asked in server.asked[1:] if asked.at - server.asked[0].at < 3]
    assert len(refused) <= 8


@pytest.mark.usefixtures("tiny")
def test_gemini_says_in_the_body_when_to_come_back(typed: Typed) -> None:
    """Google's RetryInfo is followed like Retry-After."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.2s"}]
    error = {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED", "details": details}

    def script(asked: Asked) -> Answer:
        return Answer({"error": error}, 429) if asked.number == 1 else text("Idea at last")

    with ModelServer(script) as server:
        keys = ("model.concurrency=1", "model.retries=1", "pipeline.ideas.window=1")
        assert typed(*at(server, *keys, "target=1"))[0] == 0
    assert server.asked[1].at - server.asked[0].at >= 1.2
