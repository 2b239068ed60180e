"""What a request has for a model that thinks: how much it thinks, and room for it in `max_tokens`.

Providers count the tokens of a thought against `max_tokens`, so a limit that fits an answer cuts the thought.
Claude and Gemini want the room as a budget of its own too (LiteLLM's `thinking`); the others have only the
limit, and `reasoning_effort`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Fault

EFFORT, THINKING = "reasoning_effort", "thinking"  # LiteLLM's parameters
LIMITS = ("max_tokens", "max_completion_tokens")
SMALLEST_BUDGET = 1024  # tokens; docs.anthropic.com, "Building with extended thinking", budget_tokens
_CLAUDE = re.compile(r"anthropic/|(bedrock|vertex_ai|azure_ai|databricks)/.*claude", re.IGNORECASE)
_GEMINI = re.compile(r"(gemini|vertex_ai)/.*gemini|gemini/", re.IGNORECASE)


def with_thinking(sampling: Mapping[str, Any], config: ModelConfig) -> dict[str, Any]:
    """The sampling of a request with what the model's keys say about thinking.

    Args:
        sampling: the stage's and the model's sampling; what it says of thinking itself stays.
        config: the model's keys.
    """
    room, found = config.thinking_tokens or 0, dict(sampling)
    for limit in LIMITS:
        if _is_number(found.get(limit)):
            found[limit] += room
    if config.reasoning_effort is not None:
        found.setdefault(EFFORT, config.reasoning_effort)
    elif room and budgeted(config) and EFFORT not in found:
        found.setdefault(THINKING, {"type": "enabled", "budget_tokens": room})
    return found


def without_thinking(sampling: Mapping[str, Any], config: ModelConfig) -> dict[str, Any]:
    """The sampling before `with_thinking` for this model, so that another model can take its request over."""
    room, found = config.thinking_tokens or 0, dict(sampling)
    added = {name: value for name, value in with_thinking({}, config).items() if found.get(name) == value}
    for limit in LIMITS:
        if _is_number(found.get(limit)):
            found[limit] = max(1, found[limit] - room)
    return {name: value for name, value in found.items() if name not in added}


def budgeted(config: ModelConfig) -> bool:
    """Whether the model's provider takes the room for thinking as a budget of its own."""
    return config.mode == "chat" and bool(_CLAUDE.match(config.name) or _GEMINI.match(config.name))


def thinks(sampling: Mapping[str, Any]) -> bool:
    """Whether a request asks the model to think."""
    thinking = sampling.get(THINKING)
    on = isinstance(thinking, Mapping) and thinking.get("type") not in (None, "disabled")
    return on or sampling.get(EFFORT) not in (None, "none", "disable")


def fixed_by_thinking(sampling: Mapping[str, Any], config: ModelConfig) -> list[str]:
    """The parameters that Claude refuses while it thinks, by their names.

    From docs.anthropic.com, "Building with extended thinking", feature compatibility: no temperature or top_k
    of one's own, and top_p only from 0.95 to 1.
    """
    if not (_CLAUDE.match(config.name) and thinks(sampling)):
        return []
    found = {"temperature": 1, "top_k": None, "top_p": 1}
    unlike = [name for name, own in found.items() if sampling.get(name) not in (None, own)]
    top_p = sampling.get("top_p")
    near = isinstance(top_p, int | float) and 0.95 <= top_p <= 1
    return [name for name in unlike if name != "top_p" or not near]


def thinking_faults(config: ModelConfig, where: str) -> Iterator[Fault]:
    """The faults of the keys about thinking.

    Args:
        config: the model's keys.
        where: its place in the recipe.
    """
    room = config.thinking_tokens
    small = room is not None and config.reasoning_effort is None and room < SMALLEST_BUDGET
    if small and _CLAUDE.match(config.name):
        what = f"is {room}, but Claude thinks with a budget of at least {SMALLEST_BUDGET} tokens"
        yield Fault(f"{where}.thinking_tokens", what, f"set it to {SMALLEST_BUDGET} or more, or leave it out")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
