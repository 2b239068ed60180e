"""What a model costs."""

from __future__ import annotations

from dataclasses import dataclass

from selfinstruct.config import ModelConfig


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens sent, and for a million that come back."""

    input: float
    output: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost, in US dollars."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


def price_of(config: ModelConfig) -> Price | None:
    """The price of a model; None where it is not known."""
    return Price(config.price.input, config.price.output) if config.price else None
