"""The wire under LiteLLM: nothing goes to where a server points, and no answer fills the memory.

Each way to ask that LiteLLM has a client of its own for is tried against real servers on this machine.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import httpx
import pytest
from faults import CHARSETS, MB, in_charset, reset_before_a_byte, twice
from server import Answer, Asked, ModelServer, completion, text
from tiny_recipe import KEY

from selfinstruct.config import ModelConfig
from selfinstruct.llm import TransientError
from selfinstruct.llm.providers import LiteLLM
from selfinstruct.llm.wire import UnusableError
from selfinstruct.records import Reply, Request

CHAT = [
    *("openai/m", "hosted_vllm/m", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "azure/m"),
    *("deepseek/m", "groq/m", "mistral/m", "openrouter/a/m", "together_ai/a/m", "ollama/m", "ollama_chat/m"),
    *("cohere_chat/m", "huggingface/a/m", "fireworks_ai/m", "xai/m", "perplexity/m", "nvidia_nim/m"),
    *("custom_openai/m", "litellm_proxy/m", "databricks/m", "dashscope/m", "moonshot/m"),
]
COMPLETION = ["openai/m", "text-completion-openai/m", "hosted_vllm/m", "azure_text/m", "together_ai/a/m"]
EMBEDDING = [
    *("openai/m", "hosted_vllm/m", "azure/m", "gemini/m", "mistral/m", "cohere/m", "voyage/m", "ollama/m"),
    *("together_ai/m", "jina_ai/m", "litellm_proxy/m"),
]
TRANSPORTS = [None, "litellm"]  # directly, where that is possible
WAYS = [
    *((name, "chat") for name in CHAT),
    *((name, "completion") for name in COMPLETION),
    *((name, "embedding") for name in EMBEDDING),
]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment."""
    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")


def asked_once(
    name: str, mode: str, base: str, timeout: float = 20, transport: str | None = None
) -> Reply | Exception:
    """What one request comes to."""

    async def one() -> Reply | Exception:
        keys = {"name": name, "api_base": base, "api_key_env": "TINY_KEY", "timeout": timeout}
        keys["transport"] = transport
        model = LiteLLM(
            ModelConfig.model_validate({**keys, "mode": "completion" if mode == "completion" else "chat"})
        )
        await model.prepare()
        try:
            if mode == "embedding":
                await model.embed(["a prompt"], None)
                return Reply("")
            (reply,) = await model.complete([Request("ideas", 1, "a prompt", sampling={"max_tokens": 5})])
            return reply or Reply("")
        except Exception as error:
            return error
        finally:
            await model.close()

    return asyncio.run(one())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_nothing_goes_to_where_a_server_points(transport: str | None) -> None:
    """Neither key nor prompt, whichever client asks: that where it points gets nothing at all."""
    wrong = {}
    with ModelServer([text("stolen")], anywhere=True) as other:
        target = f"{other.base}/chat/completions"
        script = [Answer(b"", 307, {"Location": target})]
        with ModelServer(script, anywhere=True) as server:
            for name, mode in WAYS:
                before = len(server.asked)
                outcome = asked_once(name, mode, server.base, transport=transport)
                sent = len(server.asked) - before
                if not isinstance(outcome, TransientError) or f"points to {target}" not in str(outcome):
                    wrong[name, mode] = repr(outcome)
                elif sent != 1:
                    wrong[name, mode] = f"{sent} requests"
        assert not other.asked
    assert not wrong


def test_nor_does_it_over_the_other_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM takes httpx's where its user asks for that; a good reply arrives, no redirect is followed."""
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", "True")
    with ModelServer([text("stolen")], anywhere=True) as other:
        redirect = Answer(b"", 308, {"Location": f"{other.base}/chat/completions"})
        with ModelServer(lambda asked: redirect if asked.number % 2 else text("good")) as server:
            for name, mode in (("openai/m", "chat"), ("hosted_vllm/m", "chat"), ("openai/m", "completion")):
                assert "points to" in str(asked_once(name, mode, server.base)), name
                reply = asked_once(name, mode, server.base)
                assert isinstance(reply, Reply), reply
                assert reply.text == "good"
        assert not other.asked


