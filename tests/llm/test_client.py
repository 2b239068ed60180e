"""What stands between a run and its model: limits, retries, fallbacks, the cache, the budget, the events.

Everything goes over real HTTP to a server on this machine; the recipe `tiny` is that of `tiny_recipe`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file
from results import summary
from server import Answer, Asked, ModelServer, bad_key, no_choices, refused, status, text, too_long
from tiny_recipe import KEY, TINY, at, by_number

from selfinstruct.config import CacheConfig
from selfinstruct.journal.checksums import checksum
from selfinstruct.llm.cache import Cache, key_of
from selfinstruct.records import Reply, Request

pytestmark = pytest.mark.usefixtures("tiny", "quick")


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    """The events of one kind."""
    return [row for row in lines(run / "events.jsonl") if row["event"] == kind]


def data(run: Path) -> bytes:
    """The accepted records and the rejected."""
    return (run / "ideas.jsonl").read_bytes() + (run / "rejected.jsonl").read_bytes()


def replies(run: Path) -> list[tuple[Any, ...]]:
    """Number, model, attempts and text of each stored reply."""
    with sqlite3.connect(run / "run.sqlite") as journal:
        return journal.execute("SELECT number, model, attempts, text FROM reply ORDER BY number").fetchall()


def by_seed(asked: Asked) -> Answer:
    """The same request gets the same reply, whenever it comes."""
    return text(f"Idea about seed {asked.body['seed']} and no other.")


SEEDED = ("model.seeded=true", "model.concurrency=16", "pipeline.ideas.window=16")

# Limits


def test_requests_per_minute(typed: Typed) -> None:
    """Ten a second are no burst of sixty: a second's worth at once, and then one after the other."""
    with ModelServer(by_seed) as server:
        keys = ("target=50", "model.requests_per_minute=600")
        assert typed(*at(server, *SEEDED, *keys))[0] == 0
    times = [asked.at - server.asked[0].at for asked in server.asked]
    later = [time for time in times if time > 1.5]
    busiest = max(sum(start <= time < start + 1 for time in later) for start in later)
    assert 8 <= busiest <= 13
    assert times[49] > 2.5


def test_tokens_per_minute(typed: Typed) -> None:
    """Prompts and replies count, as the server counted them: some 22 tokens a request at 40 a second."""
    reply = "word " * 10
    with ModelServer(lambda asked: text(f"Idea about {asked.body['seed']} {reply}")) as server:
        keys = ("target=12", "model.tokens_per_minute=2400", "prompts.ideas.sampling.max_tokens=20")
        assert typed(*at(server, *SEEDED, *keys))[0] == 0
    times = [asked.at for asked in server.asked]
    assert times[11] - times[0] > 4, "12 requests of 27 tokens are 324, and 40 may pass in a second"


def test_retry_after_holds_back_all_requests(typed: Typed, project: Path) -> None:
    """What the provider says to one request goes for the others that were not sent yet."""

    def script(asked: Asked) -> Answer:
        return status(429, Retry_After="1") if asked.number == 1 else by_seed(asked)

    with ModelServer(script) as server:
        keys = ("target=6", "model.seeded=true", "model.concurrency=1", "model.retries=2")
        assert typed(*at(server, *keys))[0] == 0
    assert server.asked[1].at - server.asked[0].at >= 1
    (retry,) = events(project / "run", "retry")
    assert (retry["attempt"], retry["number"]) == (1, 1)
    assert retry["wait"] >= 1


# Fallbacks


def other(project: Path, server: ModelServer) -> None:
    """A second model in the user's folder."""
    content = TINY["conf/model/tiny.yaml"].replace("openai/tiny", "openai/other")
    content = content.replace("api_base: null", f"api_base: {server.base}")
    (project / "conf/model/other.yaml").write_text(content, encoding="utf-8")


def test_a_fallback_takes_over_from_a_model_that_has_given_up(typed: Typed, project: Path) -> None:
    """The second model answers, each reply says who it was, and the first is left alone for a while."""
    with ModelServer([status(500, "out of order")]) as broken, ModelServer(by_seed) as spare:
        other(project, spare)
        keys = ("target=30", "model.retries=1", "model.fallbacks=[other]", "model.concurrency=4")
        status_, _, err = typed(*at(broken, *SEEDED, *keys))
    assert status_ == 0, err
    assert {model for _, model, _, _ in replies(project / "run")} == {"openai/other"}
    assert len(broken.asked) <= 8, "those in flight, twice each; later ones went to the other at once"
    told = events(project / "run", "fallback")
    assert {(event["model"], event["to"]) for event in told} == {("openai/tiny", "openai/other")}
    assert "openai/other takes over" in err


