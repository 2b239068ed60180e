"""The figures of a stage of a run, counted from the journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from selfinstruct.records import ACCEPTED, KEPT, REJECTED

PAID = "attempts > 0"  # all other replies came from the cache, or from the replayed run


@dataclass
class StageStats:
    """The figures of a stage, as `summary.json` has them.

    Tokens and cost count only the replies paid for; the worth is what all replies would have cost without the
    cache. The main reason is the check that rejected the most, with its count and its share of the
    candidates; None if nothing was rejected. `tokens_counted` says for how many replies the tokens were
    counted here, since the provider gave no plausible number. Of the tokens, `cached_tokens` were in the
    provider's cache of prompts, and `cache_write_tokens` were stored there. Embedded texts have separate
    figures; None if there were none.
    """

    requests: int = 0
    replies: int = 0
    cached: int = 0
    candidates: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    main_reason: dict[str, Any] | None = None
    tokens: int = 0
    cost_usd: float | None = None
    worth_usd: float | None = None
    seconds: float = 0.0
    embeddings: dict[str, Any] | None = None
    tokens_counted: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def paid_tokens(self) -> int:
        """Tokens of replies and of embedded texts."""
        return self.tokens + (self.embeddings["tokens"] if self.embeddings else 0)

    @property
    def paid_usd(self) -> float | None:
        """The cost of replies and embedded texts; None if no price is known."""
        costs = [self.cost_usd, self.embeddings["cost_usd"] if self.embeddings else None]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known else None


def stats_of(db: sqlite3.Connection, stage: str, seconds: float, asked: int) -> StageStats:
    """The figures of a stage so far.

    Args:
        db: a connection to the journal.
        stage: name of the stage.
        seconds: the time that the stage has taken.
        asked: the number of requests for vectors that it has sent.
    """
    one = db.execute
    requests = one("SELECT COUNT(*) FROM request WHERE stage = ?", (stage,)).fetchone()[0]
    replies, cached, tokens, cost, worth, counted, sent = one(
        f"SELECT COUNT(*), COUNT(*) FILTER (WHERE NOT {PAID}),"
        f" COALESCE(SUM(prompt_tokens + completion_tokens) FILTER (WHERE {PAID}), 0),"
        f" SUM(cost_usd) FILTER (WHERE {PAID}), SUM(cost_usd),"
        f" COUNT(*) FILTER (WHERE {PAID} AND counted),"
        f" COALESCE(SUM(prompt_tokens) FILTER (WHERE {PAID}), 0) FROM reply WHERE stage = ?",
        (stage,),
    ).fetchone()
    read, written = one(
        "SELECT COALESCE(SUM(cached_tokens), 0), COALESCE(SUM(cache_write_tokens), 0) FROM prompt_cache"
        " WHERE stage = ?",
        (stage,),
    ).fetchone()
    accepted, rejected = fates_of(db, stage)
    candidates = accepted + sum(rejected.values())
    return StageStats(
        requests,
        replies,
        cached,
        candidates,
        accepted,
        rejected,
        main_reason(rejected, candidates),
        tokens,
        cost,
        worth,
        seconds,
        _embeddings(db, stage, asked),
        counted,
        sent,
        read,
        written,
    )


def spending_of(db: sqlite3.Connection, stage: str) -> list[dict[str, Any]]:
    """The replies of a stage by the model's name in the reply, the most frequent first.

    Returns:
        For each model: `model`, `requests` (replies of it), `cached` (those that came from the cache), and
        of the others `prompt_tokens`, `cached_tokens` (those of the prompts that the provider had in its
        cache), `cache_write_tokens` (those that it stored there), `completion_tokens` and `cost_usd` (None if
        no price is known).
    """
    rows = db.execute(
        f"SELECT model, COUNT(*), COUNT(*) FILTER (WHERE NOT {PAID}),"
        f" COALESCE(SUM(prompt_tokens) FILTER (WHERE {PAID}), 0),"
        " COALESCE(SUM(cached_tokens), 0), COALESCE(SUM(cache_write_tokens), 0),"
        f" COALESCE(SUM(completion_tokens) FILTER (WHERE {PAID}), 0), SUM(cost_usd) FILTER (WHERE {PAID})"
        " FROM reply LEFT JOIN prompt_cache USING (stage, number) WHERE stage = ?"
        " GROUP BY 1 ORDER BY 2 DESC, 1",
        (stage,),
    )
    names = (
        *("model", "requests", "cached", "prompt_tokens", "cached_tokens", "cache_write_tokens"),
        *("completion_tokens", "cost_usd"),
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def fates_of(db: sqlite3.Connection, stage: str, after: int = 0) -> tuple[int, dict[str, int]]:
    """How many candidates were accepted, and how many each check rejected, the largest number first.

    Args:
        db: a connection to the journal.
        stage: name of the stage.
        after: count only the candidates of requests after this number.
    """
    rows = db.execute(
        'SELECT fate, "check", COUNT(*) FROM record WHERE stage = ? AND request > ? AND fate IN (?, ?)'
        " GROUP BY 1, 2 ORDER BY 3 DESC, 2",
        (stage, after, ACCEPTED, REJECTED),
    ).fetchall()
    accepted = sum(count for fate, _, count in rows if fate == ACCEPTED)
    return accepted, {check: count for fate, check, count in rows if fate == REJECTED}


def main_reason(rejected: Mapping[str, int], candidates: int) -> dict[str, Any] | None:
    """The check that rejected the most (the first by name if equal); None if nothing was rejected."""
    if not rejected:
        return None
    check = min(rejected, key=lambda name: (-rejected[name], name))
    return {"check": check, "count": rejected[check], "share": round(rejected[check] / candidates, 4)}


@dataclass(frozen=True)
class Particulars:
    """More about the candidates that one check rejected in a stage.

    Attributes:
        shown: for how many the nearest record is an example in the prompt that they answer.
        reason: the commonest reason in words, and how many have it.
        variant: the commonest variant of the prompt, if it has variants.
    """

    shown: int = 0
    reason: tuple[str, int] = ("", 0)
    variant: str | None = None


def particulars_of(db: sqlite3.Connection, stage: str, check: str, after: int = 0) -> Particulars:
    """See `Particulars`; `after` as in `fates_of`."""
    asked = "request JOIN record ON request.stage = record.stage AND request.number = record.request"
    those = f'FROM {asked} WHERE record.stage = ? AND record.request > ? AND fate = ? AND "check" = ?'
    values = (stage, after, REJECTED, check)
    near = "EXISTS (SELECT 1 FROM json_each(examples) WHERE value = json_extract(detail, '$.nearest'))"
    shown = db.execute(f"SELECT COUNT(*) {those} AND {near}", values).fetchone()[0]
    most = "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    reason = db.execute(f"SELECT reason, COUNT(*) {those} {most}", values).fetchone() or ("", 0)
    variant = db.execute(f"SELECT variant, COUNT(*) {those} {most}", values).fetchone()
    return Particulars(shown, (reason[0] or "", reason[1]), variant[0] if variant else None)


def read_from(db: sqlite3.Connection, stage: str, checks: Iterable[str]) -> set[int]:
    """The requests of a stage with a candidate that is accepted, waiting, or rejected by `checks`.

    These are the requests with a readable reply. A record that only goes on unchanged does not count, since
    nothing was read from the reply.
    """
    names = list(checks)
    rows = db.execute(
        f"SELECT DISTINCT request FROM record WHERE stage = ? AND json_extract(detail, '$.{KEPT}') IS NULL"
        f' AND (fate != ? OR "check" IN ({",".join("?" * len(names))}))',
        (stage, REJECTED, *names),
    )
    return {number for (number,) in rows}


def _embeddings(db: sqlite3.Connection, stage: str, asked: int) -> dict[str, Any] | None:
    texts, cached, tokens, cost = db.execute(
        "SELECT COUNT(*), COUNT(*) FILTER (WHERE NOT paid), COALESCE(SUM(tokens), 0),"
        " SUM(cost_usd) FILTER (WHERE paid) FROM vector WHERE stage = ?",
        (stage,),
    ).fetchone()
    figures = {"requests": asked, "texts": texts, "cached": cached, "tokens": tokens, "cost_usd": cost}
    return figures if texts or asked else None
