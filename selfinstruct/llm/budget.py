"""What a run may spend, and what it has spent."""

from __future__ import annotations

from selfinstruct.config import BudgetConfig
from selfinstruct.records import Reply, Spent


class Budget:
    """Decides whether another request may be sent.

    Money and tokens are only known after a reply, so the spending may exceed their limits by the requests in
    flight. Requests are counted when they are sent, so there are never more than allowed. For the requests in
    a batch, the most that they may cost is held until their replies are here.

    Args:
        config: the limits.
        spent: what the run has spent so far.
    """

    def __init__(self, config: BudgetConfig, spent: Spent) -> None:
        self._config, self.spent = config, spent
        self._held: dict[str, tuple[float, float]] = {}  # US dollars and tokens, by batch

    @property
    def counts_replies(self) -> bool:
        """Whether it limits what is known only after a reply: money, or tokens."""
        return self._config.usd is not None or self._config.tokens is not None

    def hold(self, key: str, usd: float, tokens: float) -> None:
        """Count what a batch may cost, until it is released."""
        self._held[key] = usd, tokens

    def release(self, key: str) -> None:
        """Count a batch no longer: its replies are counted by now."""
        self._held.pop(key, None)

    def too_small(self, requests: int, usd: float, tokens: float) -> str | None:
        """The limit that does not allow requests with these costs at most, in words; None if all limits do.

        Args:
            requests: how many are to be sent together.
            usd: the most that they may cost.
            tokens: the most tokens that they may take.
        """
        most, spent = self._config, self.spent
        usd_held, tokens_held = (sum(held) for held in zip((0.0, 0.0), *self._held.values(), strict=True))
        if most.usd is not None and spent.usd + usd_held + usd > most.usd:
            held = f" and up to ${usd_held:.4f} in batches" if usd_held else ""
            return f"budget.usd={most.usd:g} does not allow ${usd:.4f} more: ${spent.usd:.4f} spent{held}"
        if most.tokens is not None and spent.tokens + tokens_held + tokens > most.tokens:
            held = f" and up to {tokens_held:,.0f} in batches" if tokens_held else ""
            more = f"does not allow {tokens:,.0f} tokens more"
            return f"budget.tokens={most.tokens} {more}: {spent.tokens:,} spent{held}"
        return self.reached(requests)

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
