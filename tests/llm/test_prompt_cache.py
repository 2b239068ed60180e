"""Providers' caches of prompts: the mark that some need, the tokens that they report, and their price."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from results import summary
from server import Answer, Asked, ModelServer, completion, text
from server import status as status_of
from tiny_recipe import at, by_number

from selfinstruct.config import ModelConfig
from selfinstruct.llm import providers
from selfinstruct.llm.cache import key_of
from selfinstruct.llm.prices import Price, price_of
from selfinstruct.llm.prompt_cache import caching_of, least_marked, messages
from selfinstruct.llm.usage import usage_of
from selfinstruct.records import Request

RULE = "Write a task that a person could ask for, and follow this rule in all you write.\n"
RULES = RULE * 300  # about 5,000 tokens
MARK = {"type": "ephemeral"}


def model(name: str, **keys: Any) -> ModelConfig:
    """A model's keys."""
    return ModelConfig.model_validate({"name": name, **keys})


def request(fixed: str, drawn: str, system: str | None = None, all_of_it: bool = False) -> Request:
    """A request whose text begins with a fixed part."""
    text = fixed + drawn
    return Request("ideas", 1, text, system, fixed=len(system or "") + len(text if all_of_it else fixed))


# The mark


def test_the_mark_is_at_the_end_of_the_last_fixed_line() -> None:
    """A fixed part of a line stays with the rest of it; a mark in the text covers the system message."""
    system, user = messages(request(RULES + "Task: ", "sing", "Be brief."), 1024)
    assert system == {"role": "system", "content": "Be brief."}
    first, rest = user["content"]
    assert first == {"type": "text", "text": RULES, "cache_control": MARK}
    assert rest == {"type": "text", "text": "Task: sing"}


def test_a_system_message_is_marked_where_the_text_has_no_fixed_line() -> None:
    """Its whole text, or its fixed lines if something in it is drawn."""
    system, user = messages(request("Task: ", "sing", RULES), 1024)
    assert system["content"] == [{"type": "text", "text": RULES, "cache_control": MARK}]
    assert user["content"] == "Task: sing"
    drawn = Request("ideas", 1, "Sing.", f"{RULES}You are Ada.", fixed=len(RULES) + 4)
    first, rest = messages(drawn, 1024)[0]["content"]
    assert (first["text"], rest["text"]) == (RULES, "You are Ada.")


@pytest.mark.parametrize(
    ("asked", "least"),
    [
        (request(RULES, "sing"), None),
        (request(RULE, "sing"), 1024),
        (request("", f"{RULES} sing"), 1024),
        (request("", f"{RULES} sing"), 0),
        (request("\n", "sing"), 0),
        (request("Sing ", "a song"), 0),
    ],
)
def test_without_enough_that_is_fixed_there_is_no_mark(asked: Request, least: float | None) -> None:
    """And no part is blank, which Anthropic refuses."""
    assert messages(asked, least) == [{"role": "user", "content": asked.prompt}]


def test_which_models_get_marks() -> None:
    """Claude, from as many tokens as the model caches; others, also Gemini, only if the user wants it."""
    assert least_marked(model("anthropic/claude-haiku-4-5")) == pytest.approx(0.8 * 4096)
    assert least_marked(model("anthropic/claude-sonnet-4-5")) == pytest.approx(0.8 * 1024)
    assert least_marked(model("openrouter/anthropic/claude-new")) == pytest.approx(0.8 * 4096)
    for name in ("openai/gpt-4o-mini", "gemini/gemini-2.5-flash", "deepseek/deepseek-chat", "hosted_vllm/x"):
        assert least_marked(model(name)) is None, name
        assert least_marked(model(name, prompt_cache=True)) == 0, name  # as YAML reads `on`
    assert least_marked(model("anthropic/claude-haiku-4-5", prompt_cache="off")) is None
    assert least_marked(model("anthropic/claude-haiku-4-5", prompt_cache=False)) is None


def test_who_caches_by_itself_and_from_when_on() -> None:
    """OpenAI from 1,024 tokens on in steps of 128, DeepSeek 64 at a time, Claude as the list has it."""
    openai, deepseek = caching_of(model("openai/gpt-4o-mini")), caching_of(model("deepseek/deepseek-chat"))
    assert openai and deepseek
    assert [openai.of(tokens) for tokens in (1023, 1024, 1151, 1152)] == [0, 1024, 1024, 1152]
    assert [deepseek.of(tokens) for tokens in (63, 64, 200)] == [0, 64, 192]
    claude = caching_of(model("anthropic/claude-haiku-4-5"))
    assert claude and (claude.least, claude.marked) == (4096, True)
    assert caching_of(model("groq/unknown-model")) is None


def test_the_same_reply_with_and_without_a_mark() -> None:
    """Neither the key of the reply in the cache, nor equality, nor the content knows the mark."""
    marked, plain = request(RULES, "sing"), Request("ideas", 1, f"{RULES}sing")
    assert marked.fixed != plain.fixed
    assert marked == plain
    assert key_of("model", marked) == key_of("model", plain)


