"""Turn LiteLLM's response into replies: each choice's text, its thought, why it ended, and its cost.

If a server returns a thought separately from the text, the thought is put before the text, between `<think>`
and `</think>`, as models write it themselves, so that a reply has only one form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.llm import TransientError
from selfinstruct.llm.usage import Usage, usage_of
from selfinstruct.llm.wire import NATIVE
from selfinstruct.parse.replies import BROKEN_OFF, CONTENT_FILTER, NO_CHOICES
from selfinstruct.records import Reply, Request

LENGTH = "length"
OF_PROVIDER = "llm_provider-"  # what LiteLLM puts before the names of a provider's headers
# Finish reasons of providers that LiteLLM takes for a normal end, or drops.
MEANT = {
    BROKEN_OFF: "error network_error server_error insufficient_system_resource engine_overloaded failed"
    " timeout abort aborted cancelled canceled load unload error_limit malformed_response"
    " malformed_function_call",
    LENGTH: "model_length max_length max_tokens max_output_tokens max_new_tokens token_limit truncated"
    " incomplete pause_turn model_context_window_exceeded context_length repetition_truncation repetition",
    CONTENT_FILTER: "content_filter content_filtered sensitive safety recitation blocklist prohibited_content"
    " spii refusal guardrail_intervened error_toxic risk moderation",
}
MEANING = {reason: meaning for meaning, reasons in MEANT.items() for reason in reasons.split()}
TAG = re.compile(r"<(/?\s*(?:think|thought|reason)\w*\s*)>", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """One choice of a response.

    Attributes:
        place: its index among all choices.
        text: its text, after its thought.
        finish_reason: why it ended, in OpenAI's words or ours.
        said: why it ended, in the provider's words.
        error: the model's refusal, if it refused.
    """

    place: int
    text: str
    finish_reason: str
    said: str
    error: str | None = None


def replies_of(response: Any, config: ModelConfig, requests: Sequence[Request]) -> list[Reply | None]:
    """One reply for each request; None for one of several without a choice. Usage is divided by length.

    Raises:
        TransientError: if the only request has no choice, or its choice broke off.
    """
    choices = sorted(_choices(response, config), key=lambda choice: choice.place)
    whole = [choice for choice in choices if choice.finish_reason != BROKEN_OFF]
    asked = "".join(text_of(request) for request in requests)
    usage = usage_of(response, asked, "".join(choice.text for choice in choices))
    if len(requests) == 1:
        if not whole:
            raise _failed(choices, usage, config)
        return [_reply(response, config, whole, usage, 1.0, 1.0)]
    each = requests[0].sampling.get("n") or 1
    sent = _shares([len(text_of(request)) for request in requests])
    lengths = [0] * len(requests)
    for choice in whole:
        lengths[min(choice.place // each, len(requests) - 1)] += len(choice.text)
    said = _shares(lengths)
    replies: list[Reply | None] = []
    for place in range(len(requests)):
        own = [choice for choice in whole if choice.place // each == place]
        replies.append(_reply(response, config, own, usage, sent[place], said[place]) if own else None)
    return replies


def text_of(request: Request) -> str:
    """A request as one text."""
    return f"{request.system}\n\n{request.prompt}" if request.system else request.prompt


def _choices(response: Any, config: ModelConfig) -> Iterator[Choice]:
    for place, one in enumerate(getattr(response, "choices", None) or []):
        holder = getattr(one, "message", None) if config.mode == "chat" else one
        content = (
            None if holder is None else getattr(holder, "content" if config.mode == "chat" else "text", None)
        )
        if holder is None or (content is None and config.mode == "completion"):
            continue  # there was none; LiteLLM makes one up in completion mode
        said = _native(one)
        reason = MEANING.get(said.lower(), one.finish_reason or "stop")
        index = getattr(one, "index", None)
        refusal = _field(holder, "refusal")
        text = _with_thought(_thought(holder), content or _arguments(holder), reason)
        if refusal and not content:
            reason = CONTENT_FILTER
        yield Choice(place if index is None else index, text, reason, said, refusal if not content else None)


def _native(choice: Any) -> str:
    """Why a choice ended, in the provider's own words."""
    own = getattr(choice, NATIVE, None) or _field(choice, NATIVE)
    return str(own or choice.finish_reason or "stop")


