"""The direct way where something is in between or has moved: a new LiteLLM, proxies, certificates, keys.

In each case LiteLLM's own call is the measure: both ways arrive at the same place, or fail in the same words.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import provider_forms as forms
import pytest
from behind import HOST, Proxy, encrypt
from both_ways import WAYS
from server import Answer, ModelServer, text
from tiny_recipe import KEY

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import TransientError
from selfinstruct.llm.providers import LiteLLM, load
from selfinstruct.records import Reply, Request

ASKED = Request("ideas", 1, "Say something.", system="You are brief.", sampling={"max_tokens": 50})
Change = Callable[[pytest.MonkeyPatch], None]
CLAUDE, VLLM, OPENAI = "anthropic/claude-sonnet-4-5", "hosted_vllm/m", "openai/gpt-4o-mini"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment, and LiteLLM imported before it is changed."""
    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    load()


def asked(
    name: str, base: str | None, requests: Sequence[Request] = (ASKED,), **keys: Any
) -> tuple[list[Reply | Exception], list[str]]:
    """What each request comes to, one after the other, and the notes about the way."""
    given = {"name": name, "api_base": base, "api_key_env": "TINY_KEY", "timeout": 20, **keys}
    config = ModelConfig.model_validate(given)
    config.clear()
    notes: list[str] = []

    async def all_of_them() -> list[Reply | Exception]:
        model = LiteLLM(config)
        model.noted = notes.append
        await model.prepare()
        outcomes: list[Reply | Exception] = []
        for request in requests:
            try:
                (reply,) = await model.complete([request])
                assert reply
                outcomes.append(reply)
            except Exception as error:
                outcomes.append(error)
        await model.close()
        return outcomes

    return asyncio.run(all_of_them()), notes


def text_of(outcome: Reply | Exception) -> str:
    """A reply's text."""
    assert isinstance(outcome, Reply), outcome
    return outcome.text


def shown(outcome: Reply | Exception) -> str:
    """All that it says, but the cost, which an endpoint looks up if it is missing."""
    return repr(replace(outcome, cost_usd=None) if isinstance(outcome, Reply) else outcome)


# A new LiteLLM: what the product takes from it has moved or changed, and LiteLLM's own call still works.


class Renamed:
    """A configuration whose method has another name."""

    def transform_reply(self, **named: Any) -> Any:
        """What `transform_response` was."""


class Rearranged:
    """A configuration whose method takes other arguments."""

    def transform_response(self, model: str, answer: Any) -> Any:
        """See `OwnForm`."""


class Reinterpreted:
    """A configuration whose method counts tokens in another way."""

    def transform_response(self, **named: Any) -> Any:
        """See `OwnForm`."""
        from litellm import AnthropicConfig

        response = AnthropicConfig().transform_response(**named)
        response.usage.prompt_tokens += 1
        return response


def read_by(config: type) -> Change:
    """Have the product find another configuration."""

    def change(patch: pytest.MonkeyPatch) -> None:
        from selfinstruct.llm.direct import forms as product

        found = SimpleNamespace(get_provider_chat_config=lambda **named: config())
        patch.setattr(product, "ProviderConfigManager", found)

    return change


def without(module: str, name: str) -> Change:
    """Take a name from a module of LiteLLM, or of the product that only LiteLLM fills."""

    def change(patch: pytest.MonkeyPatch) -> None:
        for loaded in [loaded for loaded in sys.modules if loaded.startswith("selfinstruct.llm.direct")]:
            patch.delitem(sys.modules, loaded)
        patch.delattr(import_module(module), name)

    return change


def another_transport(patch: pytest.MonkeyPatch) -> None:
    """LiteLLM's transport has no session to ask for."""
    from selfinstruct.llm.direct import asking

    patch.setattr(asking, "like", lambda transport: SimpleNamespace(aclose=_nothing))


async def _nothing() -> None:
    return None