def test_a_fallback_gets_its_own_parameters(typed: Typed, project: Path) -> None:
    """A parameter that the second model does not take is left out for it, and only for it."""
    with ModelServer([status(500)]) as broken, ModelServer(by_seed) as spare:
        other(project, spare)
        file = project / "conf/model/other.yaml"
        file.write_text(file.read_text().replace("sampling: {}", "sampling: {top_p: null, temperature: 1}"))
        keys = ("target=1", "model.retries=0", "model.fallbacks=[other]")
        assert typed(*at(broken, *SEEDED, *keys))[0] == 0
    assert broken.bodies[0]["top_p"] == 0
    assert "top_p" not in spare.bodies[0]
    assert spare.bodies[0]["temperature"] == 1


def test_a_fallback_that_completes_text_gets_no_response_format(typed: Typed, project: Path) -> None:
    """It is a parameter of chat; a second model in chat mode gets it."""
    prompts = project / "conf/prompts/tiny.yaml"
    asked = prompts.read_text().replace("{max_tokens", "{response_format: {type: text}, max_tokens")
    prompts.write_text(asked)
    for mode in ("chat", "completion"):
        with ModelServer([status(500)]) as broken, ModelServer(by_seed) as spare:
            other(project, spare)
            file = project / "conf/model/other.yaml"
            file.write_text(file.read_text().replace("mode: chat", f"mode: {mode}"))
            keys = ("target=1", "model.retries=0", "model.fallbacks=[other]", f"run_dir={mode}")
            assert typed(*at(broken, *SEEDED, *keys))[0] == 0
        assert broken.bodies[0]["response_format"] == {"type": "text"}
        assert ("response_format" in spare.bodies[0]) is (mode == "chat")
        assert ("prompt" in spare.bodies[0]) is (mode == "completion")


def test_when_all_have_given_up_the_run_stops_and_goes_on_later(typed: Typed, project: Path) -> None:
    """The message names all of them; what was received is kept."""
    with ModelServer([status(500)]) as broken, ModelServer([status(503)]) as spare:
        other(project, spare)
        keys = (*SEEDED, "target=3", "model.retries=0", "model.fallbacks=[other]")
        status_, _, err = typed(*at(broken, *keys))
    assert status_ == 1
    assert "openai/tiny, openai/other: the server failed" in err
    with ModelServer(by_seed) as server:
        assert typed(*at(server, *keys))[0] == 0


def test_a_refused_key_stops_the_run_and_no_fallback_hides_it(typed: Typed, project: Path) -> None:
    """Money and keys are the user's business: no other model is asked."""
    with ModelServer([bad_key()]) as broken, ModelServer(by_seed) as spare:
        other(project, spare)
        status_, _, err = typed(*at(broken, *SEEDED, "target=3", "model.fallbacks=[other]"))
    assert status_ == 1
    assert "was refused" in err
    assert not spare.asked


# The cache of replies


def test_a_second_run_and_a_changed_filter_pay_for_nothing(typed: Typed, project: Path) -> None:
    """The same prompts have the same replies, from the cache; the summary counts them and no cost."""
    with ModelServer(by_seed) as server:
        assert typed(*at(server, *SEEDED, "target=10", "run_dir=first"))[0] == 0
        asked = len(server.asked)
        assert typed(*at(server, *SEEDED, "target=10", "run_dir=second"))[0] == 0
        assert len(server.asked) == asked
        changed = "+filters.ideas.word_count={minimum: 4, maximum: 150, field: instruction}"
        assert typed(*at(server, *SEEDED, "target=10", "run_dir=third", changed))[0] == 0
        assert len(server.asked) == asked
        assert typed(*at(server, *SEEDED, "target=10", "run_dir=fourth", "cache=off"))[0] == 0
        assert abs(len(server.asked) - 2 * asked) <= 16, "but for what was in flight at the end"
    assert data(project / "first") == data(project / "second") == data(project / "fourth")
    first, second = (summary(project / name)["stages"]["ideas"] for name in ("first", "second"))
    assert (first["cached"], second["cached"]) == (0, second["replies"])
    assert first["tokens"] > second["tokens"] == 0


