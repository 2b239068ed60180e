"""What a hosted training costs, and the user's agreement to it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.llm.usage import tokens_of
from selfinstruct.train.kinds import Prepared

MILLION = 1_000_000


def tokens_in(rows: Sequence[dict[str, Any]]) -> int:
    """The approximate number of tokens of the examples; a provider adds some for each turn."""
    return sum(tokens_of(turn["content"]) for row in rows for turn in row["messages"])


def cost_of(prepared: Prepared, tokens: int, epochs: int) -> str:
    """What will be done, and what it costs, in words."""
    config, count = prepared.train, len(prepared.examples.rows)
    lines = [
        f"to tune {config.base}: {count:,} examples with about {tokens:,} tokens, {epochs} times: "
        f"{tokens * epochs:,} tokens"
    ]
    if config.price is None:
        lines.append(
            "cost: not known, since LiteLLM's list has no prices for tuning. Look at the provider's page; "
            "set train.price to the US dollars for a million tokens to see it here"
        )
    else:
        usd = tokens * epochs * config.price / MILLION
        lines.append(f"cost: about ${usd:,.2f}, at ${config.price:,.2f} for a million tokens")
    if prepared.finetune.evaluate:
        lines.append(
            "then both models answer the tasks of eval, which costs too; without: finetune.evaluate=false"
        )
    return "\n".join(lines)


def agree(prepared: Prepared, cost: str) -> None:
    """Say what it costs, and ask whether to go on.

    Raises:
        UserError: if the user does not agree, or nobody can be asked.
    """
    prepared.progress.say(cost)
    if prepared.yes:
        return
    if not sys.stdin.isatty():
        raise UserError(
            "finetune asks before it spends money, and nobody can answer here; nothing was sent\n"
            "  If you agree to the cost, add yes=true"
        )
    print("start? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("not started; nothing was sent")