def without_end(sent: list[int]) -> Callable[[socket.socket, bytes], None]:
    """A body that goes on until the client goes away; how much was sent is noted."""

    def send(connection: socket.socket, content: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + content[:-1])
        sent.append(0)
        piece = b" " * 1_000_000
        with suppress(OSError):
            while sent[-1] < 1_000:
                connection.sendall(piece)
                sent[-1] += 1

    return send


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("way", [("openai/m", "chat"), ("hosted_vllm/m", "chat"), ("openai/m", "embedding")])
def test_an_answer_without_end_is_left_at_64_mb(way: tuple[str, str], transport: str | None) -> None:
    """Where it would have been 1 GB."""
    sent: list[int] = []
    with ModelServer([Answer("A reply", wire=without_end(sent))]) as server:
        outcome = asked_once(*way, server.base, timeout=60, transport=transport)
    assert isinstance(outcome, TransientError)
    assert "its reply is larger than 64 MB" in str(outcome)
    assert 60 < sent[0] < 90, "MB; a few are in the buffers of the system"


def test_an_answer_that_grows_when_it_is_unpacked_is_left_at_64_mb() -> None:
    """100 KB that would become 100 MB."""
    body = gzip.compress(b'{"x": "' + b"y" * 100_000_000, 1)
    with ModelServer([Answer(body, headers={"Content-Encoding": "gzip"})]) as server:
        outcome = asked_once("openai/m", "chat", server.base)
    assert "its reply is larger than 64 MB" in str(outcome)


def test_answers_together_have_a_bound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many large answers at one moment those beyond it are left; a small one still arrives."""
    from selfinstruct.llm import guard

    monkeypatch.setattr(guard, "LARGEST_TOGETHER", 8_000_000)
    large = b'{"x": "' + b"y" * 5_000_000

    async def all_of_them() -> list[bytes | BaseException]:
        room = guard.Room()
        answers = [_Slow(large) for _ in range(4)]
        answers.append(_Slow(b"small"))
        return await asyncio.gather(*map(room.read, answers), return_exceptions=True)

    *outcomes, small = asyncio.run(all_of_them())
    assert small == b"small"
    left = [outcome for outcome in outcomes if isinstance(outcome, UnusableError)]
    assert left
    assert large in outcomes, "those that are left make room for another"


class _Slow(httpx.AsyncByteStream):
    """A body in pieces between which others get their turn."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), 100_000):
            await asyncio.sleep(0)
            yield self._body[start : start + 100_000]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_request_whose_connection_is_reset_is_sent_once(transport: str | None) -> None:
    """LiteLLM would send it again by itself, and nobody would count it."""
    for name in ("hosted_vllm/m", "anthropic/claude-haiku-4-5", "openai/m", "nvidia_nim/m"):
        with ModelServer([Answer("A reply", wire=reset_before_a_byte)], anywhere=True) as server:
            outcome = asked_once(name, "chat", server.base, transport=transport)
        assert isinstance(outcome, TransientError), outcome
        assert len(server.asked) == 1, name


async def both_replies(base: str, idle: Callable[[], Awaitable[None]]) -> list[str]:
    """The texts of two replies with a pause between the requests."""
    keys = {"name": "hosted_vllm/m", "api_base": base, "api_key_env": "TINY_KEY", "timeout": 5}
    model = LiteLLM(ModelConfig.model_validate(keys))
    await model.prepare()
    texts = []
    for number in (1, 2):
        (reply,) = await model.complete([Request("ideas", number, "a prompt")])
        assert reply
        texts.append(reply.text)
        await idle()
    await model.close()
    return texts


async def _busy() -> None:
    time.sleep(0.2)


LATE = {
    "a whole answer": None,
    "a piece of one": lambda content: b"HTTP/1.1 200 OK\r\nContent-",
    "an empty line": lambda content: b"\r\n",
}


