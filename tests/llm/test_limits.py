"""How many requests a provider gets: the level found from refusals, the user's limit, and how it is told.

`simulated` has the minutes that a level takes to settle, on a clock of its own; the other tests send requests
over HTTP. How near the real figures are to their marks is measured by `tests/bench/limits.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from results import summary
from server import Answer, Asked, ModelServer, slower, status, text
from simulated import Provider, simulate, simulate_several
from tiny_recipe import at

SEEDED = ("model.seeded=true", "pipeline.ideas.window=16", "model.concurrency=16", "model.retries=9")


def by_seed(asked: Asked) -> Answer:
    """The same request gets the same reply, whenever it comes."""
    return text(f"Idea about seed {asked.body['seed']} and no other.")


def told(project: Path, kind: str) -> list[dict[str, Any]]:
    """The events of one kind."""
    return [row for row in lines(project / "run/events.jsonl") if row["event"] == kind]


# Simulated: what settles, and where


@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize(("seconds", "concurrency"), [(0.05, 8), (0.5, 8), (1.0, 64)])
def test_refusals_by_chance_cost_little(retry_after: float | None, seconds: float, concurrency: int) -> None:
    """5% are refused, whatever is sent, and fewer requests would not help: four fifths are answered."""
    without = Provider(seconds=seconds)
    simulate(without, concurrency, 60)
    refusing = Provider(seconds=seconds, refuses=0.05, retry_after=retry_after)
    course = simulate(refusing, concurrency, 60)
    assert len(refusing.good) > 0.8 * len(without.good)
    assert course.facts["usual"] == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize(("seconds", "concurrency"), [(0.05, 8), (0.2, 64), (1.0, 128)])
@pytest.mark.parametrize("burst", [4, 40])
def test_a_rate_is_found_and_found_again(
    retry_after: float | None, seconds: float, concurrency: int, burst: int
) -> None:
    """40 requests a second are allowed, then 80: nine tenths of it within 20 s, and few are refused."""
    provider = Provider(
        seconds=seconds, rate=lambda at: 40 if at < 60 else 80, burst=burst, retry_after=retry_after
    )
    course = simulate(provider, concurrency, 100)
    assert provider.rate_of(provider.good, 20, 60) > 36
    assert provider.rate_of(provider.good, 80, 100) > 72
    assert provider.rate_of(provider.bad, 20, 60) < 8
    assert course.most_attempts < 9


def test_a_rate_that_falls_is_found() -> None:
    """From 80 to 20 a second: the refusals stay few."""
    provider = Provider(rate=lambda at: 80 if at < 40 else 20, burst=10)
    simulate(provider, 64, 80)
    assert provider.rate_of(provider.good, 60, 80) > 18
    assert provider.rate_of(provider.bad, 60, 80) < 4


def test_a_limit_of_requests_at_once_is_found() -> None:
    """A server that takes 4 at once gets about 4, and gets 12 when it takes 12."""
    provider = Provider(seconds=0.2, at_once=lambda at: 4 if at < 60 else 12)
    simulate(provider, 16, 120)
    assert provider.rate_of(provider.good, 20, 60) > 0.75 * 20
    assert provider.rate_of(provider.bad, 20, 60) < 3
    assert provider.rate_of(provider.good, 90, 120) > 0.75 * 60


def test_a_rate_below_one_request_at_a_time_is_found() -> None:
    """20 a minute, where an answer takes half a second: less than one in flight on average."""
    provider = Provider(seconds=0.5, rate=lambda at: 1 / 3, burst=3)
    simulate(provider, 8, 300)
    assert provider.rate_of(provider.good, 60, 300) > 0.8 / 3
    assert provider.rate_of(provider.bad, 60, 300) < 0.1


def test_a_server_that_refuses_everything_gets_few_requests_until_it_answers() -> None:
    """40 s without an answer: one request every few seconds, and all of them soon after it is back."""
    provider = Provider(seconds=0.5, down=(20, 60))
    simulate(provider, 16, 100)
    assert provider.rate_of(provider.bad, 30, 60) < 0.5
    assert provider.rate_of(provider.good, 75, 100) > 0.9 * 32


def test_refusals_of_the_first_moments_do_not_make_it_send_faster() -> None:
    """Each place sends again after a wait, and not at once, although a refusal takes 5 ms."""
    provider = Provider(seconds=1.0, down=(0, 10))
    simulate(provider, 16, 10)
    assert provider.rate_of(provider.bad, 0, 1) <= 4 * 16
    assert provider.rate_of(provider.bad, 5, 10) < 0.5


def test_a_used_up_minute_is_waited_for() -> None:
    """500 a minute with Retry-After: hardly a request is sent before the next minute."""
    provider = Provider(seconds=0.5, window=(500, 60), retry_after="window")
    simulate(provider, 64, 180)
    assert len(provider.good) >= 1499
    assert len(provider.bad) < 300


def test_runs_side_by_side_use_all_that_the_provider_takes() -> None:
    """Two that know nothing of each other: together they get the 40 a second, however they share it."""
    provider = Provider(rate=lambda at: 40, burst=10)
    simulate_several(2, provider, 64, 120)
    assert provider.rate_of(provider.good, 20, 120) > 36


def test_a_slow_server_gets_what_the_user_set() -> None:
    """Latency is no reason to send less: nothing was refused."""
    provider = Provider(seconds=3.0, spread=1.0)
    course = simulate(provider, 64, 120)
    assert (course.limits, course.facts) == ([], {})


def test_what_is_told_is_where_it_settled() -> None:
    """The last change names the level, its rate and the share of refusals; a test with fewer is not told."""
    provider = Provider(seconds=0.2, rate=lambda at: 40, burst=10)
    course = simulate(provider, 64, 60)
    _, last = course.limits[-1]
    assert 6 <= last.concurrency <= 11
    assert last.of == 64
    assert last.per_second == pytest.approx(40, rel=0.2)
    assert "refused" in last.why
    assert len(course.limits) < 30
    assert course.facts["refused"] == len(provider.bad)


# Over HTTP


@pytest.mark.usefixtures("tiny")
def test_a_server_that_takes_four_at_once(typed: Typed, project: Path) -> None:
    """It gets few more after its first refusals, and every reply is there."""

    def takes_four(asked: Asked) -> Answer:
        full = server.in_hand > 4
        return status(429) if full else replace(by_seed(asked), delay=0.05)

    with ModelServer(takes_four) as server:
        status_, _, err = typed(*at(server, *SEEDED, "target=150"))
    assert status_ == 0, err
    assert len(lines(project / "run/ideas.jsonl")) == 150
    assert len(server.asked) - 150 < 150
    limits = told(project, "limit")
    assert min(limit["concurrency"] for limit in limits) < 16
    assert {limit["of"] for limit in limits} == {16}
    words = ("refused", "answered again")  # the latter where even the first requests were refused
    assert all(any(word in limit["why"] for word in words) for limit in limits), limits


@pytest.mark.usefixtures("tiny")
def test_limits_change_only_the_time(typed: Typed, project: Path) -> None:
    """The same records, whether a share of the requests is refused or none."""
    found = []
    for run, refuses in (("calm", False), ("refused", True)):

        def script(asked: Asked, refuses: bool = refuses) -> Answer:
            return slower() if refuses and asked.number % 7 == 3 else by_seed(asked)

        with ModelServer(script) as server:
            assert typed(*at(server, *SEEDED, "target=60"), f"run_dir={run}", "cache=off")[0] == 0
        found.append((project / run / "ideas.jsonl").read_bytes())
    assert found[0] == found[1]


@pytest.mark.usefixtures("tiny")
def test_a_refused_request_lets_others_go_first(typed: Typed) -> None:
    """With one place, the second request is sent while the first waits for what its Retry-After says."""

    def script(asked: Asked) -> Answer:
        return slower(3) if asked.number == 4 else by_seed(asked)

    with ModelServer(script) as server:
        keys = ("model.seeded=true", "pipeline.ideas.window=8", "model.concurrency=1", "model.retries=2")
        assert typed(*at(server, *keys, "target=11"))[0] == 0
    refused = server.asked[3]
    again = next(asked for asked in server.asked[4:] if asked.body["seed"] == refused.body["seed"])
    assert again.at - refused.at >= 3
    between = [asked for asked in server.asked if refused.number < asked.number < again.number]
    assert len(between) >= 5


@pytest.mark.usefixtures("tiny")
def test_a_failing_server_gets_no_more_requests(typed: Typed) -> None:
    """Other failures than refusals keep their places: the third request waits for one of the first two."""

    def script(asked: Asked) -> Answer:
        return status(503) if asked.number <= 2 else by_seed(asked)

    with ModelServer(script) as server:
        keys = ("model.seeded=true", "pipeline.ideas.window=8", "model.concurrency=2", "model.retries=2")
        assert typed(*at(server, *keys, "target=6"))[0] == 0
    assert server.asked[2].at - server.asked[1].at >= 0.45
    seeds = [asked.body["seed"] for asked in server.asked]
    assert seeds[2] in seeds[:2]


@pytest.mark.usefixtures("tiny")
def test_the_summary_says_where_it_settled(typed: Typed, project: Path) -> None:
    """How many were sent and refused, and at what level the model was asked in the end."""

    def script(asked: Asked) -> Answer:
        return slower() if asked.number % 3 == 0 else replace(by_seed(asked), delay=0.02)

    with ModelServer(script) as server:
        assert typed(*at(server, *SEEDED, "target=60"))[0] == 0
    (limited,) = summary(project / "run")["limits"]
    assert (limited["stage"], limited["model"]) == ("ideas", "openai/tiny")
    assert limited["sent"] == len(server.asked)
    assert limited["refused"] == sum(asked.number % 3 == 0 for asked in server.asked)
    assert limited["of"] == 16
