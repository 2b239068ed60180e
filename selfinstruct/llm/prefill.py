"""The start of an answer, which the model continues: who takes one, and how it is written.

A prompt whose last message is an assistant's has a `start`. In completion mode it is the end of the text. In
chat mode it is a message, and the providers differ: some continue the last message if it is the assistant's,
some need a mark on it, and some would begin another answer. The reply gets the start too, so that a parser
reads the whole answer, and so do the journal and the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Fault
from selfinstruct.llm.prices import entry_of
from selfinstruct.parse.thought import Split, apart, joined, split_of
from selfinstruct.prompts.templates import Prompt
from selfinstruct.records import Reply, Request

LISTED = "supports_assistant_prefill"  # the key in LiteLLM's list of models
CLAUDE = "claude"
CHATS = (
    "openai",
    "anthropic",
    "gemini",
    "groq",
    "xai",
    "mistral",
    "cohere",
)  # with a price list of chat models


@dataclass(frozen=True)
class Prefill:
    """How a start is written in chat mode.

    Attributes:
        mark: further keys of the last message.
        body: further keys of the request's body.
    """

    mark: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


MARKED = Prefill(mark={"prefix": True})
# vLLM continues the last message only if it is asked to, and then must not open another one.
OF_VLLM = Prefill(body={"continue_final_message": True, "add_generation_prompt": False})
AS_IT_IS = Prefill()
BY_PROVIDER = {
    **dict.fromkeys(("deepseek", "mistral", "codestral"), MARKED),
    **dict.fromkeys(("hosted_vllm", "vllm"), OF_VLLM),
    **dict.fromkeys(("llamafile", "lm_studio", "ollama_chat"), AS_IT_IS),
}


def prefill_of(config: ModelConfig) -> Prefill | None:
    """How a model in chat mode takes the start of an answer; None if it is not known to take one."""
    if config.kind != "litellm":
        return AS_IT_IS  # llama.cpp's server continues the last message, and so does a script
    provider = config.name.partition("/")[0]
    listed = entry_of(config.name)
    if CLAUDE in config.name.lower():  # the newest ones refuse a start
        return AS_IT_IS if listed.get(LISTED) or not listed else None
    if provider in BY_PROVIDER:
        return BY_PROVIDER[provider]
    return MARKED if listed.get(LISTED) else None


def turn_faults(prompts: Iterable[Prompt], config: ModelConfig, where: str) -> Iterator[Fault]:
    """The faults of prompts whose messages a model does not take.

    Args:
        prompts: the prompts of a stage.
        config: the model.
        where: the place of the prompts in the recipe.
    """
    texts = config.mode == "completion" and not config.chat_template
    template = "set model.chat_template (server, a tokenizer_config.json, or the template)"
    for prompt in prompts:
        key = f"{where}.variants.{prompt.name}" if prompt.name else where
        if prompt.opens and (config.mode == "chat" or texts):
            mode = "in chat mode" if config.mode == "chat" else "without a chat template"
            remedy = f"ask it in completion mode: model.mode=completion, and {template}"
            yield Fault(f"{key}.opens", f"{config.name} is asked {mode}", remedy)
        elif prompt.opens and _only_chats(config):
            what = f"{config.name} takes whole messages, not the opening of one"
            remedy = (
                "ask a model that continues any text (local, vllm, gguf), or another server: model.api_base"
            )
            yield Fault(f"{key}.opens", what, remedy)
        elif prompt.before and texts:
            what = f"has several turns, and {config.name} completes a text, without a chat template"
            yield Fault(f"{key}.messages", what, f"{template}, or ask it in chat mode")
        elif prompt.start and config.mode == "chat" and prefill_of(config) is None:
            what = f"{config.name} is not known to continue the start of an answer"
            remedy = "leave this message out, or ask another model (mistral, deepseek, vllm, local)"
            yield Fault(f"{key}.{prompt.start_place}", what, remedy)


def _only_chats(config: ModelConfig) -> bool:
    """Whether a hosted model is known to answer messages only; an own server may have the same name."""
    provider = config.name.partition("/")[0]
    return not config.api_base and provider in CHATS and entry_of(config.name).get("mode") == "chat"


def continued(request: Request, reply: Reply) -> Reply:
    """The reply to a request, with the start of the answer before each choice that does not repeat it.

    A thought comes before the answer, so it is set apart first: the start belongs to the answer. A start that
    opens a thought itself is the beginning of the thought, which a server may return beside the text.
    """
    if not request.start:
        return reply
    start = split_of(request.start)
    parted = reply if start.open else apart(reply)
    choices = zip(reply.choices, parted.choices, strict=True)
    (text, thought), *others = [_continued(request.start, start, *choice) for choice in choices]
    return replace(
        parted,
        text=text,
        thought=thought,
        others=tuple((other, why) for (other, _), (_, why) in zip(others, parted.others, strict=True)),
        other_thoughts=tuple(one for _, one in others) if any(one for _, one in others) else (),
    )


def _continued(start: str, split: Split, came: Reply, parted: Reply) -> tuple[str, str]:
    """The whole answer and its thought; an empty answer stays empty, since the model has written nothing."""
    if split.open and parted.thought:  # the server has divided both already
        return parted.text, joined(split.thought, parted.thought)
    begun = parted.text.lstrip().startswith(start.strip())
    if begun or not parted.text.strip():
        return parted.text, parted.thought
    return start + _gap(came.text, parted.text) + parted.text, parted.thought


def _gap(text: str, answer: str) -> str:
    """The space before an answer that was set apart from its thought, which took the space away."""
    before = text[: max(0, text.rfind(answer))]
    return before if not before.strip() else " " if before[-1].isspace() else ""
