"""The wire under LiteLLM: nothing goes to where a server points, and no answer fills the memory.

Each way to ask that LiteLLM has a client of its own for is tried against real servers on this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import seed_file
from server import Answer, ModelServer, text
from test_llm import KEY, TINY

from selfinstruct.config import ModelConfig
from selfinstruct.llm import TransientError
from selfinstruct.llm.providers import LiteLLM
from selfinstruct.records import Reply, Request

Typed = Callable[..., tuple[int, str, str]]
CHAT = [
    *("openai/m", "hosted_vllm/m", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "azure/m"),
    *("deepseek/m", "groq/m", "mistral/m", "openrouter/a/m", "together_ai/a/m", "ollama/m", "ollama_chat/m"),
    *("cohere_chat/m", "huggingface/a/m", "fireworks_ai/m", "xai/m", "perplexity/m", "nvidia_nim/m"),
    *("custom_openai/m", "litellm_proxy/m", "databricks/m", "replicate/a/m", "dashscope/m", "moonshot/m"),
]
COMPLETION = ["openai/m", "text-completion-openai/m", "hosted_vllm/m", "azure_text/m", "together_ai/a/m"]
EMBEDDING = [
    *("openai/m", "hosted_vllm/m", "azure/m", "gemini/m", "mistral/m", "cohere/m", "voyage/m", "ollama/m"),
    *("together_ai/m", "jina_ai/m", "litellm_proxy/m"),
]
WAYS = [
    *((name, "chat") for name in CHAT),
    *((name, "completion") for name in COMPLETION),
    *((name, "embedding") for name in EMBEDDING),
]


@pytest.fixture(autouse=True)
def key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's folder with the recipe `tiny` in it, and a key in the environment."""
    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")
    monkeypatch.setattr("selfinstruct.llm.endpoint.FIRST_WAIT", 0.01)
    seed_file(project / "seeds/tiny.jsonl")
    for name, content in TINY.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content, encoding="utf-8")


def asked_once(name: str, mode: str, base: str, timeout: float = 20) -> Reply | Exception:
    """What one request comes to."""

    async def one() -> Reply | Exception:
        keys = {"name": name, "api_base": base, "api_key_env": "TINY_KEY", "timeout": timeout}
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


@pytest.mark.parametrize("code", [307])
def test_nothing_goes_to_where_a_server_points(code: int) -> None:
    """Neither key nor prompt, whichever client asks: that where it points gets nothing at all."""
    wrong = {}
    with ModelServer([text("stolen")], anywhere=True) as other:
        target = f"{other.base}/chat/completions"
        with ModelServer(lambda asked: Answer(b"", code, {"Location": target}), anywhere=True) as server:
            for name, mode in WAYS:
                before, base = len(server.asked), server.base
                outcome = asked_once(name, mode, base)
                sent = len(server.asked) - before
                if not (isinstance(outcome, TransientError) and outcome.misled and target in str(outcome)):
                    wrong[name, mode] = f"{outcome!r} {sent}"
                elif sent != 1:
                    wrong[name, mode] = f"{sent} requests"
                print(name, mode, sent, len(other.asked), repr(outcome)[:200])
        assert not other.asked
    assert not wrong