def anthropic(asked: Asked) -> Answer:
    """A reply of Claude's that knows a marked beginning from the second request on."""
    parts = [one for one in asked.body["messages"][-1]["content"] if isinstance(one, dict)]
    marked = sum(len(part["text"]) // 4 for part in parts if "cache_control" in part)
    again = asked.number > 1
    usage = {
        "input_tokens": 20,
        "cache_creation_input_tokens": 0 if again else marked,
        "cache_read_input_tokens": marked if again else 0,
        "output_tokens": 10,
    }
    content = [{"type": "text", "text": f"Idea number {asked.number}"}]
    body = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": content,
    }
    return Answer(
        {**body, "content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
    )


@pytest.fixture
def claude(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A server that speaks Anthropic's form."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-none")
    with ModelServer(anthropic, anywhere=True) as server:
        yield server


@pytest.mark.parametrize("switch", ["auto", "off"])
def test_claude_gets_the_mark_and_its_cached_tokens_are_billed_as_such(
    claude: ModelServer, switch: str
) -> None:
    """Written once at 1.25 times the price, then read at a tenth of it, as LiteLLM's price list has it."""

    async def ask() -> list[Any]:
        base = claude.base.removesuffix("/v1")
        keys = {"api_base": base, "prompt_cache": switch, "api_key_env": "ANTHROPIC_API_KEY"}
        config = model("anthropic/claude-haiku-4-5", **keys)
        config.clear()
        opened = providers.LiteLLM(config)
        await opened.prepare()
        try:
            return [await opened.complete([request(RULES, f"sing {number}")]) for number in range(2)]
        finally:
            await opened.close()

    (first,), (second,) = asyncio.run(ask())
    contents = [body["messages"][-1]["content"] for body in claude.bodies]
    marks = [[part.get("cache_control") for part in content] for content in contents]
    if switch == "off":
        assert marks == [[None], [None]]
        assert (first.cached_tokens, first.cache_write_tokens, second.cached_tokens) == (0, 0, 0)
        return
    assert marks == [[MARK, None], [MARK, None]]
    tokens = len(RULES) // 4
    assert (first.cached_tokens, first.cache_write_tokens, first.prompt_tokens) == (0, tokens, tokens + 20)
    assert (second.cached_tokens, second.cache_write_tokens, second.prompt_tokens) == (tokens, 0, tokens + 20)
    price = price_of(model("anthropic/claude-haiku-4-5"))
    assert price
    for reply in (first, second):
        assert reply.cost_usd is None, "the endpoint knows the price"
    costs = [
        price.cost(reply.prompt_tokens, 10, reply.cached_tokens, reply.cache_write_tokens)
        for reply in (first, second)
    ]
    assert costs[0] > 10 * costs[1] > 0


# The tokens that a provider reports


FORMS: dict[str, dict[str, Any]] = {
    "openai": {"prompt_tokens_details": {"cached_tokens": 1024}},
    "openai, written": {"prompt_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 128}},
    "anthropic": {"cache_read_input_tokens": 1024, "cache_creation_input_tokens": 128},
    "deepseek": {"prompt_cache_hit_tokens": 1024, "prompt_cache_miss_tokens": 176},
    "gemini": {"cachedContentTokenCount": 1024},
}


@pytest.mark.parametrize("form", FORMS)
def test_cached_tokens_in_each_provider_s_form(form: str) -> None:
    """What is stored is read where a provider says it."""
    usage = {"prompt_tokens": 1200, "completion_tokens": 5, **FORMS[form]}
    found = usage_of({"usage": usage}, "word " * 1000, "reply")
    written = 128 if form in ("openai, written", "anthropic") else 0
    assert (found.sent, found.said, found.cached, found.written) == (1200, 5, 1024, written)


@pytest.mark.parametrize("absurd", [-1, 10**9, True, "many", None, 0.5])
def test_an_absurd_number_of_cached_tokens_is_never_more_than_the_prompt(absurd: Any) -> None:
    """So a cost is never negative."""
    details = {"cached_tokens": absurd, "cache_write_tokens": absurd}
    usage = {"prompt_tokens": 1200, "completion_tokens": 5, "prompt_tokens_details": details}
    found = usage_of({"usage": usage}, "word " * 1000, "reply")
    assert 0 <= found.cached + found.written <= found.sent


def test_a_count_of_our_own_has_no_cached_tokens() -> None:
    """A provider whose numbers cannot be right is not believed about its cache."""
    usage = {"prompt_tokens": -5, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}}
    found = usage_of({"usage": usage}, "three words here", "reply")
    assert (found.counted, found.cached) == (True, 0)


# Prices


def test_cached_tokens_have_prices_of_their_own() -> None:
    """From LiteLLM's list with those of batches, or from the recipe; as tokens sent where there is none."""
    known = price_of(model("anthropic/claude-haiku-4-5"))
    assert known == Price(1.0, 5.0, 0.1, 1.25, Price(0.5, 2.5, 0.05, 0.625))
    assert known.in_batch.cost(1_000_000, 0) == pytest.approx(0.5)
    assert known.cost(1_000_000, 0, 600_000, 400_000) == pytest.approx(0.06 + 0.5)
    own = price_of(model("openai/own", price={"input": 2.0, "output": 8.0, "cached": 0.5}))
    assert own == Price(2.0, 8.0, 0.5)
    assert own.cost(1_000_000, 0, 500_000) == pytest.approx(1.25)
    assert own.in_batch == Price(1.0, 4.0, 0.25)
    assert Price(2.0, 8.0).cost(1_000_000, 0, 500_000, 500_000) == pytest.approx(2.0)


# A run


def caching(asked: Asked) -> Answer:
    """`by_number`, by a provider that has half of each prompt but the first in its cache."""
    body = completion(asked, f"Idea number {asked.number}", "stop")
    half = body["usage"]["prompt_tokens"] // 2 if asked.number > 1 else 0
    body["usage"]["prompt_tokens_details"] = {"cached_tokens": half}
    return Answer(body)


@pytest.mark.usefixtures("tiny")
def test_a_run_stores_prices_and_shows_cached_tokens(typed: Typed, project: Path) -> None:
    """In the journal, the events, the summary, the table at the end, `show`, and the report."""
    price = "++model.price={input: 1000.0, output: 0.0, cached: 100.0}"
    with ModelServer(caching) as server:
        status, out, err = typed(*at(server, "target=4", price, "model.concurrency=1"))
        sent = [len(prompt.split()) for prompt in server.prompts]
    assert status == 0, out + err
    cached = [0, *(count // 2 for count in sent[1:])]
    stage = summary(project / "run")["stages"]["ideas"]
    assert (stage["prompt_tokens"], stage["cached_tokens"]) == (sum(sent), sum(cached))
    assert stage["cost_usd"] == pytest.approx((sum(sent) - 0.9 * sum(cached)) * 1e-3)
    told = [row for row in lines(project / "run/events.jsonl") if row["event"] == "request"]
    assert [row["cached_tokens"] for row in told] == cached
    assert f"{sum(cached) / sum(sent):.0%} {sum(cached)}" in " ".join(out.split())
    status, out, err = typed("show", "run", "ideas-000002-0", "--json")
    assert status == 0, err
    assert json.loads(out)["reply"]["cached_tokens"] == cached[1]
    assert typed("report", "run")[0] == 0
    numbers = json.loads((project / "run/stats.json").read_text())
    assert numbers["total"]["cached_tokens"] == sum(cached)
    assert "of the rest from the provider" in (project / "run/report.html").read_text()


@pytest.mark.usefixtures("tiny")
def test_a_run_without_cached_tokens_stores_none(typed: Typed, project: Path) -> None:
    """Its journal has no row about them, and nothing is said about a cache."""
    with ModelServer(by_number) as server:
        status, out, _ = typed(*at(server, "target=3"))
    assert status == 0
    with closing(sqlite3.connect(project / "run/run.sqlite")) as journal:
        assert journal.execute("SELECT COUNT(*) FROM prompt_cache").fetchone() == (0,)
    assert "cached" not in out


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("switch", ["on", "off"])
def test_one_request_stores_a_marked_beginning_before_others_are_sent(typed: Typed, switch: str) -> None:
    """Otherwise each of those in flight would store it, and be billed for that; then all go at once."""
    arrived: list[float] = []

    def slow(asked: Asked) -> Answer:
        arrived.append(time.monotonic())
        return text(f"Idea number {asked.number}", delay=0.3)

    keys = ("target=6", f"model.prompt_cache={switch}", "prompts.ideas.system='Be brief.'")
    with ModelServer(slow) as server:
        status, out, err = typed(*at(server, *keys))
        assert status == 0, out + err
        assert server.most_at_once > 1
    first, second, *_ = sorted(arrived)
    assert (second - first >= 0.3) == (switch == "on")


@pytest.mark.usefixtures("tiny")
def test_if_the_first_request_fails_another_one_stores_the_beginning(typed: Typed, project: Path) -> None:
    """None waits for ever."""

    def unlucky(asked: Asked) -> Answer:
        return status_of(500) if asked.number == 1 else text(f"Idea number {asked.number}")

    keys = ("target=6", "model.prompt_cache=on", "prompts.ideas.system='Be brief.'", "model.retries=0")
    with ModelServer(unlucky) as server:
        assert typed(*at(server, *keys))[0] == 1
        status, out, err = typed(*at(server, *keys))
    assert status == 0, out + err
    assert summary(project / "run")["stages"]["ideas"]["accepted"] == 6
