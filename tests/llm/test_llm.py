"""Models over HTTP: what is sent, what is made of each answer and failure, and what is left behind.

Real requests to a real server on this machine (`server.ModelServer`). What LiteLLM does differs by provider
and mode, so most failures are tried in all five ways of asking that a user has for a server of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from threading import Barrier, BrokenBarrierError
from typing import Any, Protocol

import pytest
from conftest import Typed, lines
from results import summary
from server import (
    CHAT,
    COMPLETION,
    Answer,
    Asked,
    ModelServer,
    Script,
    bad_key,
    dropped,
    failure,
    hang,
    no_choices,
    no_json,
    no_money,
    refused,
    status,
    text,
    too_long,
)
from tiny_recipe import KEY, TINY, WAYS, at, by_number

import selfinstruct
from selfinstruct.config import BudgetConfig, ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.journal.store import Journal
from selfinstruct.llm.budget import Budget
from selfinstruct.llm.cache import Cache
from selfinstruct.llm.client import Client
from selfinstruct.llm.endpoint import Endpoint, RunContext
from selfinstruct.monitor.events import Events
from selfinstruct.monitor.progress import Progress
from selfinstruct.records import Reply, Request, Spent

pytestmark = pytest.mark.usefixtures("tiny")


def paper(asked: Asked) -> Answer:
    """Answers the prompts of recipe paper."""
    if asked.prompt.endswith("\n9."):
        n = asked.number
        return text(f" Explain w{n}a w{n}b w{n}c w{n}d.")
    return text(" No" if asked.prompt.endswith("labels?") else "Output: It is so.")


def attempts(run: Path, stage: str = "ideas") -> list[int]:
    """The attempts that each stored reply took."""
    journal = Journal(run / "run.sqlite")
    try:
        replies = [journal.reply(stage, number) for number in range(1, 100)]
        return [reply.attempts for reply in replies if reply]
    finally:
        journal.close()


def child(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, with every warning shown."""
    env = {**os.environ, "PYTHONWARNINGS": "default"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=project, env=env, text=True, capture_output=True, check=False
    )


@dataclass
class Outcome:
    """What became of the requests sent in one way.

    Attributes:
        replies: what was received, by request.
        errors: what was said of those given up.
        asked: what the server got.
    """

    replies: list[Reply]
    errors: list[str]
    asked: list[Asked]

    @property
    def reply(self) -> Reply:
        """The reply to the only request."""
        assert not self.errors, self.errors
        return self.replies[0]

    @property
    def error(self) -> str:
        """What was said of the only request."""
        assert not self.replies, self.replies
        return self.errors[0]


class Ask(Protocol):
    """Sends requests through `Client`, each way to a server of its own, all ways at the same time."""

    def __call__(
        self, script: Script, requests: Sequence[Request] = ..., ways: Sequence[str] = ..., **keys: Any
    ) -> dict[str, Outcome]:
        """What became of them, by way; `keys` are the model's."""


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """See `Ask`."""

    def context(way: str) -> RunContext:
        folder = Path(mkdtemp(dir=tmp_path))
        journal, progress = Journal(folder / "run.sqlite"), Progress(quiet=True)
        budget, cache = Budget(BudgetConfig.model_validate({}), Spent()), Cache(None, tmp_path, progress.say)
        events = Events(folder / "events.jsonl")
        return RunContext(journal, progress, events, budget, cache, tmp_path, asyncio.Event())

    async def one(client: Client, context: RunContext, requests: Sequence[Request]) -> Outcome:
        outcome = Outcome([], [], [])

        async def send(request: Request) -> None:
            try:
                reply = await client.reply_to(request)
            except ModelError as error:
                outcome.errors.append(str(error))
                return
            assert reply == context.journal.reply(request.stage, request.number), "stored as it was received"
            outcome.replies.extend([reply] if reply else [])

        await asyncio.gather(*map(send, requests))
        return outcome

    async def all_ways(
        servers: dict[str, ModelServer], requests: Sequence[Request], keys: dict[str, Any]
    ) -> dict[str, Outcome]:
        configs = {
            way: ModelConfig(
                **{
                    "name": WAYS[way][0],
                    "mode": WAYS[way][1],
                    "api_base": server.base,
                    "api_key_env": "TINY_KEY",
                    "timeout": 5,
                    "retries": 0,
                    **keys,
                }
            )
            for way, server in servers.items()
        }
        for config in configs.values():
            config.clear()
        contexts = {way: context(way) for way in servers}
        endpoints = {way: Endpoint(configs[way], contexts[way]) for way in servers}
        clients = {way: Client([endpoints[way]], contexts[way], ["ideas"]) for way in servers}
        sent = await asyncio.gather(*(one(clients[way], contexts[way], requests) for way in servers))
        for way in servers:
            await endpoints[way].close()
            contexts[way].journal.close()
            contexts[way].events.close()
        for way, outcome in zip(servers, sent, strict=True):
            outcome.asked = servers[way].asked
        return dict(zip(servers, sent, strict=True))

    def ask_(
        script: Script,
        requests: Sequence[Request] = (Request("ideas", 1, "Go on."),),
        ways: Sequence[str] = tuple(WAYS),
        **keys: Any,
    ) -> dict[str, Outcome]:
        with ExitStack() as stack:
            servers = {way: stack.enter_context(ModelServer(script)) for way in ways}
            return asyncio.run(all_ways(servers, requests, keys))

    return ask_


