"""Batches: the same data at half the price, each request paid for once, whatever happens in between."""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import children
import pytest
from batch_server import BROKEN, CUT, KEY, NAMES, REFUSED, BatchServer
from conftest import Typed
from killing import data, start
from results import done

from selfinstruct.journal.store import Journal
from selfinstruct.llm.batch.possible import LIMITS, Limits
from selfinstruct.llm.batch.stored import open_batches

COUNT = 36
RECIPE = """\
# Questions about the rows of a file, one request each.
defaults:
  - override /model: many
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: null
seeds: {path: rows.jsonl}
mix: {examples: 0, generated: 0}
pipeline:
  items: {kind: rows, path: rows.jsonl}
  answers: {kind: expand}
prompts:
  answers:
    style: chat
    template: "Say something about {{ instruction }}"
    sampling: {max_tokens: 50}
    parse: {kind: text, field: output}
schema: {items: {}, answers: {}}
"""

MODEL = """\
# The model that the tests name.
kind: litellm
name: openai/gpt-4o-mini
mode: chat
api_key_env: TINY_KEY
concurrency: 8
"""


@pytest.fixture
def many(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipe `many`; batches are looked at without much waiting."""
    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("selfinstruct.llm.batch.follow.FIRST_LOOK", 0.02)
    monkeypatch.setattr("selfinstruct.llm.batch.follow.LAST_LOOK", 0.1)
    monkeypatch.setattr("selfinstruct.llm.batch.outbox.QUIET", 0.1)
    monkeypatch.setattr("selfinstruct.llm.waiting.FIRST_WAIT", 0.02)
    write_many(project)
    return project


def write_many(project: Path) -> None:
    """Write the recipe, its model and its rows."""
    for folder in ("recipes", "conf/model"):
        (project / folder).mkdir(parents=True, exist_ok=True)
    (project / "conf/model/many.yaml").write_text(MODEL, encoding="utf-8")
    (project / "recipes/many.yaml").write_text(RECIPE, encoding="utf-8")
    rows = [{"instruction": f"harbour number {number}"} for number in range(COUNT)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (project / "rows.jsonl").write_text(text, encoding="utf-8")


def at(
    server: BatchServer, *keys: str, run: str = "run", batch: bool = True, recipe: str = "many"
) -> list[str]:
    """The arguments of a run that asks this server in batches; its replies are in no cache."""
    fixed = [f"model.name={NAMES[server.kind]}", f"model.api_base={server.base}", "cache=off"]
    return [
        f"recipe={recipe}",
        "model=many",
        f"run_dir={run}",
        f"model.batch={str(batch).lower()}",
        *fixed,
        *keys,
    ]


def sent(project: Path, run: str = "run") -> int:
    """How many requests count as sent."""
    with closing(Journal(project / run / "run.sqlite")) as journal:
        return journal.spent().requests


def summary(project: Path, run: str = "run") -> dict[str, Any]:
    """The summary of a run."""
    found: dict[str, Any] = json.loads((project / run / "summary.json").read_text())
    return found


@pytest.mark.parametrize("kind", NAMES)
def test_a_run_in_batches_has_the_bytes_of_a_run_without(many: Path, typed: Typed, kind: str) -> None:
    """With each provider, for half the money."""
    with BatchServer(kind) as server:
        said = done(typed, *at(server))
        assert server.counts == [COUNT] and server.at_once == []
        done(typed, *at(server, run="direct", batch=False))
        assert len(server.at_once) == COUNT
    assert data(many / "run") == data(many / "direct")
    assert len((many / "run/answers.jsonl").read_text().splitlines()) == COUNT
    assert f"of {COUNT} done" in said and "ends by" in said
    costs = [summary(many, run)["stages"]["answers"]["cost_usd"] for run in ("run", "direct")]
    assert costs[0] == pytest.approx(costs[1] / 2)


def fate_of(words: dict[str, str], batch: int | None = None) -> Any:
    """How the lines end whose prompts end so, in one batch or in all."""

    def fate(prompt: str, made: int) -> str | None:
        if batch is not None and made != batch:
            return None
        return next((how for end, how in words.items() if prompt.endswith(f"number {end}")), None)

    return fate


@pytest.mark.parametrize("kind", NAMES)
def test_what_an_ended_batch_did_not_answer_is_asked_again_once(many: Path, typed: Typed, kind: str) -> None:
    """What came is taken in; the rest is in a second batch, and the data are the same in the end."""
    fate = fate_of({"3": CUT, "7": BROKEN, "30": CUT}, batch=0)
    with BatchServer(kind, fate=fate) as server:
        said = done(typed, *at(server))
        assert server.counts == [COUNT, 3]
    with BatchServer(kind) as server:
        done(typed, *at(server, run="whole"))
    assert data(many / "run") == data(many / "whole")
    assert "no reply to 3 of 36 requests" in said
    assert sent(many) == COUNT + 3


@pytest.mark.parametrize("state", ["expired", "cancelled"])
def test_expired_and_cancelled_batches_give_what_they_have(many: Path, typed: Typed, state: str) -> None:
    """Also if nothing came."""
    with BatchServer("openai", states=("in_progress", state), fate=fate_of({"3": CUT}, batch=0)) as server:
        done(typed, *at(server))
        assert server.counts == [COUNT, 1]


def test_a_request_that_two_batches_do_not_answer_is_given_up(many: Path, typed: Typed) -> None:
    """The run stops as after failed attempts; all other replies are kept, and the next start asks only it."""
    with BatchServer("openai", fate=fate_of({"3": BROKEN})) as server:
        said = done(typed, *at(server), status=1)
        assert server.counts == [COUNT, 1]
        assert "answers request 4 was given up after 2 attempts" in said
        server._fate = lambda prompt, batch: None
        done(typed, *at(server))
        assert server.counts == [COUNT, 1, 1]
    assert len((many / "run/answers.jsonl").read_text().splitlines()) == COUNT


def test_a_fallback_gets_what_two_batches_do_not_answer(many: Path, typed: Typed) -> None:
    """It is asked at once, if it has no batches."""
    with BatchServer("openai", fate=fate_of({"3": BROKEN})) as server:
        done(typed, *at(server, "model.fallbacks=[{batch: false}]"))
        assert server.counts == [COUNT, 1] and server.at_once == ["Say something about harbour number 3"]


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_refused_line_is_the_request_s_own(many: Path, typed: Typed, kind: str) -> None:
    """As at once: its record is rejected, and the run goes on."""
    with BatchServer(kind, fate=fate_of({"3": REFUSED})) as server:
        done(typed, *at(server))
        done(typed, *at(server, run="direct", batch=False))
        assert server.counts == [COUNT]
    assert data(many / "run") == data(many / "direct")
    assert len((many / "run/answers.jsonl").read_text().splitlines()) == COUNT - 1


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
def test_a_batch_refused_as_a_whole_stops_the_run_with_the_provider_s_words(
    many: Path, typed: Typed, kind: str
) -> None:
    """Nothing is left of it, so the next start makes another."""
    words = "The model gpt-4o-mini is not allowed in batches of this account"
    with BatchServer(kind, wrong=words) as server:
        said = done(typed, *at(server), status=1)
        assert words in said
        server._wrong = ""
        done(typed, *at(server))
    assert len((many / "run/answers.jsonl").read_text().splitlines()) == COUNT


def test_a_server_without_batches(many: Path, typed: Typed) -> None:
    """What it says, and the remedy."""
    with BatchServer("anthropic") as server:
        own = ["model.name=openai/gpt-4o-mini", f"model.api_base={server.base}/v1"]
        said = done(typed, "recipe=many", "run_dir=run", "model.batch=true", "cache=off", *own, status=1)
    assert "if its server has no batches, write model.batch=false" in said


def test_completed_may_come_before_the_results(many: Path, typed: Typed) -> None:
    """They are waited for."""
    for kind in ("openai", "gemini"):
        with BatchServer(kind, late=4) as server:
            said = done(typed, *at(server, run=kind))
        assert "its results are not ready yet" in said
        assert len((many / kind / "answers.jsonl").read_text().splitlines()) == COUNT


def test_batches_are_divided_by_lines_and_by_bytes(
    many: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And by the user's own limit, which is how many are in memory too."""
    with BatchServer("openai") as server:
        done(typed, *at(server, "model.batch_size=10"))
        assert server.counts == [10, 10, 10, 6]
    limits = dict.fromkeys(("openai", "anthropic"), Limits(1000, 2600))
    monkeypatch.setattr("selfinstruct.llm.batch.possible.LIMITS", limits)
    for kind in limits:
        with BatchServer(kind) as server:
            done(typed, *at(server, run=kind))
            assert len(server.made) > 1 and sum(server.counts) == COUNT and server.repeats == 0
            sizes = [len(content) for id, content in server.files.items() if id.startswith("file-")]
            assert all(size <= 2600 for size in sizes)


def test_several_batches_are_open_at_once(many: Path, typed: Typed) -> None:
    """The stage does not wait a day for each of them in turn; but the memory must hold all that are open."""
    with BatchServer("openai") as server:
        looked = server.held["GET", "batch_1"] = threading.Event()  # the first one is not answered
        process = child(many, *at(server, "model.batch_size=6"))
        until(lambda: len(server.made) == 4, process)
        until(lambda: all(one.looks for one in server.made[1:]), process)
        time.sleep(0.5)
        assert server.counts == [6] * 4
        looked.set()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert server.counts == [6] * 6 and server.repeats == 0
    assert data(many / "run") == whole(many, typed, "openai")


# A full queue


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses for a full queue are short."""
    monkeypatch.setattr("selfinstruct.llm.batch.full.FIRST_PAUSE", 0.05)


@pytest.mark.parametrize("kind", NAMES)
def test_a_queue_full_of_others_is_waited_for(many: Path, impatient: None, typed: Typed, kind: str) -> None:
    """In the words of each provider; each request counts and is paid for once, and the data are the same."""
    with BatchServer(kind, room=2 * COUNT) as server:
        server.others = lambda full: 2 * COUNT if full < 5 else 0
        said = done(typed, *at(server))
        assert sum(len(one.lines) for one in server.accepted) == COUNT and server.repeats == 0
    assert "answers: the provider's queue is full (" in said
    assert "a batch of up to 18 requests is tried in" in said and "the run stops" in said
    assert data(many / "run") == whole(many, typed, kind)
    assert sent(many) == COUNT


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_batches_become_as_small_as_the_queue(many: Path, impatient: None, typed: Typed, kind: str) -> None:
    """While a batch of the run works, the next one waits until that one is over."""
    states = ("validating", *["in_progress"] * 15, "completed")
    with BatchServer(kind, states, room=10) as server:
        said = done(typed, *at(server))
        counts = [len(one.lines) for one in server.accepted]
        assert sum(counts) == COUNT and max(counts) <= 10 and server.repeats == 0
        assert counts[0] == COUNT // 4
    assert "the next batch is sent when the one that is open is over" in said
    assert data(many / "run") == whole(many, typed, kind)


@pytest.mark.parametrize("kind", ["openai", "gemini"])
def test_a_queue_that_stays_full_stops_the_run(
    many: Path, impatient: None, typed: Typed, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """After a day or two, in which every batch of others is over; the same command goes on."""
    hour = Limits(1000, 1_000_000, hours=1 / 3600)
    with BatchServer(kind, room=COUNT) as server:
        server.others = lambda full: COUNT if server.accepted else 0
        with monkeypatch.context() as patch:
            patch.setitem(LIMITS, kind, hour)
            said = done(typed, *at(server, "model.batch_size=6"), status=1)
        words = "Enqueued token limit reached" if kind == "openai" else "You exceeded your current quota"
        assert "the provider's queue has been full for" in said and words in said
        assert [len(one.lines) for one in server.accepted] == [6] and sent(many) == 6
        server.others = lambda full: 0
        done(typed, *at(server))
        assert [len(one.lines) for one in server.accepted] == [6, COUNT - 6]
    assert sent(many) == COUNT


@pytest.mark.parametrize(("how", "kind"), [("INT", "openai"), ("INT", "anthropic"), ("KILL", "openai")])
def test_a_process_that_ends_while_the_queue_is_full(
    many: Path, impatient: None, typed: Typed, how: str, kind: str
) -> None:
    """Ctrl-C ends the pause at once, and after a kill the refused batch is recognized."""
    with BatchServer(kind, room=COUNT) as server:
        server.others = lambda full: COUNT
        process = child(many, *at(server))
        refused = server.kind == "anthropic" or how == "KILL"  # as soon as it is sent
        until(lambda: server.full and (refused or server.made[0].looks), process)
        if how == "KILL":
            process.kill()
            process.wait()
        else:
            time.sleep(0.3)  # so that it reads the answer
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=15)
            assert process.returncode == 130 and "goes on at the provider" not in err
        server.others = lambda full: 0
        done(typed, *at(server))
        counts = [len(one.lines) for one in server.accepted]
        assert counts == ([COUNT // 2, COUNT // 2] if how == "KILL" else [COUNT])
    assert data(many / "run") == whole(many, typed, kind)
    assert sent(many) == COUNT


def test_a_larger_open_batch_does_not_wait_for_itself(many: Path, impatient: None, typed: Typed) -> None:
    """With batches smaller than the one that is picked up, all of its replies are still asked for."""
    states = ("in_progress",) * 500
    with BatchServer("openai", states, fate=fate_of({"0": CUT}, batch=0), room=COUNT) as server:
        process = child(many, *at(server))
        until(lambda: server.made and server.made[0].looks, process)
        process.kill()
        process.wait()
        server.made[0].states = ["completed"]
        server._states = ("in_progress", "completed")
        server.others = lambda full: 0 if full else COUNT  # so that the second batch waits for the first
        done(typed, *at(server, "model.batch_size=5"))
        assert [len(one.lines) for one in server.accepted] == [COUNT, 1]
    assert sent(many) == COUNT + 1


# Budget


def test_a_batch_has_no_more_than_the_budget_allows(many: Path, typed: Typed) -> None:
    """Each batch holds the most that it may cost; when its replies are here, there is room for more."""
    price = "model.price={input: 0, output: 1.0e6}"  # half a dollar a token; 10 tokens come, 50 may
    with BatchServer("openai") as server:
        said = done(typed, *at(server, price, "budget.usd=150"), status=3)
        assert server.counts[0] == 6 and sum(server.counts) < COUNT
        assert "budget.usd=150 does not allow" in said
        assert "the budget allows 6 of 36 requests in this batch, at the most that they may cost" in said
        spent = summary(many)["stages"]["answers"]["cost_usd"]
        assert 125 < spent <= 150 and spent == 5 * sum(server.counts)
        done(typed, *at(server, price, "budget.usd=800"))
        assert server.repeats == 0


def test_requests_are_counted_before_a_batch_is_sent(many: Path, typed: Typed) -> None:
    """A batch is cut to what budget.requests allows."""
    with BatchServer("openai") as server:
        said = done(typed, *at(server, "budget.requests=20"), status=3)
        assert server.counts == [20]
        assert "budget.requests=20 is reached" in said


# Interruptions


def child(many: Path, *arguments: str) -> children.Process:
    """The run as a process of its own."""
    return start(many, *arguments)


def until(condition: Any, process: children.Process) -> None:
    """Wait for something that a process does."""
    moment = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < moment
        time.sleep(0.01)


def whole(many: Path, typed: Typed, kind: str) -> dict[str, bytes]:
    """The data of a run that nothing interrupted."""
    with BatchServer(kind) as server:
        done(typed, *at(server, run="whole"))
    return data(many / "whole")


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
def test_a_batch_is_picked_up_after_a_kill(many: Path, typed: Typed, kind: str) -> None:
    """By another process; nothing is paid for twice, and the data are the same."""
    with BatchServer(kind, states=("in_progress",) * 500) as server:
        process = child(many, *at(server))
        until(lambda: server.made and server.made[0].looks, process)
        process.kill()
        process.wait()
        server.made[0].states = ["completed"]
        said = done(typed, *at(server))
        assert server.counts == [COUNT]
    assert f"picking up batch {server.made[0].id}, made" in said and f"ago with {COUNT} requests" in said
    assert data(many / "run") == whole(many, typed, kind)
    assert sent(many) == COUNT


@pytest.mark.parametrize("kind", NAMES)
def test_a_kill_between_making_a_batch_and_noting_its_id(many: Path, typed: Typed, kind: str) -> None:
    """The batch is found at the provider, and not made again."""
    part = ":batchGenerateContent" if kind == "gemini" else "/batches"
    with BatchServer(kind) as server:
        server.held["POST", part] = threading.Event()
        process = child(many, *at(server))
        until(lambda: server.made, process)
        process.kill()
        process.wait()
        server.held.pop(("POST", part)).set()
        said = done(typed, *at(server))
        assert server.counts == [COUNT]
    assert "was made before the run stopped" in said
    assert data(many / "run") == whole(many, typed, kind)


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_kill_before_a_batch_is_made(many: Path, typed: Typed, kind: str) -> None:
    """It is made then, and its requests count once."""
    part = "/files" if kind == "openai" else "/batches"
    with BatchServer(kind) as server:
        other = at(server)
        server.held["POST", part] = threading.Event()
        process = child(many, *other)
        until(lambda: server.count("POST", part), process)
        process.kill()
        process.wait()
        server.held.pop(("POST", part)).set()
        server.made.clear()
        done(typed, *other, f"budget.requests={COUNT}")
        assert server.counts == [COUNT]
    assert data(many / "run") == whole(many, typed, kind)


@pytest.mark.parametrize(("kind", "part"), [("openai", "/content"), ("anthropic", "/results")])
def test_a_kill_during_the_download(many: Path, typed: Typed, kind: str, part: str) -> None:
    """The results are fetched again, and nothing is asked again."""
    with BatchServer(kind) as server:
        server.held["GET", part] = threading.Event()
        process = child(many, *at(server))
        until(lambda: server.count("GET", part), process)
        process.kill()
        process.wait()
        server.held.pop(("GET", part)).set()
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == whole(many, typed, kind)


def test_kills_while_replies_are_taken_in(many: Path, typed: Typed) -> None:
    """Some replies are stored then, and some are not; the batch is read again for the rest."""
    with BatchServer("openai") as server:
        for _ in range(4):
            process = child(many, *at(server))
            seen = server.count("GET", "/content")
            until(lambda seen=seen: server.count("GET", "/content") > seen, process)
            time.sleep(0.02)
            process.kill()
            process.wait()
        done(typed, *at(server))
        assert server.counts == [COUNT] and server.repeats == 0
    assert data(many / "run") == whole(many, typed, "openai")


def test_ctrl_c_says_that_the_batch_goes_on(many: Path, typed: Typed) -> None:
    """It does not wait for the batch; with model.batch=false nothing is paid for twice by accident."""
    with BatchServer("openai", states=("in_progress",) * 500) as server:
        process = child(many, *at(server))
        until(lambda: server.made and server.made[0].looks, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert f"batch batch_1, with {COUNT} requests, goes on at the provider" in err
        shown = " ".join(done(typed, "show", "run").split())
        assert f"batch batch_1, with {COUNT} requests of answers, is open at the provider" in shown
        said = done(typed, *at(server, batch=False), status=1)
        assert "is open at the provider" in said and "model.batch=true" in said and server.at_once == []
        server.made[0].states = ["completed"]
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == whole(many, typed, "openai")


def test_an_answer_that_gets_lost_makes_no_second_batch(many: Path, typed: Typed) -> None:
    """The same for an upload, a look and the results: each is tried again."""
    for kind, gone in {
        "openai": [("POST", "/files"), ("POST", "/batches"), ("GET", "/batches/"), ("GET", "/content")],
        "anthropic": [("POST", "/batches"), ("GET", "/batches/"), ("GET", "/results")],
        "gemini": [("POST", "/upload"), ("POST", ":batch"), ("GET", "/batches/"), ("GET", "/download")],
    }.items():
        with BatchServer(kind) as server:
            server.gone = list(gone)
            done(typed, *at(server, run=kind))
            assert server.counts == [COUNT], kind
            assert server.gone == []


@pytest.mark.parametrize("hours", [1, -1])
def test_a_batch_that_the_provider_does_not_know(many: Path, typed: Typed, hours: int) -> None:
    """The run stops, and says how to ask again, which costs again; also if a clock was wrong then."""
    with BatchServer("openai", states=("in_progress",) * 500) as server:
        process = child(many, *at(server))
        until(lambda: server.made and server.made[0].looks, process)
        process.kill()
        process.wait()
        server.made[0].id = "deleted"
        aged(many, hours)
        said = done(typed, *at(server), status=1)
        assert "does not have the batch batch_1 any more; it had 36 requests of answers" in said
        assert "model.batch_lost=ask_again" in said and len(server.made) == 1
        server._states = ("completed",)
        done(typed, *at(server, "model.batch_lost=ask_again"))
        assert server.counts == [COUNT, COUNT]
    assert len((many / "run/answers.jsonl").read_text().splitlines()) == COUNT


def aged(many: Path, hours: int) -> None:
    """Make the batches in a journal older."""
    with closing(Journal(many / "run/run.sqlite")) as journal:
        for batch in open_batches(journal):
            batch.made -= 3600 * hours
            batch.to(journal)


def test_a_generation_of_a_bootstrap_stage_is_a_batch(tiny: None, many: Path, typed: Typed) -> None:
    """With the same data as without, also if a batch is picked up."""
    keys = ("+pipeline.ideas.batched=true", "pipeline.ideas.window=8", "target=20")
    with BatchServer("openai", states=("in_progress",) * 3 + ("completed",)) as server:
        process = child(many, *at(server, *keys, recipe="tiny"))
        until(lambda: server.made and server.made[0].looks, process)
        process.kill()
        process.wait()
        done(typed, *at(server, *keys, recipe="tiny"))
        assert server.counts == [8, 8, 8]
        done(typed, *at(server, *keys, recipe="tiny", run="direct", batch=False))
    assert data(many / "run") == data(many / "direct")


# Planning


def test_the_plan_has_batch_prices(many: Path, typed: Typed) -> None:
    """Those of the list, or half of the user's own."""
    plan = done(typed, "check", "recipe=many", "model.batch=true")
    assert "$0.07 sent" in plan and "$0.30 received per million tokens, at batch prices" in plan
    assert "in batches of up to 50,000" in plan
    own = done(typed, "check", "recipe=many", "model.batch=true", "model.price={input: 4, output: 8}")
    assert "$2.00 sent, $4.00 received per million tokens, at batch prices" in own


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            ["model.name=mistral/mistral-small-latest"],
            ["model.batch: the batches of mistral", "anthropic, azure"],
        ),
        (["model.name=vertex_ai/gemini-2.5-flash"], ["model.batch:", "cloud storage", "gemini/"]),
        (["model=local"], ["model.batch: a model of kind local is not asked in batches"]),
        (["model.name=gemini/gemini-2.5-flash", "model.mode=completion"], ["model.mode: ", "take only chat"]),
        (["model.transport=litellm"], ["model.transport: LiteLLM's call asks at once"]),
        (["model.prompts_per_request=2"], ["model.prompts_per_request: is 2, but a line"]),
        (["recipe=chat"], ["model.batch: the prompts of instructions show", "instructions.batched=true"]),
        (["recipe=conversations"], ["each message of conversations waits", "model={batch: false}"]),
        (["model.sampling.service_tier=flex"], ["model.sampling.service_tier: is for requests that are not"]),
    ],
)
def test_check_says_what_cannot_be_asked_in_batches(
    many: Path, typed: Typed, keys: list[str], words: list[str]
) -> None:
    """With the remedy, before anything is sent."""
    recipe = ["recipe=many"] if not any(key.startswith("recipe=") for key in keys) else ["model=many"]
    said = done(typed, "check", *recipe, *keys, "model.batch=true", status=1)
    for each in words:
        assert each in said
