"""Which models can be asked in batches, and how large a batch may be; known without importing LiteLLM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Fault
from selfinstruct.llm.direct.possible import LITELLM, THROUGH_LITELLM

MB = 1_000_000
ATTEMPTS = 2  # batches in which a request may be
TIER = "service_tier"


@dataclass(frozen=True)
class Limits:
    """How large a batch of a provider may be.

    Attributes:
        lines: the most requests.
        size: the most bytes of its file.
        hours: after which it is over, whole or not.
    """

    lines: int
    size: int
    hours: float = 24


# As the providers document them; Gemini's has no limit of lines.
LIMITS = {
    "openai": Limits(50_000, 200 * MB),
    "text-completion-openai": Limits(50_000, 200 * MB),
    "azure": Limits(100_000, 200 * MB),
    "anthropic": Limits(100_000, 256 * MB),
    "gemini": Limits(100_000, 2_000 * MB, hours=48),
}
AT_ONCE = 4  # open batches of a stage, whose requests are in memory
COMPLETES = ("openai", "text-completion-openai")
NAMES = "anthropic, azure, gemini, openai"


def limits_of(config: ModelConfig) -> Limits:
    """How large a batch of a model may be at its provider."""
    return LIMITS[config.name.partition("/")[0]]


def most_in_batch(config: ModelConfig) -> int:
    """The most requests in a batch of a model."""
    return min(config.batch_size, limits_of(config).lines)


def most_waiting(config: ModelConfig) -> int:
    """The most requests of a stage that are in memory at once, in open batches of a model."""
    return AT_ONCE * most_in_batch(config)


def batch_faults(config: ModelConfig, where: str) -> Iterator[Fault]:
    """The faults of a model that is to be asked in batches and cannot be.

    Args:
        config: its keys.
        where: its place in the recipe.
    """
    if not config.batch:
        return
    provider, off = config.name.partition("/")[0], f"write {where}.batch=false"
    if config.kind != LITELLM:
        yield Fault(f"{where}.batch", f"a model of kind {config.kind} is not asked in batches", off)
    elif provider in ("vertex_ai", "vertex_ai_beta"):
        what = f"{config.name} takes batches only through Google's cloud storage, which is not done here"
        remedy = f"take the model from gemini/, whose batches need only a key, or {off}"
        yield Fault(f"{where}.batch", what, remedy)
    elif provider not in LIMITS:
        what = f"the batches of {provider} are not known here; those of these providers are: {NAMES}"
        yield Fault(f"{where}.batch", what, f"take a model of one of them, or {off}")
    else:
        yield from _against_keys(config, where, off)


def _against_keys(config: ModelConfig, where: str, off: str) -> Iterator[Fault]:
    """The faults of keys that do not go with batches."""
    provider = config.name.partition("/")[0]
    if config.mode == "completion" and provider not in COMPLETES:
        what = f"the batches of {provider} take only chat"
        yield Fault(f"{where}.mode", what, f"write {where}.mode=chat, or {off}")
    if config.transport == THROUGH_LITELLM:
        what = "LiteLLM's call asks at once; requests of a batch are sent directly"
        yield Fault(f"{where}.transport", what, f"leave it out, or {off}")
    if config.prompts_per_request > 1:
        what = f"is {config.prompts_per_request}, but a line of a batch has one prompt"
        yield Fault(f"{where}.prompts_per_request", what, f"set it to 1, or {off}")
    if config.sampling.get(TIER) is not None:
        what = "is for requests that are not in batches; those in batches have their own price"
        yield Fault(f"{where}.sampling.{TIER}", what, f"leave it out, or {off}")
