"""Turn a response into replies: each choice's text, its thought, why it ended, and its cost.

A response is a mapping in OpenAI's form, as `wire` leaves it, with LiteLLM's finish reasons; `mapping_of`
makes one of LiteLLM's own response.

If a server returns a thought beside the text, the reply has it in its own field. A thought that the model
wrote into the text is divided from it where the reply arrives (`client`), by `parse.thought`.

If the request has tools, a reply's calls become part of its text, each with the tool's name, and
`parse.tool_calls` reads them. If it must call one certain tool, that is a way to ask for JSON: the arguments
are the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.llm import TransientError
from selfinstruct.llm.usage import Usage, usage_of
from selfinstruct.llm.wire import NATIVE
from selfinstruct.parse.replies import BROKEN_OFF, CONTENT_FILTER, NO_CHOICES
from selfinstruct.parse.tool_calls import call_text
from selfinstruct.records import Reply, Request

LENGTH = "length"
COST = "cost_usd"  # the key of the cost in a response, if the provider or LiteLLM said it
FURTHER = "provider_specific_fields"  # where LiteLLM keeps what OpenAI's form does not have
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


@dataclass(frozen=True)
class Choice:
    """One choice of a response.

    Attributes:
        place: its index among all choices.
        text: its text.
        finish_reason: why it ended, in OpenAI's words or ours.
        said: why it ended, in the provider's words.
        error: the model's refusal, if it refused.
        thought: the model's thought, if the server returned it beside the text.
    """

    place: int
    text: str
    finish_reason: str
    said: str
    error: str | None = None
    thought: str = ""


def mapping_of(response: Any) -> dict[str, Any]:
    """LiteLLM's response to prompts as a mapping."""
    found: dict[str, Any] = response.model_dump()
    for choice in found.get("choices") or []:
        for part in (choice, choice.get("message") or {}):
            part.update({key: value for key, value in (part.get(FURTHER) or {}).items() if value})
    return {**found, COST: cost_of(response)}


def cost_of(response: Any) -> float | None:
    """The cost of LiteLLM's response in US dollars."""
    cost = (getattr(response, "_hidden_params", None) or {}).get("response_cost")
    return None if cost is None else float(cost)


