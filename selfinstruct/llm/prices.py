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
BATCH = 0.5  # of the usual price, where the list has no price for batches
# Providers with another name in the list: the provider asked for, and the providers with its entries.
SAME = {"openai": ("text-completion-openai",), "bedrock": ("bedrock_converse",)}


@dataclass(frozen=True)
class Price:
    """A price in US dollars for a million tokens.

    Attributes:
        input: the price of tokens sent.
        output: the price of tokens received.
        cached: the price of tokens sent that the provider has in its cache of prompts; None: as `input`.
        cache_write: the price of tokens sent that it stores in this cache; None: as `input`.
        batch: the prices of requests that are sent as a batch; None for half of these.
    """

    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None
    batch: Price | None = None

    def cost(
        self,
        prompt_tokens: float,
        completion_tokens: float,
        cached_tokens: float = 0,
        cache_write_tokens: float = 0,
    ) -> float:
        """The cost of a number of tokens, in US dollars; the prompt's include those of the cache."""
        new = prompt_tokens - cached_tokens - cache_write_tokens
        cost = self.input * new + self.output * completion_tokens
        cost += (self.input if self.cached is None else self.cached) * cached_tokens
        cost += (self.input if self.cache_write is None else self.cache_write) * cache_write_tokens
        return cost / MILLION

    @property
    def in_batch(self) -> Price:
        """The price of requests that are sent as a batch."""
        if self.batch:
            return self.batch
        cached = None if self.cached is None else BATCH * self.cached
        written = None if self.cache_write is None else BATCH * self.cache_write
        return Price(BATCH * self.input, BATCH * self.output, cached, written)


def price_of(config: ModelConfig) -> Price | None:
    """The price of a model as it is asked, at once or in batches; None if it is unknown.

    The user's own server (`api_base`) does not make a model free, since it may be a gateway that charges for
    it. For a free server, set a price of 0 in the recipe. The price in the recipe is that of requests that
    are not in batches, as the list's is.
    """
    price = _usual(config)
    return price.in_batch if price and config.batch else price


def _usual(config: ModelConfig) -> Price | None:
    """The price of requests that are not in batches."""
    given = config.price
    if given:
        return Price(given.input, given.output, given.cached, given.cache_write)
    kind = MODELS.build(config.kind, config.options, "", [])
    if kind and kind.free:
        return Price(0.0, 0.0)
    return _listed(config.name)


@lru_cache(maxsize=256)
def _listed(name: str) -> Price | None:
    """The price in LiteLLM's list; None for a zero, which there means that nobody filled in a price."""
    entry = entry_of(name)
    tiers = entry.get("tiered_pricing") or [entry]  # the first is for ordinary prompts
    price = _from(tiers[0], "")
    if not (price.input or price.output):
        return None
    batch = _from(tiers[0], "_batches")
    return Price(price.input, price.output, price.cached, price.cache_write, batch if batch.input else None)


def _from(entry: Mapping[str, Any], way: str) -> Price:
    """The price in an entry; `way` is the end of the keys for another way to send requests."""

    def listed(key: str) -> float:
        return round(MILLION * (entry.get(f"{key}{way}") or 0.0), 9)

    return Price(
        listed("input_cost_per_token"),
        listed("output_cost_per_token"),
        listed("cache_read_input_token_cost") or None,
        listed("cache_creation_input_token_cost") or None,
    )


def entry_of(name: str) -> Mapping[str, Any]:
    """The entry of a model in LiteLLM's price list; empty if it has none."""
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