# What arrives at the server


def test_a_request_arrives_whole_and_with_nothing_added(ask: Ask) -> None:
    """Model, text, system message and every sampling parameter arrive, zeros and unknown ones too."""
    sampling = {
        "max_tokens": 5,
        "temperature": 0,
        "top_p": 0,
        "presence_penalty": 0,
        "frequency_penalty": 0.5,
        "stop": ["\n\n", "\n16"],
        "seed": 7,
        "top_k": 3,
        "min_p": 0.1,
    }
    request = Request("ideas", 1, "Go on.\n1.", system="Be brief.", sampling=sampling)
    for way, outcome in ask([text(" A reply ")], [request]).items():
        path = WAYS[way][2]
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Go on.\n1."}]
        words = {"messages": messages} if path == CHAT else {"prompt": "Be brief.\n\nGo on.\n1."}
        (asked,) = outcome.asked
        assert asked.path == path, way
        assert asked.body == {"model": "tiny", **words, **sampling}, way
        assert asked.headers["authorization"] == f"Bearer {KEY}", way
        assert outcome.reply.text == " A reply ", way
        assert (outcome.reply.finish_reason, outcome.reply.model) == (
            "stop",
            WAYS[way][0],
        ), way


def test_a_key_goes_only_where_it_belongs(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of one's own without `api_key_env` does not get the key that is there for OpenAI."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for way, outcome in ask([text("A reply")], api_key_env=None).items():
        assert outcome.reply.text == "A reply"
        assert KEY not in json.dumps(dict(outcome.asked[0].headers)), way


@pytest.mark.parametrize("way", WAYS)
def test_a_run_in_each_way(typed: Typed, project: Path, way: str) -> None:
    """Prompts made of seeds go out, replies become records, tokens are counted, an unknown price is none."""
    name, mode, path = WAYS[way]
    with ModelServer(by_number) as server:
        status_, out, err = typed(*at(server, f"model.name={name}", f"model.mode={mode}", "target=4"))
    assert status_ == 0, err
    assert {asked.path for asked in server.asked} == {path}
    seeds = {row["instruction"] for row in lines(project / "seeds/tiny.jsonl")}
    assert {prompt.removeprefix("Another one like: ") for prompt in server.prompts} <= seeds
    rows = lines(project / "run/ideas.jsonl")
    assert len(rows) == 4
    assert all(row["instruction"].startswith("Idea number ") for row in rows)
    stage = summary(project / "run")["stages"]["ideas"]
    words = sum(len(prompt.split()) + 3 for prompt in server.prompts)
    assert (stage["requests"], stage["tokens"]) == (len(server.asked), words)
    assert stage["cost_usd"] is None
    assert "$" not in out


def test_the_cost_of_a_model_with_a_known_price(typed: Typed, project: Path) -> None:
    """LiteLLM's price list makes a cost of the tokens; it adds up in the summary and is shown."""
    with ModelServer([text("word " * 1000)]) as server:
        status_, out, _ = typed(*at(server, "model.name=openai/gpt-4o-mini", "target=1"))
    assert status_ == 0
    cost = summary(project / "run")["stages"]["ideas"]["cost_usd"]
    assert cost == pytest.approx(len(server.asked) * 1000 * 0.6e-6, rel=0.1)
    assert f"${cost:.4f}" in out


def test_the_model_has_the_last_word_over_sampling(typed: Typed) -> None:
    """`model.sampling` adds and replaces parameters, and null leaves one out."""
    with ModelServer(by_number) as server:
        keys = "++model.sampling={temperature:1.5,top_p:null,presence_penalty:0.25}"
        status_, _, err = typed(*at(server, keys, "target=1"))
        assert status_ == 0, err
    for body in server.bodies:
        del body["messages"]
        given = {"max_tokens": 50, "temperature": 1.5, "stop": ["###"], "presence_penalty": 0.25}
        assert body == {"model": "tiny", **given}


def test_seeded_sends_each_request_a_seed_of_its_own(typed: Typed) -> None:
    """The seeds differ from request to request and are the same from run to run."""
    seeds = []
    for name in ("one", "two"):
        with ModelServer(by_number) as server:
            one_at_a_time = ("model.concurrency=1", "pipeline.ideas.window=1", f"run_dir={name}")
            assert typed(*at(server, "model.seeded=true", "target=4", *one_at_a_time))[0] == 0
        seeds.append([body["seed"] for body in server.bodies])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 4


def test_a_completion_prompt_goes_to_a_chat_model_as_one_message(typed: Typed) -> None:
    """`check` and the run note it, and the whole text is the user's message."""
    with ModelServer(paper) as server:
        arguments = at(server, "model=tiny", "target=1", "mix.examples=8", recipe="paper")
        status_, out, err = typed("check", *arguments)
        assert (status_, server.asked) == (0, []), err
        assert "goes as one user message" in out
        status_, _, err = typed(*arguments)
    assert status_ == 0, err
    assert "goes as one user message" in err
    for body in server.bodies:
        assert [message["role"] for message in body["messages"]] == ["user"]
    assert any(prompt.endswith("\n9.") for prompt in server.prompts)


def test_a_system_message_stands_before_the_text_for_a_completion_model(typed: Typed) -> None:
    """Such a model gets one text: the system message, an empty line, the prompt; `check` notes it."""
    with ModelServer(by_number) as server:
        arguments = at(server, "model.mode=completion", "target=1", "prompts.ideas.system='Be brief.'")
        assert "goes as one text" in typed("check", *arguments)[1]
        assert typed(*arguments)[0] == 0
    assert all(prompt.startswith("Be brief.\n\nAnother one like: ") for prompt in server.prompts)


@pytest.mark.parametrize("name", ["openai/tiny", "hosted_vllm/tiny"])
def test_all_stages_of_a_run_reach_the_same_server(typed: Typed, project: Path, name: str) -> None:
    """The paper's three stages ask one after the other, each after the one before has hung up."""
    with ModelServer(paper) as server:
        arguments = at(server, "model=tiny", f"model.name={name}", "target=2", recipe="paper")
        status_, _, err = typed(*arguments)
    assert status_ == 0, err
    assert len(lines(project / "run/instances.jsonl")) == 2
    stages = summary(project / "run")["stages"]
    assert sum(stage["requests"] for stage in stages.values()) == len(server.asked)


@pytest.mark.parametrize("form", ["keys", "name"])
def test_a_stage_with_a_model_of_its_own(typed: Typed, project: Path, form: str) -> None:
    """Keys that differ, or a name from the user's conf/model: that stage's requests go there, no others."""
    with ModelServer(paper) as server, ModelServer(paper) as other:
        own = f"{{name:openai/other,mode:completion,api_base:'{other.base}'}}"
        if form == "name":
            keys = TINY["conf/model/tiny.yaml"].replace("api_base: null", f"api_base: {other.base}")
            keys = keys.replace("openai/tiny", "openai/other").replace("mode: chat", "mode: completion")
            (project / "conf/model/other.yaml").write_text(keys, encoding="utf-8")
            own = "other"
        arguments = at(server, "model=tiny", "target=2", f"pipeline.instances.model={own}", recipe="paper")
        assert "openai/other, completion mode" in typed("check", *arguments)[1]
        status_, _, err = typed(*arguments)
    assert status_ == 0, err
    assert {(asked.path, asked.body["model"]) for asked in server.asked} == {(CHAT, "tiny")}
    assert {(asked.path, asked.body["model"]) for asked in other.asked} == {(COMPLETION, "other")}
    assert len(other.asked) == 2
    assert len(lines(project / "run/instances.jsonl")) == 2


@pytest.mark.parametrize("most", [1, 3, 24])
def test_as_many_at_once_as_asked_for_and_no_more(typed: Typed, most: int) -> None:
    """`concurrency` requests are in flight where there are so many to send, and never more."""
    all_there = Barrier(most)  # the first replies wait for so many requests, however busy the machine is

    def script(asked: Asked) -> Answer:
        if asked.number <= most:
            with suppress(BrokenBarrierError):
                all_there.wait(timeout=30)
        return text(f"Idea {asked.number}", delay=0.1)

    with ModelServer(script) as server:
        keys = (f"model.concurrency={most}", f"target={max(4, most)}", "pipeline.ideas.window=40")
        assert typed(*at(server, "model.timeout=60", *keys))[0] == 0
    assert server.most_at_once == most


def test_from_python_it_is_the_same(project: Path) -> None:
    """`selfinstruct.run` asks the same server, also inside a running event loop, as a notebook has one."""

    async def notebook(server: ModelServer) -> selfinstruct.Run:
        return selfinstruct.run(
            "tiny", [f"model.api_base={server.base}", "target=3"], project=project, quiet=True
        )

    with ModelServer(by_number) as server:
        run = asyncio.run(notebook(server))
    assert len(run.records()) == 3
    assert run.summary["stages"]["ideas"]["requests"] == len(server.asked)


# Failures that another attempt may mend


def test_a_server_that_fails_twice_is_asked_three_times(ask: Ask) -> None:
    """500, 500, then a reply: one reply, stored with its three attempts and the time they took."""
    outcomes = ask([status(500), status(500), text("At last")], retries=2)
    for way, outcome in outcomes.items():
        assert len(outcome.asked) == 3, way
        assert (outcome.reply.text, outcome.reply.attempts) == ("At last", 3), way
        assert outcome.reply.seconds >= 1.5, "half a second to one, then one to two"


@pytest.mark.parametrize(
    "wrong",
    [
        status(429),
        status(502),
        status(503),
        status(504),
        dropped(),
        no_json(),
        no_choices(),
        Answer(b""),
        Answer({"object": "error"}),
    ],
    ids=["429", "502", "503", "504", "dropped", "no JSON", "no choices", "no body", "no reply"],
)
def test_what_may_pass_is_tried_again(ask: Ask, monkeypatch: pytest.MonkeyPatch, wrong: Answer) -> None:
    """A second attempt, after our own wait, gets the reply; the wait is short after a single 429."""
    for name in ("FIRST_WAIT", "FIRST_WAIT_IN_CALM"):
        monkeypatch.setattr(f"selfinstruct.llm.attempts.{name}", 0.2)  # for so many cases
    for way, outcome in ask([wrong, text("At last")], retries=1).items():
        assert len(outcome.asked) == 2, way
        assert outcome.asked[1].at - outcome.asked[0].at >= 0.09, way
        assert (outcome.reply.text, outcome.reply.attempts) == ("At last", 2), way


def test_no_attempts_but_those_asked_for(ask: Ask) -> None:
    """With `retries=0` one request is sent and no more, whatever LiteLLM and OpenAI's client would do."""
    for wrong in (status(500), status(429), dropped(), no_json()):
        for way, outcome in ask([wrong]).items():
            assert len(outcome.asked) == 1, (way, wrong)
            assert "ideas request 1 was given up after 1 attempts" in outcome.error, way


@pytest.mark.parametrize(
    ("asked_for", "own", "least", "most"), [("0.1", 6.0, 0.1, 2.9), ("2", 0.2, 2.0, 5.0)]
)
@pytest.mark.parametrize("code", [429, 503])
def test_the_server_says_when_to_come_back(
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    asked_for: str,
    own: float,
    least: float,
    most: float,
) -> None:
    """Retry-After is honoured, be it shorter or longer than our own wait, half of `own` and more."""
    monkeypatch.setattr("selfinstruct.llm.attempts.FIRST_WAIT", own)
    script = [status(code, Retry_After=asked_for), text("At last")]
    for way, outcome in ask(script, retries=1).items():
        assert outcome.reply.attempts == 2, way
        assert least <= outcome.asked[1].at - outcome.asked[0].at <= most, way


def test_a_server_that_never_answers_is_given_up(ask: Ask) -> None:
    """After `timeout` seconds the request is given up; a second attempt may get its reply."""
    for way, outcome in ask([hang()], timeout=0.5).items():
        assert "no reply within 0.5 s" in outcome.error, way
    for way, outcome in ask([hang(), text("At last")], timeout=2.0, retries=1).items():
        assert outcome.reply.attempts == 2, way


def test_a_reply_that_is_no_model_s_says_where_to_look(ask: Ask) -> None:
    """Where some other server answers, the message asks whether the address is right."""
    for way in ("openai completion", "hosted_vllm chat", "hosted_vllm completion"):
        assert "is model.api_base right?" in ask([no_json()], ways=[way])[way].error


@pytest.mark.parametrize("slow", [0.0, 0.6], ids=["waits", "in flight"])
@pytest.mark.parametrize("wrong", [status(500), no_choices()], ids=["500", "no choices"])
def test_nothing_is_tried_again_once_a_run_ends(ask: Ask, wrong: Answer, slow: float) -> None:
    """A request that waits for its second attempt, or fails in its first, is neither sent again after another
    one ended the run nor given a fate: it is asked when the run goes on.
    """

    def script(asked: Asked) -> Answer:
        if asked.prompt == "A":
            return replace(wrong, delay=slow)
        return Answer(bad_key().body, 401, delay=0.3)

    requests = [Request("ideas", 1, "A"), Request("ideas", 2, "B")]
    for way, outcome in ask(script, requests, retries=5).items():
        assert sorted(asked.prompt for asked in outcome.asked) == ["A", "B"], way
        assert len(outcome.errors) == 1, way
        assert not outcome.replies, way
        assert "was refused" in outcome.errors[0], way


def test_when_attempts_run_out_what_was_received_is_kept(typed: Typed, project: Path) -> None:
    """Exit status 1 with a message; the same command goes on and sends nothing that was answered again."""

    def breaks(asked: Asked) -> Answer:
        return by_number(asked) if asked.number <= 5 else status(500, "the disk is full")

    arguments = ("model.retries=1", "target=12", "model.concurrency=2", "model.seeded=true")
    with ModelServer(breaks) as server:
        status_, out, err = typed(*at(server, *arguments))
    assert status_ == 1
    assert "Traceback" not in out + err
    assert "openai/tiny: the server failed: the disk is full" in err
    assert "was given up after 2 attempts" in err
    assert "attempt 2 in 1 s" in err
    assert "run the same command again" in err
    assert attempts(project / "run") == [1] * 5
    assert not summary(project / "run")["finished"]
    assert len(server.asked) <= 5 + 2 * 2, "two in flight, each tried twice"
    answered = {body["seed"] for body in server.bodies[:5]}

    with ModelServer(lambda asked: text(f"Later idea {asked.number}")) as server:
        status_, _, err = typed(*at(server, *arguments))
    assert status_ == 0, err
    assert not answered & {body["seed"] for body in server.bodies}
    stage = summary(project / "run")["stages"]["ideas"]
    assert (stage["accepted"], stage["replies"]) == (12, 5 + len(server.asked))
    ideas = [row["instruction"] for row in lines(project / "run/ideas.jsonl")]
    assert {f"Idea number {number}" for number in range(1, 6)} <= set(ideas)
    assert attempts(project / "run") == [1] * stage["replies"]


# Failures that end the run


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (bad_key(), ("the key from TINY_KEY was refused", "Incorrect API key provided")),
        (status(401, "who are you"), ("the key from TINY_KEY was refused", "who are you")),
        (
            failure(401, "no key at all", "invalid_request_error"),
            ("the key from TINY_KEY was refused", "no key at all"),
        ),
        (status(403, "not your region"), ("the key from TINY_KEY was refused", "not your region")),
        (no_money(), ("no money left", "exceeded your current quota")),
        (status(402, "top up"), ("no money left", "top up")),
        (
            failure(404, "The model `tiny` does not exist", "invalid_request_error", "model_not_found"),
            ("does not know this model", "model.name", "The model `tiny` does not exist"),
        ),
        (status(404, "no such thing"), ("does not know this model", "model.api_base", "no such thing")),
        (
            failure(400, "temperature is too high", "invalid_request_error"),
            ("model.sampling", "temperature is too high"),
        ),
        (status(422, "stop: at most 4"), ("model.sampling", "stop: at most 4")),
    ],
    ids=["401", "401 plain", "401 other", "403", "quota", "402", "404 model", "404", "400", "422"],
)
def test_what_no_attempt_will_mend_ends_at_once(ask: Ask, wrong: Answer, words: tuple[str, ...]) -> None:
    """One request, two where the words are unknown; then cause, remedy and the provider's words, not the
    library's.
    """
    plain = 1 if wrong.status in (400, 403, 422) else 0  # which shows that it is not this one prompt
    for way, outcome in ask([wrong], retries=5).items():
        assert len(outcome.asked) == 1 + plain, way
        assert ("A plain prompt was refused too" in outcome.error) is bool(plain), way
        assert outcome.error.startswith(f"{WAYS[way][0]}: "), way
        for word in words:
            assert word in outcome.error, way
        for noise in ("litellm", "Exception", "Error", "{"):
            assert noise not in outcome.error, way


