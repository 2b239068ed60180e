"""What a run may spend, and what it has spent."""

from __future__ import annotations

from selfinstruct.config import BudgetConfig
from selfinstruct.records import Reply, Spent


class Budget:
    """Decides whether another request may be sent.

    Money and tokens are only known after a reply, so the spending may exceed their limits by the requests in
    flight. Requests are counted when they are sent, so there are never more than allowed.

    Args:
        config: the limits.
        spent: what the run has spent so far.
    """

    def __init__(self, config: BudgetConfig, spent: Spent) -> None:
        self._config, self.spent = config, spent

    def reached(self, requests: int = 1) -> str | None:
        """The limit that does not allow these requests, in words; None if all limits do."""
        most, spent = self._config, self.spent
        if most.usd is not None and spent.usd >= most.usd:
            return f"budget.usd={most.usd:g} is reached: ${spent.usd:.4f} spent"
        if most.tokens is not None and spent.tokens >= most.tokens:
            return f"budget.tokens={most.tokens} is reached: {spent.tokens:,} tokens spent"
        if most.requests is not None and spent.requests + requests > most.requests:
            return f"budget.requests={most.requests} is reached: {spent.requests:,} requests sent"
        return None

    def sent(self, requests: int) -> None:
        """Count requests that are sent."""
        self.spent.requests += requests

    def paid(self, reply: Reply) -> None:
        """Count a reply."""
        self.spent.tokens += reply.prompt_tokens + reply.completion_tokens
        self.spent.usd += reply.cost_usd or 0.0
