"""What a run may spend, and what it has spent."""

from __future__ import annotations

from selfinstruct.config import BudgetConfig
from selfinstruct.records import Reply, Spent


class Budget:
    """Says whether another request may be sent.

    Money and tokens are known when a reply has come, so at the end there may be as much more as was in
    flight; requests are counted when they are sent, so there are never more.

    Args:
        config: the limits.
        spent: what the run has spent before.
    """

    def __init__(self, config: BudgetConfig, spent: Spent) -> None:
        self._config, self.spent = config, spent

    def reached(self, requests: int = 1) -> str | None:
        """Which limit does not allow so many requests more, in words; None where all of them do."""
        most, spent = self._config, self.spent
        if most.usd is not None and spent.usd >= most.usd:
            return f"budget.usd={most.usd:g} is reached: ${spent.usd:.4f} spent"
        if most.tokens is not None and spent.tokens >= most.tokens:
            return f"budget.tokens={most.tokens} is reached: {spent.tokens:,} tokens spent"
        if most.requests is not None and spent.requests + requests > most.requests:
            return f"budget.requests={most.requests} is reached: {spent.requests:,} requests sent"
        return None

    def sent(self, requests: int) -> None:
        """So many requests go out."""
        self.spent.requests += requests

    def paid(self, reply: Reply) -> None:
        """A reply has come."""
        self.spent.tokens += reply.prompt_tokens + reply.completion_tokens
        self.spent.usd += reply.cost_usd or 0.0