@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_a_refused_key_is_named_but_never_shown(typed: Typed, project: Path, mode: str) -> None:
    """Exit status 1, no traceback; the key is neither printed nor stored, though the server repeats it."""
    with ModelServer([bad_key(f"Incorrect API key provided: {KEY}.")]) as server:
        arguments = at(server, f"model.mode={mode}", "model.retries=5", "target=20")
        status_, out, err = typed(*arguments)
    assert status_ == 1
    assert 1 <= len(server.asked) <= 4, "no more than were in flight"
    assert all(asked.headers["authorization"] == f"Bearer {KEY}" for asked in server.asked)
    assert "TINY_KEY" in err
    assert "Incorrect API key provided: ***" in err
    assert "Traceback" not in out + err
    assert KEY not in out + err
    stored = [path for path in (project / "run").rglob("*") if path.is_file()]
    assert len(stored) > 4
    assert not [path for path in stored if KEY.encode() in path.read_bytes()]


def test_a_refusal_that_repeats_the_key_is_stored_without_it(ask: Ask) -> None:
    """What is kept of a request that was refused is kept without the key."""
    words = f"Your request with {KEY} was rejected as a result of our safety system."
    wrong = failure(400, words, "invalid_request_error", "content_policy_violation")
    for way, outcome in ask([wrong]).items():
        assert outcome.reply.error is not None
        assert KEY not in outcome.reply.error, way
        assert "was rejected as a result" in outcome.reply.error, way


