"""Any provider, through LiteLLM; the only module that imports it.

What it raises is sorted in `failures`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import MODELS, ModelKind, TransientError
from selfinstruct.llm.embedding import Embedded
from selfinstruct.llm.failures import sort_failure
from selfinstruct.records import Reply, Request
from selfinstruct.replies import NO_CHOICES

LOGGERS = ("LiteLLM", "httpx", "httpcore", "openai", "aiohttp", "asyncio")
# Imported by the first request otherwise: those after it would wait, and then go out all at once.
NEEDED_FIRST = ("openai.resources.chat", "openai.resources.completions")
OPENAI = ("openai", "text-completion-openai")
LONGEST_FLUSH = 5.0  # seconds


@MODELS.register
def litellm() -> ModelKind:
    """Any model that LiteLLM knows; the first part of its name is the provider."""
    return ModelKind(open=lambda config, project: LiteLLM(config))


class LiteLLM:
    """A model behind LiteLLM; see `Model`.

    Raises:
        ModelError: where `api_base` names a server that does not answer, or is needed and not set.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._config, self.identity = config, config.api_base
        provider = config.name.split("/")[0]
        if provider == "hosted_vllm" and not config.api_base:  # LiteLLM would send the prompts to OpenAI
            raise ModelError(
                f"{config.name}: model.api_base is not set; set it to the address of your server, "
                "such as http://127.0.0.1:8000/v1"
            )
        self._fixed: dict[str, Any] = {
            "model": config.name,
            "timeout": config.timeout,
            "max_retries": 0,
        }
        if config.api_base:
            self._fixed["api_base"] = config.api_base
        key = os.environ.get(config.api_key_env) if config.api_key_env else None
        if key is None and config.api_base:
            key = "none"  # OpenAI's client insists on one; a server of one's own does not
        elif key is None and provider in OPENAI:
            key = os.environ.get("OPENAI_API_KEY", "none")
        self._fixed["api_key"] = key
        self._library: Any = None
        self._pooled: Any = None

    async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
        """See `Model`."""
        first, several = requests[0], len(requests) > 1
        try:
            if self._config.mode == "chat":
                response = await self._library.acompletion(
                    messages=_messages(first), **self._fixed, **first.sampling
                )
            else:
                texts = [_text(request) for request in requests]
                response = await self._library.atext_completion(
                    prompt=texts if several else texts[0],
                    client=self._client(),
                    **self._fixed,
                    **first.sampling,
                )
        except Exception as error:  # LiteLLM raises the errors of a dozen libraries; all are sorted here
            refused = sort_failure(error, self._config)
            return [None] * len(requests) if several else [refused]  # which of several it was is not said
        return _replies(response, self._config, requests)

    async def embed(self, texts: Sequence[str], dimensions: int | None) -> Embedded | Reply:
        """The vectors of some texts; see `EmbeddingModel`."""
        options = {} if dimensions is None else {"dimensions": dimensions}
        await self.prepare()
        try:
            response = await self._library.aembedding(input=list(texts), **self._fixed, **options)
            rows = sorted(response.data, key=lambda row: row["index"])
            vectors = [row["embedding"] for row in rows]
        except Exception as error:
            return sort_failure(error, self._config)
        hidden = getattr(response, "_hidden_params", None) or {}
        return Embedded(vectors, _usage(response)[0], hidden.get("response_cost"))

    async def prepare(self) -> None:
        """See `Model`. LiteLLM's import takes seconds, in which nothing else should wait or lose its turn."""
        if self._config.api_base:
            await asyncio.to_thread(_reach, self._config.api_base)
        self._library = await asyncio.to_thread(_library)

    async def close(self) -> None:
        """See `Model`."""
        if self._library is None:
            return
        from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
        from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

        # Its task would be left over, and what it was yet to do told of in the next run; a request starts it.
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(GLOBAL_LOGGING_WORKER.flush(), LONGEST_FLUSH)
        await GLOBAL_LOGGING_WORKER.stop()
        if self._pooled is not None:
            await self._pooled.close()
        await close_litellm_async_clients()
        self._library.in_memory_llm_clients_cache.flush_cache()  # else the next stage gets a closed client
        await asyncio.sleep(0)  # let closed connections say goodbye before the loop ends

    def _client(self) -> Any:
        """One pooled client for text completion, for which LiteLLM opens a new one each time.

        It sends through LiteLLM's own transport, which does thrice as many requests a second as httpx's.
        """
        if self._pooled is not None:
            return self._pooled
        _, provider, key, base = self._library.get_llm_provider(
            self._config.name, api_base=self._config.api_base, api_key=self._fixed["api_key"]
        )
        if provider in (*OPENAI, *self._library.openai_text_completion_compatible_providers):
            from litellm.llms.openai.common_utils import BaseOpenAILLM
            from openai import AsyncOpenAI

            self._pooled = AsyncOpenAI(
                api_key=key or "none",
                base_url=base,
                http_client=BaseOpenAILLM._get_async_http_client(),
                timeout=self._config.timeout,
                max_retries=0,
            )
        return self._pooled


