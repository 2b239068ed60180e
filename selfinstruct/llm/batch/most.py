"""The most that a request in a batch may cost, which the budget holds until its reply is here."""

from __future__ import annotations

from selfinstruct.config import ModelConfig
from selfinstruct.llm.budget import Budget
from selfinstruct.llm.prices import entry_of, price_of
from selfinstruct.llm.usage import tokens_of
from selfinstruct.records import Request

OTHERWISE = 4096  # tokens of a reply, if neither the request nor the price list limits it
COUNTED = 1.25  # a provider's tokens, for each that we count
AROUND = 10  # tokens around a message


def most_of(request: Request, config: ModelConfig, budget: Budget) -> tuple[float, float]:
    """The most that a request may cost, in US dollars and in tokens; zeros if the budget limits neither.

    The prompt is counted here, with a margin; the reply may have as many tokens as it may.

    Args:
        request: as the model gets it.
        config: the model's keys.
        budget: the run's budget.
    """
    if not budget.counts_replies:
        return 0.0, 0.0
    sampling = request.sampling
    most = sampling.get("max_tokens") or sampling.get("max_completion_tokens")
    most = most or entry_of(config.name).get("max_output_tokens") or OTHERWISE
    said = float(most) * int(sampling.get("n") or 1)
    sent = COUNTED * tokens_of(request.text + request.tools) + AROUND * (1 + len(request.messages))
    price = price_of(config)
    return (price.cost(sent, said) if price else 0.0), sent + said
