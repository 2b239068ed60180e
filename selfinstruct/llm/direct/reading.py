"""Read answers as LiteLLM would: what it makes of a finish reason, a thought, an error.

Here are answers in OpenAI's form; `forms` reads the replies of other forms.
"""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
from litellm.litellm_core_utils.core_helpers import map_finish_reason
from litellm.llms.base_llm.chat.transformation import BaseLLMException

from selfinstruct.llm.bodies import cut_error
from selfinstruct.llm.direct.forms import OwnForm, named
from selfinstruct.llm.direct.sending import Answer
from selfinstruct.llm.direct.texts import CHAT
from selfinstruct.llm.guard import LEFT_OUT
from selfinstruct.llm.responses import COST
from selfinstruct.llm.wire import NATIVE, UnusableError, read, status_of

# A thought that the model wrote before its text; LiteLLM takes it out if the server did not.
THOUGHT = re.compile(
    r"<(?:think|thinking|budget:thinking)>(.*?)</(?:think|thinking|budget:thinking)>(.*)", re.DOTALL
)
SAID_COST = "x-litellm-response-cost"  # the header in which a gateway of LiteLLM says what a request cost
SAYS_COST = "openrouter"  # says it in the usage


class Reader:
    """Reads the answers of one model.

    Args:
        request: one of its requests.
        provider: LiteLLM's name for the provider.
        model: the model's name without the provider.
        own: the form of its replies, if that is not OpenAI's.
    """

    def __init__(self, request: httpx.Request, provider: str, model: str, own: OwnForm | None = None) -> None:
        self._request, self._provider, self._model, self._own = request, provider, model, own
        self._path = request.url.path
        self._chat = self._path.endswith(CHAT)

    def read(self, answer: Answer) -> dict[str, Any]:
        """The answer in OpenAI's form; see `responses`.

        Raises:
            UnusableError: if it cannot be read.
            Exception: as LiteLLM would raise it, if it is an error.
        """
        kind = answer.headers.get("content-type")
        status, body = read(self._path, answer.status, answer.content, kind)
        if self._own and 200 <= status < 300:
            return self._own.read(status, body if isinstance(body, bytes) else json.dumps(body).encode())
        if isinstance(body, dict) and self._chat and _means_an_error(body.get("error")):
            status, body = status_of(body["error"]), cut_error(json.dumps(body).encode(), kind)
        if isinstance(body, bytes):
            raise self.error(status, answer, body)
        for choice in body.get("choices") or ():
            if self._chat:
                _as_in_chat(choice)
            elif choice.get("finish_reason"):
                choice["finish_reason"] = map_finish_reason(choice["finish_reason"])
        body[COST] = self._cost(answer, body.get("usage") or {})
        return body

    def error(self, status: int, answer: Answer, content: bytes) -> Exception:
        """The error that LiteLLM would raise for an answer."""
        headers = [
            (name.encode("ascii", "replace"), value.encode("ascii", "replace"))
            for name, value in answer.headers.items()
            if name.lower() not in LEFT_OUT
        ]
        response = httpx.Response(status, headers=headers, content=content, request=self._request)
        source = httpx.HTTPStatusError(f"status {status}", request=self._request, response=response)
        error: Exception = BaseLLMException(status, response.text, response.headers, self._request, response)
        error.__cause__ = source
        found = named(error, self._provider, self._model)
        if found is not error:
            found.__cause__ = error  # LiteLLM's error may not have the answer
        return found

    def _cost(self, answer: Answer, usage: dict[str, Any]) -> float | None:
        """What the provider says that the request cost."""
        said = answer.headers.get(SAID_COST)
        if self._provider == SAYS_COST and usage.get("cost") is not None:
            said = usage["cost"]
        try:
            return None if said is None else float(said)
        except ValueError:
            return None


def _as_in_chat(choice: dict[str, Any]) -> None:
    """Change a choice as LiteLLM does in chat mode; it ignores the index that the provider gave."""
    message = choice.get("message")
    if message is None:
        raise UnusableError("its reply cannot be read; is model.api_base right? (it has no message)")
    choice.pop("index", None)
    if "reasoning_content" not in message and "reasoning" not in message:
        thought = THOUGHT.match(message.get("content") or "")
        if thought:
            message["reasoning_content"], message["content"] = thought.groups()
    said = choice.get("finish_reason")
    if said is None:
        said = "stop"
    if said == "stop" and message.get("tool_calls"):
        said = "tool_calls"
    choice["finish_reason"] = known = map_finish_reason(said)
    if known != said:
        choice[NATIVE] = said


def _means_an_error(error: Any) -> bool:
    """Whether an error beside a reply says anything; some providers send an empty one."""
    if isinstance(error, dict):
        return bool(error.get("message")) or error.get("code") is not None
    return bool(error)