def replies_of(
    response: Mapping[str, Any], config: ModelConfig, requests: Sequence[Request]
) -> list[Reply | None]:
    """One reply for each request; None for one of several without a choice. Usage is divided by length.

    Raises:
        TransientError: if the only request has no choice, or its choice broke off.
    """
    named = may_call(requests[0].sampling)
    choices = sorted(_choices(response, config, named), key=lambda choice: choice.place)
    whole = [choice for choice in choices if choice.finish_reason != BROKEN_OFF]
    asked = "".join(text_of(request) for request in requests)
    usage = usage_of(response, asked, "".join(choice.thought + choice.text for choice in choices))
    if len(requests) == 1:
        if not whole:
            raise _failed(choices, usage, config)
        return [_reply(response, config, whole, usage, 1.0, 1.0)]
    each = requests[0].sampling.get("n") or 1
    sent = _shares([len(text_of(request)) for request in requests])
    lengths = [0] * len(requests)
    for choice in whole:
        lengths[min(choice.place // each, len(requests) - 1)] += len(choice.thought) + len(choice.text)
    said = _shares(lengths)
    replies: list[Reply | None] = []
    for place in range(len(requests)):
        own = [choice for choice in whole if choice.place // each == place]
        replies.append(_reply(response, config, own, usage, sent[place], said[place]) if own else None)
    return replies


def text_of(request: Request) -> str:
    """A request as one text; the start of an answer follows it at once."""
    if not request.turns:
        return f"{request.system}\n\n{request.prompt}" if request.system else request.prompt
    return replace(request, start="").text + request.start


def may_call(sampling: Mapping[str, Any]) -> bool:
    """Whether a request has tools among which the model chooses."""
    choice = sampling.get("tool_choice")
    return bool(sampling.get("tools")) and not isinstance(choice, Mapping)


def _choices(response: Mapping[str, Any], config: ModelConfig, named: bool) -> Iterator[Choice]:
    for place, one in enumerate(response.get("choices") or []):
        holder = one.get("message") if config.mode == "chat" else one
        content = None if holder is None else holder.get("content" if config.mode == "chat" else "text")
        if holder is None or (content is None and config.mode == "completion"):
            continue  # there was none; LiteLLM makes one up in completion mode
        said = str(one.get(NATIVE) or one.get("finish_reason") or "stop")
        reason = MEANING.get(said.lower(), one.get("finish_reason") or "stop")
        index = one.get("index")
        refusal = _text(holder, "refusal")
        text = _with_calls(holder, content or "") if named else content or _arguments(holder)
        thought = _thought(holder)
        if thought:  # some servers leave the line breaks between the two in the text
            text = text.lstrip("\r\n")
        if refusal and not content:
            reason = CONTENT_FILTER
        error = refusal if not content else None
        yield Choice(place if index is None else index, text, reason, said, error, thought)


def _text(holder: Mapping[str, Any], name: str) -> str | None:
    """A text of the provider in a field that may be missing, or of another type."""
    found = holder.get(name)
    return found if isinstance(found, str) and found else None


def _thought(holder: Mapping[str, Any]) -> str:
    """The model's thought before its answer, as text; a block that its provider has encrypted has none."""
    found = _text(holder, "reasoning_content") or _text(holder, "reasoning")
    if found:
        return found.strip()
    blocks = holder.get("thinking_blocks") or []
    return "\n".join(str(block.get("thinking") or "") for block in blocks if isinstance(block, dict)).strip()


def _arguments(holder: Mapping[str, Any]) -> str:
    """The arguments of a model's tool calls; some models write all JSON there, as their answer."""
    calls = [call.get("function") for call in holder.get("tool_calls") or []]
    calls.append(holder.get("function_call"))
    given = [call.get("arguments") for call in calls if isinstance(call, Mapping)]
    return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in given if one)


def _with_calls(holder: Mapping[str, Any], content: str) -> str:
    """The text of a reply and its tool calls, with their names."""
    calls = [call.get("function") for call in holder.get("tool_calls") or [] if isinstance(call, Mapping)]
    calls.append(holder.get("function_call"))
    written = [call_text(one.get("name"), one.get("arguments")) for one in calls if isinstance(one, Mapping)]
    return "\n".join([*([content] if content.strip() else []), *written]) if written else content


def _failed(choices: list[Choice], usage: Usage, config: ModelConfig) -> TransientError:
    """The error for a missing or incomplete reply."""
    if not choices:
        last = Reply("", NO_CHOICES, config.name, error="the reply has no choices")
        return TransientError("the reply has no choices", last=last)
    first = choices[0]
    words = f"the server broke the reply off (finish reason {first.said!r})"
    last = Reply(first.text, BROKEN_OFF, config.name, usage.sent, usage.said, error=words)
    last = replace(last, thought=first.thought, thinking_tokens=usage.thought)
    return TransientError(words, last=last)


def _reply(
    response: Mapping[str, Any],
    config: ModelConfig,
    choices: list[Choice],
    usage: Usage,
    sent: float,
    said: float,
) -> Reply:
    """A reply with these choices, and with its share of the tokens sent and received."""
    cost = None if usage.counted else response.get(COST)
    name = response.get("model") or config.name
    provider = config.name.split("/")[0]
    thoughts = tuple(choice.thought for choice in choices[1:])
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
        cached_tokens=round(usage.cached * sent),
        cache_write_tokens=round(usage.written * sent),
        thought=choices[0].thought,
        other_thoughts=thoughts if any(thoughts) else (),
        thinking_tokens=round(usage.thought * said),
    )


def _shares(lengths: list[int]) -> list[float]:
    """Each length's share of the sum; equal shares if the sum is zero."""
    whole = sum(lengths)
    return [length / whole if whole else 1 / len(lengths) for length in lengths]