def test_the_same_prompt_asked_again_in_a_run_gets_a_reply_of_its_own(typed: Typed, project: Path) -> None:
    """Where every prompt is the same, a run has as many replies, and the next one has the same in order."""
    (project / "seeds/tiny.jsonl").write_text((project / "seeds/tiny.jsonl").read_text().splitlines()[0])
    with ModelServer(by_number) as server:
        one = "pipeline.ideas.window=1"  # at a time
        assert typed(*at(server, "target=6", one, "run_dir=first"))[0] == 0
        asked = len(server.asked)
        assert asked == 6
        assert len({asked.prompt for asked in server.asked}) == 1
        assert typed(*at(server, "target=6", one, "run_dir=second"))[0] == 0
        assert len(server.asked) == asked
        assert typed(*at(server, "target=9", one, "run_dir=second"))[0] == 0
        assert len(server.asked) == 9, "after a resume it goes on with the seventh"
    texts = [row[3] for row in replies(project / "second")]
    assert texts == [f"Idea number {number}" for number in range(1, len(texts) + 1)]


def test_failures_are_never_cached(typed: Typed, project: Path) -> None:
    """What was refused, empty or without a choice is asked again by the next run."""

    def fails(asked: Asked) -> Answer:
        wrong = {1: too_long(), 2: refused(), 3: text(""), 4: text("Half", "content_filter")}
        return wrong.get(asked.number, by_seed(asked))

    keys = (*SEEDED, "target=8", "pipeline.ideas.window=1")
    with ModelServer(fails) as server:
        assert typed(*at(server, *keys, "run_dir=first"))[0] == 0
        asked = len(server.asked)
        assert typed(*at(server, *keys, "run_dir=second"))[0] == 0
    assert asked == 12
    assert len(server.asked) == asked + 4
    assert len(lines(project / "second/ideas.jsonl")) == 8


def test_another_model_or_another_server_has_replies_of_its_own(typed: Typed) -> None:
    """Everything that shapes a reply is in its key."""
    with ModelServer(by_seed) as server, ModelServer(by_seed) as elsewhere:
        keys = (*SEEDED, "target=4", "model.concurrency=1")
        assert typed(*at(server, *keys, "run_dir=a"))[0] == 0
        asked = len(server.asked)
        for place, key in enumerate(
            ("model.name=openai/large", "model.sampling.temperature=1", "model.mode=completion")
        ):
            before = len(server.asked)
            assert typed(*at(server, *keys, key, f"run_dir=b{place}"))[0] == 0
            assert len(server.asked) > before, key
        assert typed(*at(elsewhere, *keys, "run_dir=c"))[0] == 0
        assert len(elsewhere.asked) == asked


def test_a_cache_that_cannot_be_used_is_told_once_and_the_run_goes_on(typed: Typed, project: Path) -> None:
    """A file that is no database, and a folder where a file stands."""
    (project / "no.sqlite").write_text("This is no database, but long enough to be taken for one. " * 20)
    (project / "file").write_text("")
    for place, path in enumerate(("no.sqlite", "file/replies.sqlite")):
        with ModelServer(by_seed) as server:
            keys = (*SEEDED, "target=5", f"cache.path={project / path}", f"run_dir=run{place}")
            status_, _, err = typed(*at(server, *keys))
        assert status_ == 0, err
        assert err.count("the cache of replies cannot be used") == 1
        assert "cache=off" in err
        assert len(lines(project / f"run{place}/ideas.jsonl")) == 5
    assert (project / "no.sqlite").read_text().startswith("This is no database")


def _put(arguments: tuple[str, int]) -> int:
    """Store and find 300 replies, half of them those of all the other processes."""
    path, own = arguments
    config = CacheConfig.model_validate({"path": path})
    troubles: list[str] = []
    cache = Cache(config, Path(), troubles.append)
    found = 0
    for number in range(300):
        request = Request("s", number, f"Prompt {number}" if number % 2 else f"Prompt {number} of {own}")
        key = key_of("model", request)
        cache.put(key, Reply(f"Reply to {request.prompt}"))
        reply = cache.get(key)
        found += reply is not None and reply.text == f"Reply to {request.prompt}"
    cache.close()
    assert not troubles, troubles
    return found