def _field(holder: Any, name: str) -> str | None:
    """A text of the provider in a field that OpenAI's form does not have."""
    found = (getattr(holder, "provider_specific_fields", None) or {}).get(name) or getattr(holder, name, None)
    return found if isinstance(found, str) and found else None


def _thought(holder: Any) -> str:
    """The model's thought before its answer, as text."""
    for name in ("reasoning_content", "reasoning"):
        found = _field(holder, name)
        if found:
            return found
    blocks = getattr(holder, "thinking_blocks", None) or []
    return "\n".join(str(block.get("thinking") or "") for block in blocks if isinstance(block, dict)).strip()


def _with_thought(thought: str, content: str, reason: str) -> str:
    if not thought.strip():
        return content
    begin = "<think>" + TAG.sub(r"(\1)", thought)  # without tags in it, which could end it early
    if content.strip():
        return f"{begin}</think>\n{content}"
    return begin if reason == LENGTH else f"{begin}</think>"


def _arguments(holder: Any) -> str:
    """The arguments of a model's tool calls; some models write all JSON there, as their answer."""
    calls: list[Any] = [getattr(call, "function", None) for call in getattr(holder, "tool_calls", None) or []]
    calls.append(getattr(holder, "function_call", None))
    return "\n".join(str(call.arguments) for call in calls if getattr(call, "arguments", None))


def _failed(choices: list[Choice], usage: Usage, config: ModelConfig) -> TransientError:
    """The error for a missing or incomplete reply."""
    if not choices:
        last = Reply("", NO_CHOICES, config.name, error="the reply has no choices")
        return TransientError("the reply has no choices", last=last)
    words = f"the server broke the reply off (finish reason {choices[0].said!r})"
    last = Reply(choices[0].text, BROKEN_OFF, config.name, usage.sent, usage.said, error=words)
    return TransientError(words, last=last)


def _reply(
    response: Any, config: ModelConfig, choices: list[Choice], usage: Usage, sent: float, said: float
) -> Reply:
    """A reply with these choices, and with its share of the tokens sent and received."""
    hidden = getattr(response, "_hidden_params", None) or {}
    cost = None if usage.counted else hidden.get("response_cost")
    name = getattr(response, "model", None) or config.name
    provider = config.name.split("/")[0]
    return Reply(
        text=choices[0].text,
        finish_reason=choices[0].finish_reason,
        model=name if name.startswith(f"{provider}/") else f"{provider}/{name}",
        prompt_tokens=round(usage.sent * sent),
        completion_tokens=round(usage.said * said),
        cost_usd=None if cost is None else cost * (sent + said) / 2,
        error=choices[0].error if len(choices) == 1 else None,  # otherwise it would count for all
        others=tuple((choice.text, choice.finish_reason) for choice in choices[1:]),
        counted=usage.counted,
    )


def _shares(lengths: list[int]) -> list[float]:
    """Each length's share of the sum; equal shares if the sum is zero."""
    whole = sum(lengths)
    return [length / whole if whole else 1 / len(lengths) for length in lengths]


def headers_of(response: Any) -> dict[str, str]:
    """The provider's headers as LiteLLM passes them on, their names in lower case; empty if it does not.

    LiteLLM 1.106 has none of a text completion, of Gemini, and of `hosted_vllm` embeddings.
    """
    hidden = getattr(response, "_hidden_params", None) or {}
    passed_on = hidden.get("additional_headers") if isinstance(hidden, dict) else None
    before = len(OF_PROVIDER)
    return {
        str(name)[before:].lower(): str(value)
        for name, value in (passed_on or {}).items()
        if str(name).startswith(OF_PROVIDER)
    }
