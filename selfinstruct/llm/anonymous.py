"""OpenAI's client, which works with most servers, changed to identify the user only to OpenAI.

The original client sends the organization, the project and the headers that it finds in the environment to
any server, and so do the clients that LiteLLM makes for itself.
"""

from __future__ import annotations

from typing import Any

from litellm.llms.openai import openai as chat
from litellm.llms.openai.common_utils import BaseOpenAILLM
from litellm.llms.openai.completion import handler as completion
from litellm.llms.openai.fine_tuning import handler as fine_tuning
from openai import AsyncOpenAI, Omit

from selfinstruct.llm.addresses import read

HOST = "api.openai.com"


class Once(AsyncOpenAI):
    """A client that sends each request only once, without retries."""

    max_retries = property(lambda self: 0, lambda self, retries: None)  # LiteLLM sets 2 for some


class Anonymous(Once):
    """A client that sends nothing from the environment."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(**keys)
        self._custom_headers = {}  # from OPENAI_CUSTOM_HEADERS

    @property
    def default_headers(self) -> Any:
        """The headers of each request."""
        return {**super().default_headers, "OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}


def install() -> None:
    """Make LiteLLM use such clients too, for all servers except OpenAI's."""
    chat.AsyncOpenAI = completion.AsyncOpenAI = fine_tuning.AsyncOpenAI = _Client


class _Chooser(type):
    """Makes `_Client` return the client that fits the server; LiteLLM also uses it in `isinstance`."""

    def __call__(cls, **keys: Any) -> AsyncOpenAI:
        address = read(str(keys.get("base_url") or f"https://{HOST}"))
        # LiteLLM gives no HTTP client for files and tuning jobs; OpenAI's own would follow redirects.
        keys.setdefault("http_client", BaseOpenAILLM._get_async_http_client())
        return AsyncOpenAI(**keys) if address and address.host == HOST else Anonymous(**keys)

    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, AsyncOpenAI)


class _Client(metaclass=_Chooser):
    """Stands in for `AsyncOpenAI` in LiteLLM's modules."""