ERRORS = "litellm.litellm_core_utils.exception_mapping_utils"
CHANGES: Mapping[str, tuple[str, Change]] = {
    "the method has another name": (CLAUDE, read_by(Renamed)),
    "the method takes other arguments": (CLAUDE, read_by(Rearranged)),
    "the method means something else": (CLAUDE, read_by(Reinterpreted)),
    "the errors have moved": (VLLM, without(ERRORS, "exception_type")),
    "the transport is another": (VLLM, another_transport),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_new_litellm_is_noticed_before_anything_is_sent(change: str) -> None:
    """Each request is then sent once, through LiteLLM's call, and one note says why."""
    name, make = CHANGES[change]
    form = forms.ANTHROPIC if name == CLAUDE else forms.VLLM
    with ModelServer([Answer(form.replies["text"])], anywhere=True) as server:
        base = server.base.removesuffix("/v1") if name == CLAUDE else server.base
        before, quiet = asked(name, base)
        assert not quiet
        with pytest.MonkeyPatch.context() as patch:
            make(patch)
            after, notes = asked(name, base, [ASKED, ASKED])
            forced, _ = asked(name, base, transport="direct")
    assert [*map(text_of, [*before, *after])] == [forms.TEXT] * 3
    assert len(server.asked) == 3
    assert all(note.startswith(("its replies ", "LiteLLM has changed (")) for note in notes)
    assert len(notes) == 1
    assert isinstance(forced[0], ModelError)
    assert "cannot be asked directly" in str(forced[0])
    assert notes[0] in str(forced[0])


def test_a_parameter_that_a_model_refuses_is_named_whichever_way_is_forced() -> None:
    """Nothing is sent, and the message is LiteLLM's."""
    wrong = Request("ideas", 1, "Say something.", sampling={"reasoning_effort": "low"})
    with ModelServer([text("never")]) as server:
        direct, litellm = [
            asked(OPENAI, server.base, [wrong], transport=way)[0][0] for way in ("direct", "litellm")
        ]
    assert isinstance(direct, ModelError)
    assert "reasoning_effort" in str(direct)
    assert str(direct) == str(litellm)
    assert not server.asked


# What is in between

NAMES = (OPENAI, VLLM)


def alike(name: str, base: str) -> tuple[Reply | Exception, list[str]]:
    """What both ways come to, which is the same, and the notes."""
    (direct,), notes = asked(name, base)
    (litellm,), _ = asked(name, base, transport="litellm")
    assert shown(direct) == shown(litellm)
    return direct, notes


@pytest.mark.parametrize("name", NAMES)
def test_a_proxy_of_the_environment_is_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the whole address, and no name server is asked for it."""
    with ModelServer([Answer(forms.OPENAI.replies["text"])], anywhere=True) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        outcome, notes = alike(name, f"http://{HOST}/v1")
    assert text_of(outcome) == forms.TEXT
    assert not notes
    assert [asked.path for asked in proxy.asked] == [f"http://{HOST}/v1/chat/completions"] * 2


@pytest.mark.parametrize("name", NAMES)
def test_a_proxy_passes_an_encrypted_connection(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the certificate is that of the server behind it, which only SSL_CERT_FILE makes valid."""
    server = ModelServer([Answer(forms.OPENAI.replies["text"])], anywhere=True)
    made = encrypt(server, tmp_path)
    with server, Proxy(server.port).working() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        unknown, _ = alike(name, f"https://{HOST}/v1")
        assert isinstance(unknown, TransientError)
        assert "TLS fails" in str(unknown)
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
        outcome, notes = alike(name, f"https://{HOST}/v1")
    assert text_of(outcome) == forms.TEXT
    assert not notes
    assert {*proxy.asked} == {f"{HOST}:443"}
    assert len(server.asked) == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_certificate_of_the_environment_is_trusted_and_no_other(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a proxy too."""
    server = ModelServer([Answer(forms.OPENAI.replies["text"])], anywhere=True)
    made = encrypt(server, tmp_path)
    base = f"https://127.0.0.1:{server.port}/v1"
    with server:
        unknown, _ = alike(name, base)
        assert isinstance(unknown, TransientError)
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
        outcome, _ = alike(name, base)
    assert text_of(outcome) == forms.TEXT


# Keys, time and silence

OF_ENVIRONMENT = {
    OPENAI: ("OPENAI_BASE_URL", "OPENAI_API_KEY", "/v1"),
    CLAUDE: ("ANTHROPIC_API_BASE", "ANTHROPIC_API_KEY", ""),
    "groq/llama-3.3-70b-versatile": ("GROQ_API_BASE", "GROQ_API_KEY", "/openai/v1"),
    "deepseek/deepseek-chat": ("DEEPSEEK_API_BASE", "DEEPSEEK_API_KEY", ""),
    "openrouter/openai/gpt-4o-mini": ("OPENROUTER_API_BASE", "OPENROUTER_API_KEY", "/api/v1"),
    VLLM: ("HOSTED_VLLM_API_BASE", "HOSTED_VLLM_API_KEY", "/v1"),
}


@pytest.mark.parametrize("name", OF_ENVIRONMENT)
def test_keys_and_addresses_come_from_the_environment_as_litellm_finds_them(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a recipe names neither."""
    address, key_of_provider, path = OF_ENVIRONMENT[name]
    form = forms.ANTHROPIC if name == CLAUDE else forms.OPENAI
    with ModelServer([Answer(form.replies["text"])], anywhere=True) as server:
        monkeypatch.setenv(address, server.base.removesuffix("/v1") + path)
        monkeypatch.setenv(key_of_provider, KEY)
        base = server.base if name == VLLM else None
        outcomes = [asked(name, base, api_key_env=None, transport=way)[0][0] for way in WAYS]
    assert shown(outcomes[0]) == shown(outcomes[1])
    assert text_of(outcomes[0]) == forms.TEXT
    direct, litellm = [{**asked.headers, "content-length": ""} for asked in server.asked]
    assert direct == litellm
    assert (KEY in str(direct)) == (name != VLLM), "a server gets only the key that the recipe names"


@pytest.mark.parametrize("name", [OPENAI, VLLM, CLAUDE])
def test_a_server_that_hangs_or_has_gone(name: str) -> None:
    """The time is over for both ways alike, and both say that nobody answers."""
    base = "http://127.0.0.1:{}" + ("" if name == CLAUDE else "/v1")
    with ModelServer([Answer(delay=5)], anywhere=True) as server:
        hung = [asked(name, base.format(server.port), timeout=0.2, transport=way)[0][0] for way in WAYS]
    assert shown(hung[0]) == shown(hung[1])
    assert str(hung[0]) == "no reply within 0.2 s"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("selfinstruct.llm.providers.reach", lambda base: None)  # as behind a proxy
        gone = [asked(name, base.format(server.port), transport=way)[0][0] for way in WAYS]
    assert shown(gone[0]) == shown(gone[1])
    assert isinstance(gone[0], TransientError)
    assert gone[0].silent
