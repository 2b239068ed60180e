"""Read replies that are not in OpenAI's form, with LiteLLM's own code for their provider.

`Reader` calls `transform_response` of the provider's configuration as `acompletion` would, without the rest.
Before it reads a reply that was paid for, it reads a small one whose meaning is known (`TRIALS`): so a new
LiteLLM that has moved or changed the method is noticed before anything is sent. To read the form of another
provider, add a trial for it; without one it counts as OpenAI's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


class MovedError(Exception):
    """LiteLLM lacks the method that reads a provider's replies, or the method has changed."""


@dataclass(frozen=True)
class _Log:
    """What the methods use of LiteLLM's logging object."""

    optional_params: Mapping[str, Any]
    model_call_details: dict[str, Any] = field(default_factory=dict)

    def pre_call(self, *given: Any, **named: Any) -> None:
        """Nothing is logged."""

    post_call = pre_call


class Reader:
    """Reads the replies of one model.

    Args:
        provider: its provider in LiteLLM, such as `anthropic`.
        model: its name there, without the provider.

    Raises:
        MovedError: if its replies cannot be read.
    """

    def __init__(self, provider: str, model: str) -> None:
        self._provider, self._model = provider, model
        trial = TRIALS.get(provider, OPENAI)
        try:
            self._config = _config_of(provider, model)
            found = self.read(200, {}, json.dumps(trial.body).encode(), {"messages": []})
            (choice,), usage = found.choices, found.usage
            text, reason = choice.message.content, choice.finish_reason
            meaning = (text, reason, usage.prompt_tokens, usage.completion_tokens)
        except Exception as error:  # whatever a changed method raises
            raise MovedError(f"{type(error).__name__}: {error}") from error
        if meaning != (TEXT, trial.finish_reason, SENT, SAID):
            raise MovedError(f"a known reply is read as {meaning}")

    def read(self, status: int, headers: Mapping[str, str], body: bytes, asked: Mapping[str, Any]) -> Any:
        """LiteLLM's response; `responses.mapping_of` makes a mapping in OpenAI's form of it.

        Args:
            status: the status of the answer.
            headers: its headers.
            body: its body, as `wire.mended` returns it.
            asked: the body of the request.

        Raises:
            Exception: what LiteLLM raises for a reply that it cannot read; see `raised`.
        """
        import httpx
        import litellm

        return self._config.transform_response(
            model=self._model,
            raw_response=httpx.Response(status, headers=dict(headers), content=body),
            model_response=litellm.ModelResponse(),
            logging_obj=_Log(asked),
            request_data=dict(asked),
            messages=asked.get("messages") or [],
            optional_params=dict(asked),
            litellm_params={},
            encoding=None,
            api_key="",
            json_mode=_wants_json(asked),
        )

    def raised(self, error: Exception) -> Exception:
        """The error that `acompletion` would raise in place of one that was raised here."""
        import litellm

        try:
            litellm.exception_type(
                model=self._model, original_exception=error, custom_llm_provider=self._provider
            )
        except Exception as mapped:
            return mapped
        return error


def _config_of(provider: str, model: str) -> Any:
    """LiteLLM's configuration of a model for chat."""
    from litellm.types.utils import LlmProviders
    from litellm.utils import ProviderConfigManager

    return ProviderConfigManager.get_provider_chat_config(model=model, provider=LlmProviders(provider))


def _wants_json(asked: Mapping[str, Any]) -> bool:
    """Whether LiteLLM asks for JSON by a tool, whose call is then the text of the reply."""
    from litellm.constants import RESPONSE_FORMAT_TOOL_NAME

    tools = [tool for tool in asked.get("tools") or [] if isinstance(tool, dict)]
    return any(
        RESPONSE_FORMAT_TOOL_NAME in (tool.get("name"), tool.get("function", {}).get("name"))
        for tool in tools
    )
