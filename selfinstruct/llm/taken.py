"""Which parameters a model does not take, by LiteLLM's own lists.

LiteLLM refuses a request with such a parameter before it is sent. What it refuses may depend on the value (o3
takes a temperature of 1 and no other), so each parameter is tried on its own. That needs LiteLLM, whose
import takes seconds. For the models that most recipes ask, the answer is known without it (`KNOWN`); a test
compares it with LiteLLM's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.llm.thinking import EFFORT, THINKING, fixed_by_thinking

# Parameters that every provider with OpenAI's chat form takes.
COMMON = frozenset(
    [
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "n",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "logit_bias",
        "logprobs",
        "top_logprobs",
    ]
)
# Regular expressions of models that take those and some more; `gpt-4` alone takes no response_format.
KNOWN: Mapping[str, frozenset[str]] = {
    r"hosted_vllm/.+": COMMON | {"response_format", EFFORT, THINKING},
    r"openai/(?!o\d|.*gpt-?[5-9]|.*codex|ft:|computer|gpt-4$|gpt-3\.5-turbo-16k$).+": COMMON
    | {"response_format"},
    r"azure/(?!.*\bo\d|.*gpt-?[5-9]|.*codex|computer).+": COMMON,
    r"(openrouter|together_ai)/.+": COMMON,
    r"lm_studio/.+": COMMON,
}
# What LiteLLM checks; the other parameters go to the provider as they are.
CHECKED = COMMON | frozenset(
    f"{EFFORT} {THINKING} response_format user tools tool_choice parallel_tool_calls functions function_call"
    " verbosity modalities audio prediction service_tier store safety_identifier prompt_cache_key"
    " web_search_options stream_options".split()
)
# What only a request in chat mode can have.
OF_CHAT = (
    EFFORT,
    THINKING,
    "response_format",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "verbosity",
)
COMPLETES = ("openai", "text-completion-openai", "hosted_vllm", "azure", "azure_text")


def untaken(sampling: Mapping[str, Any], config: ModelConfig) -> list[str]:
    """The parameters of a request that its model does not take, by their names, in order.

    Args:
        sampling: the parameters.
        config: the model's keys.
    """
    if config.kind not in ("litellm", "local"):
        return []
    given = {name: value for name, value in sampling.items() if value is not None}
    if given.get("drop_params"):  # LiteLLM leaves them out itself
        return []
    allowed = given.get("allowed_openai_params") or []
    asked = {name: value for name, value in given.items() if name in CHECKED and name not in allowed}
    found = [name for name in asked if name in OF_CHAT and config.mode == "completion"]
    if config.mode == "chat":
        found += _refused(config.name, json.dumps(asked, sort_keys=True, default=str))
    elif config.name.partition("/")[0] not in COMPLETES and config.kind == "litellm":
        rest = {name: value for name, value in asked.items() if name not in found}
        found += _refused(config.name, json.dumps(rest, sort_keys=True, default=str))
    fixed = fixed_by_thinking({name: given[name] for name in given if name not in found}, config)
    return list(dict.fromkeys([*found, *fixed]))


@lru_cache(maxsize=1024)
def _refused(name: str, asked: str) -> tuple[str, ...]:
    """The parameters that LiteLLM refuses, of those in this JSON."""
    sampling: dict[str, Any] = json.loads(asked)
    for models, takes in KNOWN.items():
        if re.fullmatch(models, name) and takes.issuperset(sampling):
            return ()
    return by_litellm(name, sampling)


def by_litellm(name: str, sampling: Mapping[str, Any]) -> tuple[str, ...]:
    """The parameters that LiteLLM refuses for a model; imports LiteLLM.

    Args:
        name: the model's name, with the provider.
        sampling: the parameters.
    """
    from selfinstruct.llm.providers import load

    library = load()
    try:
        model, provider, *_ = library.get_llm_provider(name)
    except Exception:  # the name has a fault of its own, which `naming` reports
        return ()
    return tuple(key for key, value in sampling.items() if _refuses(library, model, provider, key, value))


def _refuses(library: Any, model: str, provider: str, key: str, value: Any) -> bool:
    from selfinstruct.llm.failures import unsupported

    given = {key: value}
    if key == THINKING:  # some providers want room for it
        given["max_tokens"] = 10**6
    try:
        library.utils.get_optional_params(model=model, custom_llm_provider=provider, **given)
    except Exception as error:  # any other error is about the value, which the provider judges
        return unsupported(error)
    return False