def _library() -> Any:
    """LiteLLM, imported at the first use since that takes seconds, without network and without a .env."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="pydantic")  # of its own response types, nothing of ours
    import litellm as library

    for module in NEEDED_FIRST:
        import_module(module)
    library.suppress_debug_info = True
    library.telemetry = False
    library.DEFAULT_MAX_RETRIES = 0  # which embedding takes where 0 was asked for
    return library


def _reach(api_base: str) -> None:
    """Knock at a server before the first request, so that a wrong address is known at once.

    Behind a proxy the server need not be reachable from here, so nothing can be told.
    """
    address = urlsplit(api_base)
    if getproxies() and not proxy_bypass(address.hostname or ""):
        return
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname or "", port), timeout=5).close()
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{api_base}: no server answers there ({getattr(error, 'strerror', None) or error}). "
            "Start it, or set model.api_base"
        ) from error


def _messages(request: Request) -> list[dict[str, str]]:
    system = [{"role": "system", "content": request.system}] if request.system else []
    return [*system, {"role": "user", "content": request.prompt}]


def _text(request: Request) -> str:
    return f"{request.system}\n\n{request.prompt}" if request.system else request.prompt


def _replies(response: Any, config: ModelConfig, requests: Sequence[Request]) -> list[Reply | None]:
    """One reply a request; with several, the usage is shared out by length.

    Raises:
        TransientError: where the only one has no choice.
    """
    choices = _choices(response, config)
    if len(requests) == 1:
        if not choices:
            last = Reply("", NO_CHOICES, config.name, error="the reply has no choices")
            raise TransientError("the reply has no choices", last=last)
        return [_reply(response, config, choices, 1.0, 1.0)]
    each = requests[0].sampling.get("n") or 1
    shares = _shares([len(_text(request)) for request in requests])
    lengths = [0] * len(requests)
    for index, text, _ in choices:
        lengths[min(index // each, len(requests) - 1)] += len(text)
    said = _shares(lengths)
    replies: list[Reply | None] = []
    for place in range(len(requests)):
        own = [choice for choice in choices if choice[0] // each == place]
        replies.append(_reply(response, config, own, shares[place], said[place]) if own else None)
    return replies


Choice = tuple[int, str, str]  # its place among all, its text, and why it ended


def _choices(response: Any, config: ModelConfig) -> list[Choice]:
    """The choices of a response, in order."""
    found = []
    for place, choice in enumerate(getattr(response, "choices", None) or []):
        text = choice.message.content if config.mode == "chat" else choice.text
        index = getattr(choice, "index", None)
        found.append((place if index is None else index, text or "", choice.finish_reason or "stop"))
        if text is None and config.mode == "completion" and not _usage(response)[1]:
            found.pop()  # LiteLLM made one up
    return sorted(found, key=lambda choice: choice[0])


def _reply(response: Any, config: ModelConfig, choices: list[Choice], sent: float, said: float) -> Reply:
    """A reply of these choices, with its share of what was sent and of what was said."""
    prompt_tokens, completion_tokens = _usage(response)
    hidden = getattr(response, "_hidden_params", None) or {}
    cost = hidden.get("response_cost")
    name = getattr(response, "model", None) or config.name
    provider = config.name.split("/")[0]
    return Reply(
        text=choices[0][1],
        finish_reason=choices[0][2],
        model=name if name.startswith(f"{provider}/") else f"{provider}/{name}",
        prompt_tokens=round(prompt_tokens * sent),
        completion_tokens=round(completion_tokens * said),
        cost_usd=None if cost is None else cost * (sent + said) / 2,
        others=tuple((text, why) for _, text, why in choices[1:]),
    )


def _usage(response: Any) -> tuple[int, int]:
    usage = getattr(response, "usage", None)
    return getattr(usage, "prompt_tokens", 0) or 0, getattr(usage, "completion_tokens", 0) or 0


def _shares(lengths: list[int]) -> list[float]:
    """Each one's share of the whole; equal ones of nothing."""
    whole = sum(lengths)
    return [length / whole if whole else 1 / len(lengths) for length in lengths]
