"""`events.jsonl`: what happened in a run, one JSON line an event; no prompt, no reply and no key among it.

A line has `at` (UTC), `event` and what belongs to it:
    run         the run begins or ends: recipe, state, finished
    stage       a stage begins or ends: stage, state, accepted, seconds
    request     a reply arrived: stage, number, model, attempts (0: from the cache), seconds, prompt_tokens,
                completion_tokens, cost_usd, finish_reason, tokens_counted (whether the tokens
                were counted here, since the provider gave no sane number)
    embedding   the vectors of some texts arrived: stage, model, texts, attempts, prompt_tokens, cost_usd,
                seconds
    retry       an attempt failed: stage, number, model, attempt, wait (seconds until the next), why
    plain       a prompt was refused in words that nobody knows, and a plain one was answered: stage, number,
                model, why
    fallback    a model has given a request up: stage, number, model, to, why
    limit       requests in flight allowed from now on: model, concurrency
    checkpoint  all up to here is safe from a power cut: stage, replies, accepted, cost_usd
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from selfinstruct.project.jsonl import json_line
from selfinstruct.safety.blot import blotted

EVENTS = "events.jsonl"


class Events:
    """Writes the events of a run; a line at a time, so that a kill loses none.

    Args:
        path: the file; what earlier processes wrote to it stays.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def tell(self, event: str, **facts: Any) -> None:
        """Write an event down."""
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._file.write(blotted(json_line({"at": at, "event": event, **facts})))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
