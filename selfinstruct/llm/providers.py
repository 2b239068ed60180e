"""Any provider, through LiteLLM; the only module that imports it.

What LiteLLM raises is turned into one of three things: a reply that says this one request was refused, a
`TransientError` for another attempt, or a `ModelError` with cause and remedy that ends the run.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import warnings
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import MODELS, ModelKind, TransientError
from selfinstruct.records import Reply, Request

LOGGERS = ("LiteLLM", "httpx", "httpcore", "openai", "aiohttp", "asyncio")
OPENAI = ("openai", "text-completion-openai")
# What LiteLLM puts before the provider's words, and the advice that it puts after them.
PREFIX = re.compile(r"([\w.]*(Error|Timeout)( Error)?: )*([\w-]+Exception - )?(Error code: \d+ - )?")
ADVICE = " To drop "
MESSAGE = re.compile(r"""^\{.*?['"]message['"]:\s*(['"])(.+?)\1\s*[,}]""")


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
        self._config = config
        provider = config.name.split("/")[0]
        if config.api_base:
            _reach(config.api_base)
        elif provider == "hosted_vllm":  # LiteLLM would send the prompts to OpenAI
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

    async def complete(self, request: Request) -> Reply:
        """See `Model`."""
        self._library = self._library or _library()
        try:
            if self._config.mode == "chat":
                response = await self._library.acompletion(
                    messages=_messages(request), **self._fixed, **request.sampling
                )
            else:
                response = await self._library.atext_completion(
                    prompt=_text(request), client=self._client(), **self._fixed, **request.sampling
                )
        except Exception as error:  # LiteLLM raises the errors of a dozen libraries; all are sorted here
            return _sort(error, self._config)
        return _reply(response, self._config)

    async def close(self) -> None:
        """See `Model`."""
        if self._library is None:
            return
        from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

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

    library.suppress_debug_info = True
    library.telemetry = False
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


def _reply(response: Any, config: ModelConfig) -> Reply:
    choices = getattr(response, "choices", None) or []
    if not choices:
        raise TransientError("the reply has no choices")
    first = choices[0]
    text = first.message.content if config.mode == "chat" else first.text
    usage = getattr(response, "usage", None)
    hidden = getattr(response, "_hidden_params", None) or {}
    withheld = first.finish_reason == "content_filter" and not text
    reply = Reply(
        text=text or "",
        finish_reason=first.finish_reason or "stop",
        model=getattr(response, "model", None) or config.name,
        prompt_tokens=getattr(usage, "prompt_tokens", 0) or 0,
        completion_tokens=getattr(usage, "completion_tokens", 0) or 0,
        cost_usd=hidden.get("response_cost"),
        error="the provider's content filter withheld the reply" if withheld else None,
    )
    if not withheld and config.mode == "completion" and text is None and not reply.completion_tokens:
        raise TransientError("the reply has no choices")  # LiteLLM made one up
    return reply


def _sort(error: Exception, config: ModelConfig) -> Reply:
    """What a failure means: a refused request, another attempt, or the end of the run."""
    names = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(error, "status_code", None)
    words = _words(error, config)
    if "ContextWindowExceededError" in names:
        return Reply("", "context", config.name, error=words)
    if "ContentPolicyViolationError" in names:
        return Reply("", "content_filter", config.name, error=words)
    if status == 429 and not _money_gone(error):
        raise TransientError("the provider asks to go slower (429)", _retry_after(error)) from error
    if status == 408:
        raise TransientError(f"no reply within {config.timeout:g} s") from error
    if isinstance(status, int) and (400 <= status < 500 or _unsupported(error)):
        raise ModelError(f"{config.name}: {_remedy(status, error, config)}\n  {words}") from error
    if status is None and not isinstance(error, OSError):
        raise error  # not a provider's failure: a bug keeps its traceback
    if _unreadable(error):
        words = f"its reply cannot be read; is model.api_base right? ({words})"
    raise TransientError(f"the server failed: {words}", _retry_after(error)) from error


def _remedy(status: int, error: Exception, config: ModelConfig) -> str:
    if _unsupported(error):
        return "the provider does not take one of the parameters; leave it out: model.sampling.NAME=null"
    if status in (401, 403):
        source = f"from {config.api_key_env}" if config.api_key_env else "(model.api_key_env is not set)"
        return f"the key {source} was refused; nothing more was sent"
    if status == 404:
        return "the provider does not know this model; look at model.name and model.api_base"
    if status in (402, 429):
        return "the account has no money left; top it up and run the same command again"
    return "the provider refused the request as it is; look at model.name, model.mode and model.sampling"


def _words(error: Exception, config: ModelConfig) -> str:
    """The provider's own words on one line, without the library's; a key that they repeat is left out."""
    text = " ".join(str(getattr(error, "message", "") or error).split())
    key = os.environ.get(config.api_key_env or "OPENAI_API_KEY", "")
    if len(key) >= 8:  # shorter ones are words such as "none"
        text = text.replace(key, "***")
    text = PREFIX.sub("", text, count=1).split(ADVICE)[0]
    found = MESSAGE.match(text)
    return (found[2] if found else text)[:300]


def _money_gone(error: Exception) -> bool:
    """Only chat with OpenAI's own client hands the code on; elsewhere it stands among the words."""
    body = getattr(error, "body", None)
    code = body.get("code") if isinstance(body, dict) else None
    return code == "insufficient_quota" or "insufficient_quota" in str(error)


def _unsupported(error: Exception) -> bool:
    """Whether a parameter is unknown, to LiteLLM or to OpenAI's client under it; nothing was sent then."""
    return type(error).__name__ == "UnsupportedParamsError" or "unexpected keyword argument" in str(error)


def _unreadable(error: BaseException | None) -> bool:
    """Whether the library stumbled over a reply that is no JSON, or none of a model's."""
    while error is not None:
        if isinstance(error, ValueError | AttributeError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _retry_after(error: Exception) -> float | None:
    headers = getattr(error, "litellm_response_headers", None) or {}
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):  # a date is allowed too; our own waiting serves then
        return None