def test_many_processes_use_it_at_once(project: Path) -> None:
    """Eight that begin at the same moment on a file that is not there yet: nothing is lost or refused."""
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        assert pool.map(_put, [(str(project / "shared.sqlite"), own) for own in range(8)]) == [300] * 8


def test_its_size_is_bounded_and_the_oldest_go_first(project: Path) -> None:
    """Twenty megabytes into five: the file stays near that, and what was used last is still there."""
    path = project / "small.sqlite"
    config = CacheConfig.model_validate({"path": str(path), "max_gb": 0.005})
    cache = Cache(config, project, print)
    keys = [key_of("model", Request("s", number, str(number))) for number in range(2000)]
    for number, key in enumerate(keys):
        cache.put(key, Reply(f"{number} " + "x" * 10_000))
    assert cache.get(keys[0]) is None
    assert cache.get(keys[-1]) is not None
    cache.close()
    assert path.stat().st_size < 9_000_000


# The budget


@pytest.mark.parametrize(
    ("budget", "spent"),
    [("requests=7", "7 requests sent"), ("tokens=120", "tokens spent"), ("usd=0.0012", "spent")],
)
def test_a_budget_stops_the_run_and_a_larger_one_goes_on(
    typed: Typed, project: Path, budget: str, spent: str
) -> None:
    """Exit status 3, a message, all that was received taken in; then the bytes of a run without a budget."""
    priced = ("model.price.input=10", "model.price.output=10")
    keys = (*SEEDED, "target=20", "model.concurrency=2", "cache=off", *priced)
    with ModelServer(by_seed) as server:
        status_, _, err = typed(*at(server, *keys, f"budget.{budget}"))
        assert status_ == 3, err
        assert f"budget.{budget} is reached" in err
        assert spent in err
        assert "larger budget" in err
        received = len(replies(project / "run"))
        assert received == len(server.asked)
        assert 0 < received < 20
        assert len(lines(project / "run/ideas.jsonl")) == received
        if budget == "requests=7":
            assert received == 7
        again, _, _ = typed(*at(server, *keys, f"budget.{budget}"))
        assert (again, len(server.asked)) == (3, received), "what was spent before counts"
        assert typed(*at(server, *keys))[0] == 0
        assert typed(*at(server, *keys, "run_dir=calm"))[0] == 0
    assert data(project / "run") == data(project / "calm")


def test_no_more_than_what_is_in_flight_goes_beyond_the_budget(typed: Typed, project: Path) -> None:
    """Each reply costs about 20 tokens: 16 in flight at most when 100 are reached."""
    with ModelServer(lambda asked: replace(by_seed(asked), delay=0.1)) as server:
        keys = (*SEEDED, "target=500", "budget.tokens=100", "cache=off")
        assert typed(*at(server, *keys))[0] == 3
    stage = summary(project / "run")["stages"]["ideas"]
    largest = max(len(row[3].split()) for row in replies(project / "run")) + 20
    assert 100 <= stage["tokens"] <= 100 + 16 * largest


def test_attempts_count_towards_the_requests(typed: Typed, project: Path) -> None:
    """A provider may bill what failed, so each attempt is counted."""
    with ModelServer([status(500)]) as server:
        keys = (*SEEDED, "target=5", "budget.requests=3", "model.concurrency=1", "model.retries=9")
        status_, _, err = typed(*at(server, *keys))
    assert status_ == 3, err
    assert len(server.asked) == 3


def test_cached_replies_cost_nothing_of_the_budget(typed: Typed) -> None:
    """A second run from the cache stays within any budget."""
    with ModelServer(by_seed) as server:
        assert typed(*at(server, *SEEDED, "target=10", "run_dir=a"))[0] == 0
        assert typed(*at(server, *SEEDED, "target=10", "run_dir=b", "budget.requests=1"))[0] == 0


# Several prompts as one request


