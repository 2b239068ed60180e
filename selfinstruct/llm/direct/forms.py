"""Read replies that are not in OpenAI's form, with LiteLLM's own code for their provider.

`OwnForm` calls `transform_response` of the provider's configuration as `acompletion` would, without the rest.
Before it reads a reply that was paid for, it reads a small one whose meaning is known (`TRIALS`): so a new
LiteLLM that has moved or changed the method is noticed before anything is sent, and the model is asked
through LiteLLM's call. To read the form of another
provider, add a trial for it; without one it counts as OpenAI's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import litellm
from litellm.constants import RESPONSE_FORMAT_TOOL_NAME
from litellm.litellm_core_utils.exception_mapping_utils import exception_type
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.types.utils import LlmProviders
from litellm.utils import ProviderConfigManager

from selfinstruct.llm.bodies import LONGEST_NAME
from selfinstruct.llm.direct.texts import NotDirectError
from selfinstruct.llm.responses import COST, mapping_of
from selfinstruct.llm.wire import UnusableError, json_object, unreadable

TEXT, SENT, SAID = "Hello.", 5, 2  # what each trial means


@dataclass(frozen=True)
class Trial:
    """A reply that means `TEXT`, with `SENT` tokens sent and `SAID` tokens received.

    Attributes:
        body: the reply as the provider would send it.
        finish_reason: why it ended, in OpenAI's words; some of LiteLLM's methods do not look.
    """

    body: Mapping[str, Any]
    finish_reason: str = "length"


OPENAI = Trial(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "service_tier": "default",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "length"}
        ],
        "usage": {"prompt_tokens": SENT, "completion_tokens": SAID, "total_tokens": SENT + SAID},
    }
)
TRIALS = {
    "anthropic": Trial(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": TEXT}],
            "stop_reason": "max_tokens",
            "stop_sequence": None,
            "usage": {"input_tokens": SENT, "output_tokens": SAID},
        }
    ),
    "gemini": Trial(
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": TEXT}], "role": "model"},
                    "finishReason": "MAX_TOKENS",
                    "index": 0,
                }
            ],
            "usageMetadata": {
                "promptTokenCount": SENT,
                "candidatesTokenCount": SAID,
                "totalTokenCount": SENT + SAID,
            },
            "modelVersion": "m",
            "responseId": "r",
        }
    ),
    "ollama": Trial(
        {
            "model": "m",
            "response": TEXT,
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": SENT,
            "eval_count": SAID,
        },
        "stop",
    ),
    "ollama_chat": Trial(
        {
            "model": "m",
            "message": {"role": "assistant", "content": TEXT},
            "done": True,
            "done_reason": "length",
            "prompt_eval_count": SENT,
            "eval_count": SAID,
        }
    ),
    "cohere_chat": Trial(
        {
            "id": "r",
            "text": TEXT,  # in the first version of its interface, and then in the second
            "meta": {"billed_units": {"input_tokens": SENT, "output_tokens": SAID}},
            "message": {"role": "assistant", "content": [{"type": "text", "text": TEXT}]},
            "finish_reason": "COMPLETE",
            "usage": {"tokens": {"input_tokens": SENT, "output_tokens": SAID}},
        },
        "stop",
    ),
}
TRIALS["cohere"] = TRIALS["cohere_chat"]
# Where a server may leave these out, LiteLLM counts the tokens of the request, which it does not have here.
COUNTS = dict.fromkeys(("ollama", "ollama_chat"), ("prompt_eval_count", "eval_count"))
FREE = ("ollama", "ollama_chat")  # LiteLLM says of each of their replies that it cost nothing
NO_TEXTS: Mapping[str, Any] = {"prompt": "", "messages": []}


@dataclass(frozen=True)
class _Log:
    """What the methods use of LiteLLM's logging object."""

    optional_params: Mapping[str, Any]
    model_call_details: dict[str, Any] = field(default_factory=dict)

    def pre_call(self, *given: Any, **named: Any) -> None:
        """Nothing is logged."""

    post_call = pre_call


class OwnForm:
    """The form of one model's replies.

    Args:
        provider: its provider in LiteLLM, such as `anthropic`.
        model: its name there, without the provider.
        asked: the body of a request, with any texts.

    Raises:
        NotDirectError: if LiteLLM lacks the method that reads them, or the method has changed.
    """

    def __init__(self, provider: str, model: str, asked: Mapping[str, Any]) -> None:
        self._provider, self._model, self._asked = provider, model, {**asked, **NO_TEXTS}
        self._json = _wants_json(asked)
        trial = TRIALS.get(provider, OPENAI)
        try:
            self._config = _config_of(provider, model)
            response = self._read(200, json.dumps(trial.body).encode())
            (choice,), usage = response.choices, response.usage
            text, reason = choice.message.content, choice.finish_reason
            meaning = (text, reason, usage.prompt_tokens, usage.completion_tokens)
        except Exception as error:  # whatever a changed method raises
            raise NotDirectError(f"its replies cannot be read: {type(error).__name__}: {error}") from error
        if meaning != (TEXT, trial.finish_reason, SENT, SAID):
            raise NotDirectError(f"its replies are read in an unknown way: {meaning}")

    def read(self, status: int, body: bytes) -> dict[str, Any]:
        """A reply in OpenAI's form; see `responses`.

        Args:
            status: the status of the answer.
            body: its body, as `wire` leaves it.

        Raises:
            UnusableError: if it cannot be read.
            Exception: what LiteLLM raises if it says why it cannot be read.
        """
        given = json_object(body)
        try:
            found = mapping_of(self._read(status, body))
        except BaseLLMException as error:
            raise named(error, self._provider, self._model) from error
        except Exception as error:  # the reply lacks something
            why = " ".join(str(error).split())[:LONGEST_NAME]
            raise UnusableError(unreadable(f"{type(error).__name__}: {why}")) from error
        if any(count not in given for count in COUNTS.get(self._provider, ())):
            found["usage"] = None
        elif self._provider in FREE:
            found[COST] = 0.0
        return found

    def _read(self, status: int, body: bytes) -> Any:
        return self._config.transform_response(
            model=self._model,
            raw_response=httpx.Response(status, content=body),
            model_response=litellm.ModelResponse(),
            logging_obj=_Log(self._asked),
            request_data=dict(self._asked),
            messages=[],
            optional_params=dict(self._asked),
            litellm_params={},
            encoding=None,
            api_key="",
            json_mode=self._json,
        )


def named(error: Exception, provider: str, model: str) -> Exception:
    """The error that LiteLLM's call would raise instead of one that was raised under it."""
    try:
        exception_type(model, error, provider)
    except Exception as found:
        return found
    return error


def _config_of(provider: str, model: str) -> Any:
    """LiteLLM's configuration of a model for chat."""
    return ProviderConfigManager.get_provider_chat_config(model=model, provider=LlmProviders(provider))


def _wants_json(asked: Mapping[str, Any]) -> bool:
    """Whether LiteLLM asks for JSON by a tool, whose call is then the text of the reply."""
    tools = [tool for tool in asked.get("tools") or [] if isinstance(tool, dict)]
    return any(
        RESPONSE_FORMAT_TOOL_NAME in (tool.get("name"), tool.get("function", {}).get("name"))
        for tool in tools
    )
