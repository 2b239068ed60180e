"""What providers' caches of prompts are expected to save, and prompts whose order prevents it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from selfinstruct.llm import tokens
from selfinstruct.llm.prices import price_of
from selfinstruct.llm.prompt_cache import caching_of
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.size import Size
from selfinstruct.stages import Stage
from selfinstruct.stages.ranges import Range

WORTH = 200  # tokens that never change, from which their place in a prompt matters
PAGE = "docs/prompt-caching.md"


@dataclass(frozen=True)
class Saving:
    """What a provider's cache of prompts does for a stage.

    Attributes:
        stage: its name.
        provider: the provider of its model.
        least: the least tokens of a beginning that the provider caches.
        fixed: the average tokens of the beginning that all requests of a prompt share.
        share: the share of the tokens sent that the provider is expected to have in its cache.
        usd: what that saves in all requests that are left, in US dollars; 0 if the price is not known.
    """

    stage: str
    provider: str
    least: int
    fixed: float
    share: float
    usd: float


def saving(stage: Stage, size: Size, requests: Range) -> Saving | None:
    """What a cache of prompts is expected to save in a stage; None if the provider is not known to have one.

    Each beginning is expected to be sent in full once, and to be in the cache from then on.

    Args:
        stage: the stage.
        size: the size of its requests.
        requests: how many requests it has left.
    """
    caching, price = caching_of(stage.model), price_of(stage.model)
    if caching is None or (caching.marked and stage.model.prompt_cache == "off"):
        return None
    cached, usd = mean(caching.of(fixed) for fixed in size.fixed), 0.0
    if price and cached:
        first = min(requests.expected, len(stage.prompts))
        full = price.cost(cached, 0)
        usd = (requests.expected - first) * (full - price.cost(cached, 0, cached))
        usd -= first * (price.cost(cached, 0, 0, cached) - full)
    share = cached / size.prompt if size.prompt else 0.0
    provider = stage.model.name.partition("/")[0] if stage.model.kind == "litellm" else "this machine"
    return Saving(stage.name, provider, caching.least, mean(size.fixed), share, usd)


def lines(savings: Sequence[Saving]) -> list[str]:
    """The savings in words: a line for each stage with some, and one for each cache that helps no stage."""
    found = []
    for one in savings:
        if one.share:
            saves = f", which saves about ${one.usd:.2f}" if one.usd >= 0.005 else ""
            words = f"{one.share:.0%} of the tokens sent come from the cache of {one.provider}{saves}"
            found.append(f"{one.stage}: {words}")
    for provider, least in dict.fromkeys((one.provider, one.least) for one in savings if not one.share):
        those = [one for one in savings if (one.provider, one.least, one.share) == (provider, least, 0)]
        names = ", ".join(f"{one.stage} ({one.fixed:,.0f})" for one in those)
        found.append(f"{provider} caches beginnings of {least:,} tokens or more; too short: {names}")
    return found


def notes(recipe: Recipe) -> Iterator[str]:
    """A note for each prompt with much fixed text after the first value that is drawn."""
    for stage in recipe.stages:
        for prompt in stage.prompts:
            late = tokens.count(_late(prompt))
            if late >= WORTH:
                where = f"prompts.{stage.name}" + (f".variants.{prompt.name}" if prompt.name else "")
                yield (
                    f"{where}.{prompt.place}: about {late:,} tokens that never change come after the first "
                    f"value that is drawn; if they come first, providers and servers can cache them ({PAGE})"
                )


def _late(prompt: Prompt) -> str:
    """The fixed text of a prompt that no cache can recognize."""
    texts = prompt.fixed_texts
    first = next((place for place, text in enumerate(texts) if not text.whole), len(texts))
    after = "".join(f"{text.beginning}{text.later}" for text in texts[first + 1 :])
    return "".join(text.later for text in texts[first : first + 1]) + after