def together(asked: Asked) -> Answer:
    """A choice for each prompt of a completion request; the same prompt gets the same."""
    prompts = asked.body["prompt"] if isinstance(asked.body["prompt"], list) else [asked.body["prompt"]]
    choices = [
        {"index": place, "text": f"Idea from {abs(hash_of(prompt))}", "finish_reason": "stop"}
        for place, prompt in enumerate(prompts)
    ]
    usage = {"prompt_tokens": 10 * len(prompts), "completion_tokens": 5 * len(prompts), "total_tokens": 0}
    return Answer(
        {
            "id": "x",
            "object": "text_completion",
            "created": 0,
            "model": "tiny",
            "choices": choices,
            "usage": usage,
        }
    )


def hash_of(prompt: str) -> int:
    """The same in every process, as `hash` is not."""
    return sum(place * ord(letter) for place, letter in enumerate(prompt, 1))


EIGHT = ("model.mode=completion", "model.prompts_per_request=8", "pipeline.ideas.window=32", "mix.examples=1")


def varied(project: Path) -> None:
    """Many seeds, so that prompts differ."""
    seed_file(project / "seeds/tiny.jsonl", 400)


def test_several_prompts_go_as_one_request_and_each_keeps_its_place(typed: Typed, project: Path) -> None:
    """The same bytes as one by one, with an eighth of the requests; tokens are shared out."""
    varied(project)
    with ModelServer(together) as server:
        keys = ("target=60", "model.mode=completion", "pipeline.ideas.window=32", "cache=off")
        assert typed(*at(server, *keys, "run_dir=one"))[0] == 0
        one = len(server.asked)
        assert typed(*at(server, *keys, *EIGHT, "run_dir=eight"))[0] == 0
    sizes = [
        len(asked.body["prompt"]) for asked in server.asked[one:] if isinstance(asked.body["prompt"], list)
    ]
    assert max(sizes) == 8
    assert sum(size == 8 for size in sizes) >= 5
    assert len(server.asked) - one < one / 4
    assert data(project / "one") == data(project / "eight")
    spent = [summary(project / name)["stages"]["ideas"]["tokens"] for name in ("one", "eight")]
    assert spent[0] == 15 * one
    assert abs(spent[1] - 15 * len(replies(project / "eight"))) <= len(sizes) * 8


def test_each_of_several_has_its_own_cache_entry(typed: Typed, project: Path) -> None:
    """What was sent as one request is found one by one."""
    varied(project)
    with ModelServer(together) as server:
        assert typed(*at(server, *EIGHT, "target=30", "run_dir=eight"))[0] == 0
        asked = len(server.asked)
        keys = ("target=30", "model.mode=completion", "pipeline.ideas.window=32", "run_dir=one")
        assert typed(*at(server, *keys))[0] == 0
        assert len(server.asked) <= asked + 10, "but for the last few, which the target cut off"
    assert data(project / "one") == data(project / "eight")


def test_one_of_several_that_is_refused_keeps_its_fate_to_itself(typed: Typed, project: Path) -> None:
    """The request is refused as a whole, so each is asked alone: one is rejected, the others are there."""
    varied(project)

    def picky(asked: Asked) -> Answer:
        return too_long() if "number 7 " in str(asked.body["prompt"]) else together(asked)

    (project / "seeds/tiny.jsonl").write_text(
        "".join((project / "seeds/tiny.jsonl").read_text().splitlines(True)[:9])
    )
    with ModelServer(picky) as server:
        status_, _, err = typed(*at(server, *EIGHT, "target=8", "cache=off", "pipeline.ideas.patience=100"))
    assert status_ == 0, err
    stage = summary(project / "run")["stages"]["ideas"]
    rejected = Counter(row["check"] for row in lines(project / "run/rejected.jsonl"))
    assert stage["accepted"] == 8
    assert rejected["context"] > 0
    alone = [asked for asked in server.asked if not isinstance(asked.body["prompt"], list)]
    assert any("number 7 " in asked.body["prompt"] for asked in alone)


def test_one_of_several_without_a_choice_is_asked_again(typed: Typed, project: Path) -> None:
    """A server that leaves out the last choice of each list."""
    varied(project)

    def forgets(asked: Asked) -> Answer:
        answer = together(asked)
        assert isinstance(answer.body, dict)
        if len(answer.body["choices"]) > 1:
            answer.body["choices"].pop()
        return answer

    with ModelServer(forgets) as server, ModelServer(together) as whole:
        assert typed(*at(server, *EIGHT, "target=20", "cache=off", "run_dir=a"))[0] == 0
        assert typed(*at(whole, *EIGHT, "target=20", "cache=off", "run_dir=b"))[0] == 0
    assert data(project / "a") == data(project / "b")


