"""What a model costs: the recipe's own word for it, else the price list that comes with LiteLLM.

The list is read from its file, since importing LiteLLM takes seconds, and looked up as LiteLLM does it: by
the whole name, then without the provider where the entry is that provider's. To give a price that it does
not have, set `model.price`.
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
# Providers that the list has under another name: what one is asked for, and whose entries serve it.
SAME = {"openai": ("text-completion-openai",), "bedrock": ("bedrock_converse",)}


@dataclass(frozen=True)
class Price:
    """A price in US dollars for a million tokens.

    Attributes:
        input: of what is sent.
        output: of what comes back.
    """

    input: float
    output: float

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """What so many tokens cost, in US dollars."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / MILLION


def price_of(config: ModelConfig) -> Price | None:
    """The price of a model; None where nobody knows it.

    A server of one's own (`api_base`) does not make a model free: what answers there may be a gateway that
    charges for it. One that costs nothing has a price of 0 in the recipe.
    """
    if config.price:
        return Price(config.price.input, config.price.output)
    kind = MODELS.build(config.kind, config.options, "", [])
    if kind and kind.free:
        return Price(0.0, 0.0)
    return _listed(config.name)


def _listed(name: str) -> Price | None:
    """The price in LiteLLM's list; it has a zero where nobody filled one in, so a zero says nothing."""
    entry = _entry(name)
    tiers = entry.get("tiered_pricing") or [entry]  # of a longer prompt; the first is of a usual one
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
    """LiteLLM's price list by name in lower case; empty where a version of it comes without."""
    spec = find_spec("litellm")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / PRICES
        if path.is_file():
            listed = json.loads(path.read_text(encoding="utf-8"))
            return {name.lower(): entry for name, entry in listed.items() if isinstance(entry, dict)}
    return {}