def test_a_parameter_that_the_provider_does_not_take_is_named(typed: Typed) -> None:
    """Nothing is dropped silently: a note names it, or a fault with the remedy, which is all it needs."""
    with ModelServer(by_number) as server:
        arguments = at(server, "model.name=openai/o3-mini", "model.retries=5", "target=1")
        status_, _, err = typed(*arguments, "model.unsupported=refuse")
        assert (status_, server.asked) == (1, [])
        assert "prompts.ideas.sampling.top_p: openai/o3-mini does not take top_p=0" in err
        assert "write prompts.ideas.sampling.temperature=null, or model.unsupported=drop" in err
        assert "drop_params" not in err, "LiteLLM's own advice would drop it silently"
        nulls = ("model.sampling.top_p=null", "model.sampling.temperature=null")
        status_, _, err = typed(*arguments, "model.unsupported=refuse", *nulls, "run_dir=again")
        assert status_ == 0, err
        status_, out, err = typed(*arguments, "run_dir=at_last", "cache=off")
    assert status_ == 0, err
    assert "does not take temperature=0.5, top_p=0, so its requests go without" in out + err
    for sent in (server.bodies[0], server.bodies[-1]):
        assert set(sent) == {"model", "messages", "max_completion_tokens", "stop"}


def test_a_parameter_of_chat_alone_is_refused_at_once_in_completion_mode(ask: Ask) -> None:
    """It is no failure of the server's, so there is no second attempt; the message names it."""
    request = Request("ideas", 1, "Go on.", sampling={"response_format": {"type": "json_object"}})
    ways = [way for way, (_, mode, _) in WAYS.items() if mode == "completion"]
    for way, outcome in ask([text("A reply")], [request], ways, retries=5).items():
        assert outcome.asked == [], way
        assert "'response_format'" in outcome.error, way
        assert "model.sampling.NAME=null" in outcome.error, way