# Replies that are wrong as a whole


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        (text(""), "empty_reply", "empty"),
        (text("  \n "), "empty_reply", "empty"),
        (no_choices(), "no_choices", "no choices"),
        (text("Half of an id", "content_filter"), "content_filter", "content filter"),
        (text("word " * 210_000), "oversized", "1,050,000 characters"),
        (text("An idea\n" + "The same line.\n" * 1000), "repeated_line", "1000 times"),
        (text("Cut off in the mid", "length"), "cut", "max_tokens"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_faulty_reply_is_counted_under_its_own_name(
    typed: Typed, project: Path, wrong: Answer, check: str, words: str
) -> None:
    """It is taken in and rejected with the reason, the run goes on, and the journal has all of it."""

    def script(asked: Asked) -> Answer:
        return (
            wrong
            if asked.body["messages"][-1]["content"].endswith("number 3 about a violin you know.")
            else by_seed(asked)
        )

    with ModelServer(script) as server:
        status_, _, err = typed(*at(server, *SEEDED, "target=30", "model.retries=1"))
    assert status_ == 0, err
    rejected = lines(project / "run/rejected.jsonl")
    assert {row["check"] for row in rejected} == {check}
    assert words in rejected[0]["reason"]
    assert summary(project / "run")["stages"]["ideas"]["rejected"] == {check: len(rejected)}
    if check == "oversized":
        assert len(rejected[0]["record"]["reply"]) == 2_000
        assert max(len(row[3]) for row in replies(project / "run")) == 1_050_000


def test_what_looks_repetitive_and_is_not_passes(typed: Typed, project: Path) -> None:
    """Code with many closing brackets and tabs is no faulty reply."""
    code = "Write a parser.\n" + "\n".join(f"if x{n}:\n    {{\n    }}" for n in range(300)) + "\tend"

    with ModelServer(lambda asked: text(f"{asked.body['seed']} {code}")) as server:
        assert typed(*at(server, *SEEDED, "target=3"))[0] == 0
    assert not lines(project / "run/rejected.jsonl")


def test_several_choices_are_all_taken_in_and_missing_ones_counted(typed: Typed, project: Path) -> None:
    """`n` asks for several; a provider that gives fewer is noticed."""

    def two(asked: Asked) -> Answer:
        texts = [f"Idea {place} of {asked.body['seed']}" for place in range(2)]
        choices = [
            {"index": place, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
            for place, said in enumerate(texts)
        ]
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        return Answer(
            {
                "id": "x",
                "object": "chat.completion",
                "created": 0,
                "model": "tiny",
                "choices": choices,
                "usage": usage,
            }
        )

    with ModelServer(two) as server:
        assert typed(*at(server, *SEEDED, "target=10", "model.sampling.n=3", "run_dir=run"))[0] == 0
        stage = summary(project / "run")["stages"]["ideas"]
        assert stage["accepted"] == 10
        assert stage["rejected"] == {"missing_choice": 5}
        reasons = {row["reason"] for row in lines(project / "run/rejected.jsonl")}
        assert reasons == {"1 of 3 choices did not come back"}
        again = typed(*at(server, *SEEDED, "target=10", "model.sampling.n=3", "run_dir=again"))
    assert again[0] == 0
    assert data(project / "run") == data(project / "again"), "from the cache, both choices of each"


# What is left to read afterwards


def test_the_events_tell_what_happened_and_no_secret(typed: Typed, project: Path) -> None:
    """One JSON line an event, with no prompt, no reply and no key among them."""

    def script(asked: Asked) -> Answer:
        return status(500) if asked.number == 2 else by_seed(asked)

    with ModelServer(script) as server:
        assert typed(*at(server, *SEEDED, "target=10", "model.retries=2"))[0] == 0
    told = lines(project / "run/events.jsonl")
    assert {"run", "stage", "request", "retry", "checkpoint"} <= {event["event"] for event in told}
    assert all(event["at"].startswith("20") for event in told)
    requests = events(project / "run", "request")
    assert len(requests) == len(replies(project / "run"))
    assert all(event["model"] == "openai/tiny" and event["attempts"] >= 1 for event in requests)
    raw = (project / "run/events.jsonl").read_text()
    assert KEY not in raw
    assert "Another one like" not in raw
    assert "Idea about" not in raw


def test_the_last_checkpoint_tells_what_the_summary_has(typed: Typed, project: Path) -> None:
    """Also after a run has gone on: its counts begin with those of before."""
    with ModelServer(by_seed) as server:
        for target in (5, 12):
            keys = (f"target={target}", "model.price={input: 1000, output: 2000}")
            assert typed(*at(server, *SEEDED, *keys))[0] == 0
            stage = json.loads((project / "run/summary.json").read_text())["stages"]["ideas"]
            last = events(project / "run", "checkpoint")[-1]
            assert (last["replies"], last["accepted"]) == (stage["replies"], target)
            assert last["cost_usd"] == pytest.approx(stage["cost_usd"]) and last["cost_usd"] > 0


def test_a_journal_of_a_newer_version_is_refused_and_kept(typed: Typed, project: Path) -> None:
    """The message says which version it needs; no byte of it changes."""
    with ModelServer(by_seed) as server:
        assert typed(*at(server, *SEEDED, "target=3"))[0] == 0
        journal = sqlite3.connect(project / "run/run.sqlite")
        newer = ("99", checksum("meta", ("format", "99")))
        journal.execute("UPDATE meta SET value = ?, sum = ? WHERE key = 'format'", newer)
        journal.commit()
        journal.close()
        before = (project / "run/run.sqlite").read_bytes()
        status_, _, err = typed(*at(server, *SEEDED, "target=5"))
    assert status_ == 1
    assert "format 99" in err
    assert "Nothing was changed" in err
    assert (project / "run/run.sqlite").read_bytes() == before


@pytest.mark.parametrize("harm", ["pages", "header", "cut"])
def test_a_damaged_journal_is_told_kept_and_read_as_far_as_it_goes(
    typed: Typed, project: Path, harm: str
) -> None:
    """The message says what can be read; with repair=true the run goes on from it to the same bytes."""
    keys = (*SEEDED, "target=150", "cache=off")
    with ModelServer(by_seed) as server:
        assert typed(*at(server, *keys, "run_dir=calm"))[0] == 0
        assert typed(*at(server, *keys))[0] == 0
        asked = len(server.asked)
        file = project / "run/run.sqlite"
        size = file.stat().st_size
        with file.open("r+b") as stream:
            if harm == "cut":
                stream.truncate(size // 2)
            else:
                stream.seek(0 if harm == "header" else size // 2 // 4096 * 4096)
                stream.write(os.urandom(4096))
        damaged = file.read_bytes()
        status_, out, err = typed(*at(server, *keys))
        assert status_ == 1
        assert "is damaged" in err
        assert "repair=true" in err
        assert "Traceback" not in out + err
        assert file.read_bytes() == damaged
        status_, _, err = typed(*at(server, *keys, "repair=true"))
        assert status_ == 0, err
    assert (project / "run/run.damaged-1.sqlite").read_bytes() == damaged
    assert data(project / "run") == data(project / "calm")
    if harm == "pages":
        assert len(server.asked) < asked + 60, "most replies were read, and not paid for again"


def test_a_full_cache_folder_and_a_dying_process_leave_a_usable_cache(project: Path) -> None:
    """Killed in the middle of writing, the cache still opens and holds what was stored."""
    tests = [str(folder) for folder in Path(__file__).parents[:2]]
    code = (
        "import sys; sys.path[:0] = {tests!r}; from test_client import _put; "
        "import os, threading; threading.Timer(1.0, lambda: os.kill(os.getpid(), 9)).start()\n"
        "while True: _put(({path!r}, 0))"
    ).format(tests=tests, path=str(project / "killed.sqlite"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert _put((str(project / "killed.sqlite"), 1)) == 300


def test_no_key_is_in_any_file_of_a_run(typed: Typed, project: Path) -> None:
    """Not in the journal, the events, the composed recipe, nor in the cache."""
    with ModelServer(by_seed) as server:
        assert typed(*at(server, *SEEDED, "target=4"))[0] == 0
    for path in project.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    assert json.loads((project / "run/summary.json").read_text())["finished"]
