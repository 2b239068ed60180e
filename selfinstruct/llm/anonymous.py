"""OpenAI's client, which most servers can be asked with; who asks it tells OpenAI alone.

It sends the organization, the project and the headers that it finds in the environment, whatever server it
asks, and so do those that LiteLLM makes for itself.
"""

from __future__ import annotations

from typing import Any

from litellm.llms.openai import openai as chat
from litellm.llms.openai.completion import handler as completion
from openai import AsyncOpenAI, Omit

from selfinstruct.llm.addresses import read

HOST = "api.openai.com"


class Once(AsyncOpenAI):
    """A client that asks once."""

    max_retries = property(lambda self: 0, lambda self, retries: None)  # LiteLLM sets 2 for some


class Anonymous(Once):
    """One that sends nothing that it, or LiteLLM, finds in the environment."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(**keys)
        self._custom_headers = {}  # of OPENAI_CUSTOM_HEADERS

    @property
    def default_headers(self) -> Any:
        """What goes with each request."""
        return {**super().default_headers, "OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}


def install() -> None:
    """Let LiteLLM make such clients too, where another server is asked than OpenAI's."""
    chat.AsyncOpenAI = completion.AsyncOpenAI = _client


def _client(**keys: Any) -> AsyncOpenAI:
    address = read(str(keys.get("base_url") or f"https://{HOST}"))
    return AsyncOpenAI(**keys) if address and address.host == HOST else Anonymous(**keys)