def test_a_server_that_is_not_there_is_known_at_once(typed: Typed) -> None:
    """A closed port, a wrong port and a missing address end the run before a request, with the remedy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}/v1", "http://127.0.0.1:99999/v1"):
        status_, out, err = typed(
            "recipe=tiny", f"model.api_base={address}", "model.retries=5", "run_dir=run"
        )
        assert status_ == 1
        assert f"{address}: no server answers there" in err
        assert "Start it, or set model.api_base" in err
        assert "Traceback" not in out + err
    status_, _, err = typed("recipe=tiny", "model.name=hosted_vllm/tiny", "run_dir=other")
    assert status_ == 1
    assert "model.api_base is not set" in err


def test_an_address_without_its_path_gets_the_server_s_word(typed: Typed) -> None:
    """Where /v1 is missing the server knows nothing there; the message points at the address."""
    with ModelServer(by_number) as server:
        base = server.base.removesuffix("/v1")
        status_, _, err = typed(*at(server, f"model.api_base={base}"))
    assert status_ == 1
    assert "model.api_base" in err
    assert "there is no /chat/completions here" in err


def test_a_key_that_is_not_set_is_told_before_any_request(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run refuses, and makes no folder; the plan says what is wanting."""
    monkeypatch.delenv("TINY_KEY")
    words = "model.api_key_env: the environment variable TINY_KEY is not set"
    with ModelServer(by_number) as server:
        status_, _, err = typed("run", *at(server))
        assert (status_, words in err) == (1, True)
        status_, out, _ = typed("check", *at(server))
        assert (status_, words in out) == (0, True)
    assert server.asked == []
    assert not (project / "run").exists()


