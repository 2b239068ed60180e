"""Any provider, through LiteLLM, which is imported here.

`failures` sorts the errors that LiteLLM raises; `fine_tuning` has its calls for tuning jobs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import MODELS, ModelKind, TransientError
from selfinstruct.llm.chat_template import SERVER, ChatTemplate, from_server, template_of
from selfinstruct.llm.direct.possible import DIRECT, THROUGH_LITELLM, why_not
from selfinstruct.llm.direct.texts import CHAT, COMPLETION, VECTORS, Ask, NotDirectError, Texts
from selfinstruct.llm.failures import sort_failure
from selfinstruct.llm.keys import key_of, lends_openai
from selfinstruct.llm.naming import misplaced_parameters
from selfinstruct.llm.prefill import AS_IT_IS, prefill_of
from selfinstruct.llm.prompt_cache import form_of, least_marked, messages, texts_of, with_texts
from selfinstruct.llm.reach import reach
from selfinstruct.llm.responses import COST, cost_of, mapping_of, replies_of, text_of
from selfinstruct.llm.usage import sane, tokens_of
from selfinstruct.monitor.collector import set_aside
from selfinstruct.records import Reply, Request

if TYPE_CHECKING:
    from selfinstruct.llm.direct.asking import Direct, Form
    from selfinstruct.llm.direct.sending import Answer

LOGGERS = ("LiteLLM", "httpx", "httpcore", "openai", "aiohttp", "asyncio")
# Otherwise the first request imports these: later requests would wait, and then be sent all at once.
NEEDED_FIRST = ("openai.resources.chat", "openai.resources.completions")
OPENAI = ("openai", "text-completion-openai")
ADDRESSED = ("hosted_vllm", "litellm_proxy", "lm_studio", "xinference")  # LiteLLM's default is OpenAI
NO_ADDRESS = (
    "model.api_base is not set; set it to the address of your server, such as http://127.0.0.1:8000/v1"
)
# LiteLLM makes this in another thread, and leaves it there if the time for a reply is over by then.
GIVEN_UP = r"coroutine '\w*(Chat|Text|Handler|HTTP)\w*\.\w*completion\w*' was never awaited"
LONGEST_FLUSH = 5.0  # seconds
# Otherwise LiteLLM imports the package mcp for each request with tools, and fails without it.
NO_GATEWAY = {"_skip_mcp_handler": True}


@MODELS.register
def litellm() -> ModelKind:
    """Any model that LiteLLM knows; the first part of its name is the provider."""
    return ModelKind(open=lambda config, project: LiteLLM(config, template_of(config, project)), embeds=True)


class LiteLLM:
    """A model behind LiteLLM; see `Model` and `EmbeddingModel`.

    Args:
        config: its keys.
        template: its chat template, if it is asked in completion mode with one that is not the server's.

    Attributes:
        heard: gets the headers of each answer, their names in lower case, if it is set.
        noted: gets the reason if the model cannot be asked directly although that was expected.

    Raises:
        ModelError: if `api_base` names a server that does not answer, or is needed but not set.
    """

    heard: Callable[[Mapping[str, str]], None] | None = None
    noted: Callable[[str], None] | None = None

    def __init__(self, config: ModelConfig, template: ChatTemplate | None = None) -> None:
        self._config, self._template = config, template
        self.identity: Any = config.api_base
        if config.chat_template:
            self.identity = [config.api_base, [template.text, template.eos] if template else SERVER]
        provider = config.name.split("/")[0]
        if provider == "hosted_vllm" and not config.api_base:
            raise ModelError(f"{config.name}: {NO_ADDRESS}")
        self._fixed: dict[str, Any] = {
            "model": config.name,
            "timeout": config.timeout,
            "max_retries": 0,
        }
        if config.api_base:
            self._fixed["api_base"] = config.api_base
        key = key_of(config)
        if key is None and (config.api_base or lends_openai(provider)):
            key = "none"  # otherwise LiteLLM takes a key from the environment, usually OpenAI's
        self._fixed["api_key"] = key
        self._least = least_marked(config)
        self._library: Any = None
        self._pooled: Any = None
        self._direct: Direct | None = None
        self._reason = ""  # why nothing can be asked directly, although that was expected
        self._told = {""}  # the reasons that were noted; none is no reason

    async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
        """See `Model`."""
        if self._template:
            requests = [self._template.completed(request, self._config.name) for request in requests]
        first, several = requests[0], len(requests) > 1
        wrong = next(misplaced_parameters(first.sampling, "sampling"), None)
        if wrong:  # recipes are checked before; this is for requests from a plug-in
            raise ModelError(str(wrong))
        try:
            response = await self._answer(self._prompts(requests), mapping_of)
        except Exception as error:  # LiteLLM raises the errors of a dozen libraries; all are sorted here
            refused = sort_failure(error, self._config)
            return [None] * len(requests) if several else [refused]  # which one was refused is unknown
        return replies_of(response, self._config, requests)

    async def written(self, request: Request) -> tuple[Form, bytes]:
        """A request as it would be sent directly: its form, and its body.

        Raises:
            ModelError: if it cannot be written.
        """
        if self._template:
            request = self._template.completed(request, self._config.name)
        reason = self._reason
        if self._direct:
            texts = self._prompts([request])
            try:
                form = await self._direct.form(texts, again=True)
                return form, form.template.fill(texts.texts, texts.seed)
            except NotDirectError as error:
                reason = str(error)
            except Exception as error:  # LiteLLM's, such as for a parameter that it does not know
                refused = sort_failure(error, self._config)
                reason = refused.error or ""
        raise ModelError(
            f"{self._config.name} cannot be asked in batches: {reason}\n  write model.batch=false"
        )

    def read(self, form: Form, request: Request, answer: Answer) -> Reply:
        """The reply in an answer to a written request.

        Raises:
            TransientError, RefusedError, ModelError: as `complete`.
        """
        try:
            response = form.reader.read(answer)
        except Exception as error:  # as in `complete`
            return sort_failure(error, self._config)
        (reply,) = replies_of(response, self._config, [request])
        assert reply, "a request alone has a reply"
        return reply

    def space(self, dimensions: int | None) -> Any:
        """See `EmbeddingModel`."""
        return ["litellm", self._config.name, self._config.api_base, dimensions]

    async def embed(self, texts: Sequence[str], dimensions: int | None) -> Reply:
        """See `EmbeddingModel`."""
        try:
            asked = Texts(VECTORS, dimensions, texts, self._embedding(dimensions), listed=True)
            response = await self._answer(asked, _vectors_of)
        except Exception as error:  # as in `complete`
            return sort_failure(error, self._config)
        try:
            rows = sorted(response["data"], key=lambda row: row["index"])
            vectors = [row["embedding"] for row in rows]
        except (KeyError, TypeError) as error:
            raise TransientError("the server failed: its reply has no vectors") from error
        text = "\n".join(texts)
        tokens = sane((response.get("usage") or {}).get("prompt_tokens"), text)
        reply = Reply("", model=self._config.name, vectors=vectors, counted=tokens is None)
        if tokens is None:
            return replace(reply, prompt_tokens=tokens_of(text))
        return replace(reply, prompt_tokens=tokens, cost_usd=response.get(COST))

    async def prepare(self) -> None:
        """See `Model`. LiteLLM's import takes seconds, so it runs in a thread and other work goes on."""
        config = self._config
        if config.api_base:
            await asyncio.to_thread(reach, config.api_base)
            if config.chat_template == SERVER:
                self._template = await asyncio.to_thread(from_server, config.api_base, config.name)
        self._library = await asyncio.to_thread(load)
        if config.name.partition("/")[0] in ADDRESSED:
            found = self._library.get_llm_provider(config.name, api_base=config.api_base)
            if not found[3]:
                raise ModelError(f"{config.name}: {NO_ADDRESS}")
        if config.transport != THROUGH_LITELLM and not why_not(config):
            try:
                from selfinstruct.llm.direct.asking import Direct
            except ImportError as error:
                self._reason = f"LiteLLM has changed ({error})"
                return
            self._direct = Direct(self._library, config, self._fixed["api_key"])

    async def close(self) -> None:
        """See `Model`."""
        if self._direct is not None:
            await self._direct.close()
        if self._library is not None:
            await release(self._library, self._pooled)

    async def _answer(self, texts: Texts, mapped: Callable[[Any], dict[str, Any]]) -> Mapping[str, Any]:
        """The answer, asked for directly if that is possible, and otherwise through LiteLLM's call.

        Args:
            texts: what is asked.
            mapped: makes a mapping of LiteLLM's response.
        """
        reason = self._reason
        if self._direct:
            try:
                return await self._direct.ask(texts, self.heard)
            except NotDirectError as error:
                reason = str(error)
        if reason and self._config.transport == DIRECT:
            whole = f"{self._config.name} cannot be asked directly: {reason}; leave model.transport out"
            raise ModelError(whole)
        from selfinstruct.llm.guard import HEARD

        token = HEARD.set(self.heard)
        try:
            response = await texts.ask(texts.texts, texts.seed)
        finally:
            HEARD.reset(token)
        if self.noted and reason not in self._told:
            self._told.add(reason)
            self.noted(reason)
        return mapped(response)

    def _prompts(self, requests: Sequence[Request]) -> Texts:
        """What these requests ask."""
        first, several = requests[0], len(requests) > 1
        seed, sampling = _without_seed(first.sampling)
        if self._config.mode == "chat":
            written = messages(first, self._least)
            if first.start:
                written, sampling = self._continuing(written, sampling)
            texts = texts_of(written)
            shape = (form_of(written), *_parameters(first, seed))
            return Texts(CHAT, shape, texts, self._chat(written, sampling), seed)
        texts = [text_of(request) for request in requests]
        of_all = (several, *_parameters(first, seed))
        return Texts(COMPLETION, of_all, texts, self._completion(sampling, several), seed, several)

    def _continuing(
        self, written: list[dict[str, Any]], sampling: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
        """The messages and parameters with which the provider continues the last message."""
        prefill = prefill_of(self._config) or AS_IT_IS
        written = [*written[:-1], {**written[-1], **prefill.mark}]
        if not prefill.body:
            return written, sampling
        return written, {**sampling, "extra_body": {**prefill.body, **(sampling.get("extra_body") or {})}}

    def _chat(self, written: Sequence[Mapping[str, Any]], sampling: Mapping[str, Any]) -> Ask:
        async def ask(texts: Sequence[str], seed: int | None) -> Any:
            keys = {**self._client(), **self._fixed, **sampling, **_seeded(seed)}
            if sampling.get("tools"):
                keys |= NO_GATEWAY
            return await self._library.acompletion(messages=with_texts(written, texts), **keys)

        return ask

    def _completion(self, sampling: Mapping[str, Any], several: bool) -> Ask:
        async def ask(texts: Sequence[str], seed: int | None) -> Any:
            prompt = list(texts) if several else texts[0]
            keys = {**self._client(), **self._fixed, **sampling, **_seeded(seed)}
            return await self._library.atext_completion(prompt=prompt, **keys)

        return ask

    def _embedding(self, dimensions: int | None) -> Ask:
        async def ask(texts: Sequence[str], seed: int | None) -> Any:
            client = self._client() if self._config.name.split("/")[0] in OPENAI else {}
            options = {} if dimensions is None else {"dimensions": dimensions}
            return await self._library.aembedding(input=list(texts), **client, **self._fixed, **options)

        return ask

    def _client(self) -> dict[str, Any]:
        """One pooled OpenAI client, if LiteLLM accepts one from us.

        Otherwise LiteLLM opens a new one for each text completion, and for some providers one that asks three
        times.
        """
        if self._pooled is None:
            _, provider, key, base = self._library.get_llm_provider(
                self._config.name, api_base=self._config.api_base, api_key=self._fixed["api_key"]
            )
            alike = self._library.openai_compatible_providers
            if self._config.mode == "completion":
                alike = self._library.openai_text_completion_compatible_providers
            if provider in OPENAI or (base and provider in alike):  # without an address it would ask OpenAI
                anonymous = self._config.strange or provider not in OPENAI
                self._pooled = _openai_client(key or "none", base, self._config.timeout, anonymous)
        return {} if self._pooled is None else {"client": self._pooled}


def load() -> Any:
    """Import LiteLLM, without the network and without a .env; at the first use, since it takes seconds."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    os.environ["AIOHTTP_TRUST_ENV"] = "False"  # otherwise it sends ~/.netrc; proxies work without it
    for name in LOGGERS:
        logging.getLogger(name).setLevel(
            logging.ERROR
        )  # otherwise it warns about each finish reason that it does not know
    warnings.filterwarnings("ignore", module="pydantic")  # about LiteLLM's response types, not ours
    warnings.filterwarnings("ignore", message=GIVEN_UP, category=RuntimeWarning)
    with nullcontext() if "litellm" in sys.modules else set_aside():
        import litellm as library

        for module in NEEDED_FIRST:
            import_module(module)
        from selfinstruct.llm import anonymous, guard

        with suppress(ImportError):  # then `prepare` finds out
            from selfinstruct.llm.direct import asking  # noqa: F401  later it would keep requests waiting

    guard.install()
    anonymous.install()
    library.suppress_debug_info = True
    library.telemetry = False
    library.DEFAULT_MAX_RETRIES = 0  # embedding requests use this even if 0 is given
    return library


async def release(library: Any, client: Any = None) -> None:
    """Close what LiteLLM has opened in this loop, and a client of ours."""
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
    from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

    # Otherwise its task stays, and logs its remaining work in the next run; a request starts it.
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(GLOBAL_LOGGING_WORKER.flush(), LONGEST_FLUSH)
    await GLOBAL_LOGGING_WORKER.stop()
    if client is not None:
        await client.close()
    await close_litellm_async_clients()
    library.in_memory_llm_clients_cache.flush_cache()  # or the next stage gets a closed client
    await asyncio.sleep(0)  # so that connections finish closing before the loop ends


def _openai_client(key: str, base: str | None, timeout: float, anonymous: bool) -> Any:
    from litellm.llms.openai.common_utils import BaseOpenAILLM

    from selfinstruct.llm.anonymous import Anonymous, Once

    over = BaseOpenAILLM._get_async_http_client()
    kind = Anonymous if anonymous else Once
    return kind(api_key=key, base_url=base, http_client=over, timeout=timeout)


def _vectors_of(response: Any) -> dict[str, Any]:
    """LiteLLM's response to texts as a mapping."""
    usage = {"prompt_tokens": getattr(getattr(response, "usage", None), "prompt_tokens", None)}
    return {"data": response.data, "usage": usage, COST: cost_of(response)}


def _without_seed(sampling: Mapping[str, Any]) -> tuple[int | None, Mapping[str, Any]]:
    """The seed, and the other parameters."""
    if type(sampling.get("seed")) is not int:
        return None, sampling
    return sampling["seed"], {key: value for key, value in sampling.items() if key != "seed"}


def _parameters(request: Request, seed: int | None) -> tuple[object, ...]:
    """A key for the parameters except the seed."""
    return seed is None, request.parameters if seed is None else repr(_without_seed(request.sampling)[1])


def _seeded(seed: int | None) -> dict[str, int]:
    return {} if seed is None else {"seed": seed}