@pytest.mark.parametrize("httpx_s", ["False", "True"])
@pytest.mark.parametrize("idle", [lambda: asyncio.sleep(0.2), _busy], ids=["waits", "busy"])
@pytest.mark.parametrize("late", LATE)
def test_what_comes_unasked_is_no_answer(
    late: str, idle: Callable[[], Awaitable[None]], httpx_s: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection on which anything came between two requests is not used again."""
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", httpx_s)
    unasked = Answer("first", wire=twice(0.05, LATE[late]))
    with ModelServer([unasked, text("second")]) as server:
        assert asyncio.run(both_replies(server.base, idle)) == ["first", "second"]
    assert len(server.asked) == 2


def test_a_connection_is_used_again() -> None:
    """Where nothing came."""
    ports = set()

    def whose(connection: socket.socket, content: bytes) -> None:
        ports.add(connection.getpeername()[1])
        for _ in range(2):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
            connection.recv(100_000)

    with ModelServer([Answer("kept", wire=whose)]) as server:
        assert asyncio.run(both_replies(server.base, lambda: asyncio.sleep(0.05))) == ["kept", "kept"]
    assert len(ports) == 1


@pytest.mark.parametrize("httpx_s", ["False", "True"])
def test_a_cookie_is_not_sent_back(httpx_s: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that is well formed nor another."""
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", httpx_s)
    for cookie in ("a=b; Path=/", "a=\x01b"):
        with ModelServer([Answer("A reply", headers={"Set-Cookie": cookie})]) as server:
            assert asyncio.run(both_replies(server.base, lambda: asyncio.sleep(0))) == ["A reply"] * 2
        assert not [asked for asked in server.asked if "cookie" in asked.headers]


BABBLE = "the moon is wrong, " * 300_000


def test_a_large_error_keeps_what_tells_its_meaning() -> None:
    """Its code, however much there is before and beside it; and nothing stands still meanwhile."""
    about = {"param": BABBLE, "code": "content_policy_violation", "message": BABBLE}
    more = {f"key {number}": "x" * 100 for number in range(10_000)}
    begun = time.monotonic()
    for body in (
        {"error": about},
        {**more, "error": {**more, **about}},
        {"error": {**about, "message": "é" * MB}},
    ):
        for sent in (Answer(body, 400), Answer(body)):  # also where it comes with status 200
            with ModelServer([sent]) as server:
                outcome = asked_once("openai/m", "chat", server.base)
            assert isinstance(outcome, Reply), outcome
            assert outcome.finish_reason == "content_filter"
            assert len(outcome.error or "") <= 300
    assert time.monotonic() - begun < 20


def test_what_the_model_wrote_is_not_cut() -> None:
    """Be it the text, a thought or the arguments of a call."""
    long = "Once upon a time. " * 20_000
    call = {"id": "c" * MB, "type": "function", "function": {"name": "n" * MB, "arguments": long}}
    for message, wanted, thought in (
        ({"content": long}, long, ""),
        ({"content": None, "tool_calls": [call]}, long, ""),
        ({"content": "So.", "reasoning_content": long}, "So.", long.strip()),
    ):
        with ModelServer([Answer({"model": "m", "choices": [{"index": 0, "message": message}]})]) as server:
            outcome = asked_once("openai/m", "chat", server.base)
        assert isinstance(outcome, Reply), outcome
        assert (outcome.text, outcome.thought) == (wanted, thought)


def test_a_reply_in_utf_8_is_read_whatever_encoding_it_names() -> None:
    """As it was written, and at the first try."""
    for name in CHARSETS:

        def reply(asked: Asked, name: str = name) -> Answer:
            return in_charset(name).answer(completion(asked, "1+1 é 世 \\u0041", "stop"))

        with ModelServer(reply) as server:
            outcome = asked_once("openai/m", "chat", server.base)
        assert isinstance(outcome, Reply), (name, outcome)
        assert outcome.text == "1+1 é 世 \\u0041"