# One request's trouble


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        (too_long(), "context", "maximum context length is 4096 tokens"),
        (refused(), "content_filter", "rejected as a result of our safety system"),
        (text("", "content_filter"), "content_filter", "content filter ended the reply"),
    ],
    ids=["context", "content_filter", "withheld"],
)
@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_a_request_that_is_refused_costs_no_more_than_itself(
    typed: Typed, project: Path, wrong: Answer, check: str, words: str, mode: str
) -> None:
    """A prompt too long or not liked is rejected under its own name, and the run goes on. A filter is
    believed when it says so twice.
    """
    refusals = (2, 3) if wrong.status == 400 and check == "content_filter" else (2,)
    with ModelServer(lambda asked: wrong if asked.number in refusals else by_number(asked)) as server:
        keys = (f"model.mode={mode}", "model.retries=5", "target=4", "model.concurrency=1")
        status_, _, err = typed(*at(server, *keys))
    assert status_ == 0, err
    (row,) = lines(project / "run/rejected.jsonl")
    assert (row["check"], row["id"]) == (check, "ideas-000002-0")
    assert words in row["reason"]
    assert len(lines(project / "run/ideas.jsonl")) == 4
    stage = summary(project / "run")["stages"]["ideas"]
    assert stage["rejected"] == {check: 1}
    assert stage["requests"] == len(server.asked) - len(refusals) + 1


