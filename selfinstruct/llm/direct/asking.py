"""Ask a model directly where that is possible."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.llm.direct.forms import OwnForm
from selfinstruct.llm.direct.reading import Reader
from selfinstruct.llm.direct.sending import Sender, like, proxy_of
from selfinstruct.llm.direct.template import Template
from selfinstruct.llm.direct.texts import CHAT, NotDirectError, Texts
from selfinstruct.llm.direct.writing import Letter, letter
from selfinstruct.llm.failures import unsupported
from selfinstruct.llm.guard import GuardedAiohttp
from selfinstruct.llm.keys import known_keys

MOST_SHAPES = 100  # beyond these it would cost more to have a request written than to send it through LiteLLM
TIER = {"service_tier", "serviceTier"}  # the keys of a request for another tier, such as a cheaper one
OF_OPENAIS_CLIENT = (
    "x-stainless-lang"  # a header of OpenAI's client, for whose answers LiteLLM has one reader
)


@dataclass(frozen=True)
class Form:
    """How requests of one shape are sent and their answers read."""

    template: Template
    sender: Sender
    reader: Reader


class Direct:
    """One model.

    Args:
        library: LiteLLM.
        config: its keys.
        key: the key that LiteLLM is given, if there is one.
    """

    def __init__(self, library: Any, config: ModelConfig, key: str | None) -> None:
        self._config, self._library = config, library
        self._keys = known_keys(key, config.name.partition("/")[0])
        self._forms: dict[object, asyncio.Task[Form | str]] = {}
        self._over: GuardedAiohttp | None = None

    async def ask(
        self, texts: Texts, heard: Callable[[Mapping[str, str]], None] | None = None
    ) -> dict[str, Any]:
        """The answer, in OpenAI's form.

        Raises:
            NotDirectError: if it must be asked through LiteLLM.
            Exception: as LiteLLM would raise it, if the answer is an error.
        """
        if any(not text or text.isspace() for text in texts.texts):
            raise NotDirectError("")  # LiteLLM has rules of its own for these, by provider
        form = await self.form(texts)
        answer = await form.sender.send(form.template.fill(texts.texts, texts.seed))
        if heard:
            heard({name.lower(): value for name, value in answer.headers.items()})
        return form.reader.read(answer)

    async def close(self) -> None:
        """Close its connections."""
        for task in self._forms.values():
            task.cancel()
        await asyncio.gather(*self._forms.values(), return_exceptions=True)
        if self._over is not None:
            await self._over.aclose()

    async def form(self, texts: Texts, again: bool = False) -> Form:
        """The form of a shape; it is made once, even if the first request with it runs out of time.

        Args:
            texts: what is asked.
            again: whether forms may be forgotten and made again, if there are too many to keep.

        Raises:
            NotDirectError: if there is none.
        """
        task = self._forms.get(texts.shape)
        if task is None:
            if len(self._forms) >= MOST_SHAPES:
                if not again:
                    raise NotDirectError("its requests have too many forms")
                self._forms.pop(next(iter(self._forms))).cancel()
            task = self._forms[texts.shape] = asyncio.create_task(self._made(texts))
        found = task.result() if task.done() else await asyncio.shield(task)
        if isinstance(found, str):
            raise NotDirectError(found)
        return found

    async def _made(self, texts: Texts) -> Form | str:
        """The form of a shape, or why it has none; one reason may be that this LiteLLM has moved something.

        Raises:
            Exception: LiteLLM's, if it does not accept a parameter.
        """
        try:
            return await self._built(texts)
        except NotDirectError as error:
            return str(error)
        except Exception as error:
            if unsupported(error):
                raise
            return f"LiteLLM has changed ({type(error).__name__}: {error})"

    async def _built(self, texts: Texts) -> Form:
        count = 2 if texts.listed else len(texts.texts)
        found = self._library.get_llm_provider(self._config.name, api_base=self._config.api_base)
        model, provider = found[:2]
        written = await letter(texts.ask, count, texts.listed, texts.seed is not None, self._keys)
        body = json.loads(written.request.content)
        if TIER.intersection(body):
            raise NotDirectError("LiteLLM knows the prices of its service tiers")
        own = None
        if not _is_openais(written, texts.path, provider, model):
            if texts.path != CHAT:
                raise NotDirectError("its replies have a form of their own")
            own = OwnForm(provider, model, body)
        if self._over is None:
            self._over = like(written.transport)
            self._over.get_valid_client_session()  # fails here, if it has moved
        sender = Sender(written, self._over, await proxy_of(written))
        return Form(written.template, sender, Reader(written.request, provider, model, own))


def _is_openais(written: Letter, end: str, provider: str, model: str) -> bool:
    """Whether LiteLLM would read the answer as one in OpenAI's form, whose requests' paths end so."""
    path = written.request.url.path
    if not path.endswith(end) or (end != CHAT and path.endswith(CHAT)):
        return False
    if OF_OPENAIS_CLIENT in written.request.headers:
        return True
    return _reads_openais(provider, model) if end == CHAT else provider == SERVER


def _reads_openais(provider: str, model: str) -> bool:
    """Whether LiteLLM reads a provider's answers with OpenAI's reader, or one no different to us."""
    from litellm.llms.openai.chat.gpt_transformation import OpenAIGPTConfig
    from litellm.types.utils import LlmProviders
    from litellm.utils import ProviderConfigManager

    config = ProviderConfigManager.get_provider_chat_config(model, LlmProviders(provider))
    own = type(config).transform_response is OpenAIGPTConfig.transform_response
    return own or provider in ALIKE


# Their readers add to OpenAI's what a run does not read, such as an empty text.
SERVER = "hosted_vllm"
ALIKE = ("mistral", "openrouter")
