"""Find what a model costs: the price in the recipe, or else in the price list that comes with LiteLLM.

The list is read from its file, since importing LiteLLM takes seconds. A model is looked up as LiteLLM does
it: by its whole name, then without the provider if the entry belongs to that provider. For a price that the
list lacks, set `model.price`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.llm import MODELS

PRICES = "model_prices_and_context_window_backup.json"
MILLION = 1_000_000
# Providers with another name in the list: the provider asked for, and the providers with its entries.
SAME = {"openai": ("text-completion-openai",), "bedrock": ("bedrock_converse",)}


@dataclass(frozen=True)
class Price:
    """A price in US dollars for a million tokens.

    Attributes:
        input: the price of tokens sent.
        output: the price of tokens received.
    """

    input: float
    output: float

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """The cost of a number of tokens, in US dollars."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / MILLION


def price_of(config: ModelConfig) -> Price | None:
    """The price of a model; None if it is unknown.

    The user's own server (`api_base`) does not make a model free, since it may be a gateway that charges for
    it. For a free server, set a price of 0 in the recipe.
    """
    if config.price:
        return Price(config.price.input, config.price.output)
    kind = MODELS.build(config.kind, config.options, "", [])
    if kind and kind.free:
        return Price(0.0, 0.0)
    return _listed(config.name)


def _listed(name: str) -> Price | None:
    """The price in LiteLLM's list; None for a zero, which there means that nobody filled in a price."""
    entry = _entry(name)
    tiers = entry.get("tiered_pricing") or [entry]  # the first is for ordinary prompts
    price = Price(
        MILLION * (tiers[0].get("input_cost_per_token") or 0.0),
        MILLION * (tiers[0].get("output_cost_per_token") or 0.0),
    )
    return price if price.input or price.output else None


def _entry(name: str) -> Mapping[str, Any]:
    listed = price_list()
    provider, _, bare = name.lower().partition("/")
    if name.lower() in listed:
        return listed[name.lower()]
    entry = listed.get(bare, {})
    return entry if entry.get("litellm_provider") in (provider, *SAME.get(provider, ())) else {}


@lru_cache(maxsize=1)
def price_list() -> dict[str, dict[str, Any]]:
    """LiteLLM's price list by name in lower case; empty if this version of LiteLLM has none."""
    spec = find_spec("litellm")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / PRICES
        if path.is_file():
            listed = json.loads(path.read_text(encoding="utf-8"))
            return {name.lower(): entry for name, entry in listed.items() if isinstance(entry, dict)}
    return {}