def test_refused_requests_in_each_way(ask: Ask) -> None:
    """What LiteLLM makes of either refusal is known in all ways of asking."""
    for wrong, reason, times in ((too_long(), "context", 1), (refused(), "content_filter", 2)):
        for way, outcome in ask([wrong], retries=5).items():
            assert len(outcome.asked) == times, way
            assert (outcome.reply.finish_reason, outcome.reply.text) == (reason, ""), way
            assert outcome.reply.error, way


def test_a_reply_cut_by_length_is_known_as_such(ask: Ask, typed: Typed, project: Path) -> None:
    """The finish reason arrives in all ways, and the piece that was cut is rejected as such."""
    for way, outcome in ask([text("Half a", "length")]).items():
        assert outcome.reply.cut, way
    with ModelServer([text("One idea\n2. Half a", "length"), text("Another")]) as server:
        assert typed(*at(server, "target=2", "model.concurrency=1", "pipeline.ideas.window=1"))[0] == 0
    assert len(server.asked) == 2
    (row,) = lines(project / "run/rejected.jsonl")
    assert (row["check"], row["record"]) == ("cut", {"instruction": "Half a"})


# What is left behind


def test_litellm_is_imported_by_the_first_request_and_not_before(project: Path) -> None:
    """`--help`, `check`, and a model that is opened and closed without a request do without it."""
    script = """if True:
        import asyncio, sys
        from selfinstruct.cli.main import command
        from selfinstruct.config import ModelConfig
        from selfinstruct.llm.providers import LiteLLM
        assert command(["--help"]) == 0
        assert command(["check", "recipe=tiny"]) == 0
        assert command(["check", "recipe=paper", "model=vllm"]) == 0
        asyncio.run(LiteLLM(ModelConfig(name="openai/tiny", api_key_env="TINY_KEY")).close())
        print(sorted({name.split(".")[0] for name in sys.modules} & {"litellm", "openai", "aiohttp"}))
    """
    done = child(project, "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("way", ["openai chat", "hosted_vllm completion"])
def test_a_run_leaves_nothing_open(project: Path, way: str) -> None:
    """A process that ends well has said what we say and nothing else: no warning of anyone's."""
    name, mode, _ = WAYS[way]
    keys = ("model=tiny", f"model.name={name}", f"model.mode={mode}", "target=2")
    with ModelServer(paper) as server:
        done = child(project, "-m", "selfinstruct", *at(server, *keys, recipe="paper"))
    assert done.returncode == 0, done.stderr
    for line in done.stderr.splitlines():
        assert line.startswith(
            ("note: ", "starting ", "instructions: ", "classification: ", "instances: ")
        ), done.stderr


def test_a_run_that_fails_leaves_nothing_open(project: Path) -> None:
    """So does one that ends with a refused key while other requests hang."""
    with ModelServer(lambda asked: bad_key() if asked.number == 3 else hang()) as server:
        done = child(project, "-m", "selfinstruct", *at(server, "model.timeout=1", "target=20"))
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if not line.startswith(("ideas: ", "starting "))] == [
        "selfinstruct: openai/tiny: the key from TINY_KEY was refused, so the run stops; "
        "check that it is valid for this model",
        "  Incorrect API key provided: sk-no***key.",
    ]
