"""What a stage of a run has done so far, counted from the journal."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from selfinstruct.records import ACCEPTED, REJECTED

PAID = "attempts > 0"  # the other replies came from the cache, or from the run that is replayed


@dataclass
class StageStats:
    """What a stage has done, as `summary.json` has it.

    Tokens and cost are of replies paid for; the worth is what all of them would have cost without the cache.
    How many of those replies had their tokens counted here, since the provider gave no sane number, is in
    `tokens_counted`. Embedded texts have figures of their own, beside those; None where there were none.
    """

    requests: int = 0
    replies: int = 0
    cached: int = 0
    candidates: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    cost_usd: float | None = None
    worth_usd: float | None = None
    seconds: float = 0.0
    embeddings: dict[str, Any] | None = None
    tokens_counted: int = 0


def stats_of(db: sqlite3.Connection, stage: str, seconds: float) -> StageStats:
    """What a stage has done so far, by its run's journal.

    Args:
        db: the journal's file.
        stage: name of the stage.
        seconds: that it has taken.
    """
    one = db.execute
    requests = one("SELECT COUNT(*) FROM request WHERE stage = ?", (stage,)).fetchone()[0]
    replies, cached, tokens, cost, worth, counted = one(
        f"SELECT COUNT(*), COUNT(*) FILTER (WHERE NOT {PAID}),"
        f" COALESCE(SUM(prompt_tokens + completion_tokens) FILTER (WHERE {PAID}), 0),"
        f" SUM(cost_usd) FILTER (WHERE {PAID}), SUM(cost_usd),"
        f" COUNT(*) FILTER (WHERE {PAID} AND counted) FROM reply WHERE stage = ?",
        (stage,),
    ).fetchone()
    rejected = dict(
        one(
            'SELECT "check", COUNT(*) FROM record WHERE stage = ? AND fate = ? GROUP BY 1 ORDER BY 2 DESC, 1',
            (stage, REJECTED),
        ).fetchall()
    )
    accepted = one("SELECT COUNT(*) FROM record WHERE stage = ? AND fate = ?", (stage, ACCEPTED)).fetchone()[
        0
    ]
    candidates = accepted + sum(rejected.values())
    return StageStats(
        requests,
        replies,
        cached,
        candidates,
        accepted,
        rejected,
        tokens,
        cost,
        worth,
        seconds,
        _embeddings(db, stage),
        counted,
    )


def _embeddings(db: sqlite3.Connection, stage: str) -> dict[str, Any] | None:
    texts, cached, tokens, cost = db.execute(
        "SELECT COUNT(*), COUNT(*) FILTER (WHERE NOT paid), COALESCE(SUM(tokens), 0),"
        " SUM(cost_usd) FILTER (WHERE paid) FROM vector WHERE stage = ?",
        (stage,),
    ).fetchone()
    figures = {"texts": texts, "cached": cached, "tokens": tokens, "cost_usd": cost}
    return figures if texts else None
