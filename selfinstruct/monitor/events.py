"""`events.jsonl`: the events of a run, one JSON line for each; without prompts, replies and API keys.

A line has `at` (UTC), `event` and the fields of that event:
    run         the run begins or ends: recipe, state, finished
    stage       a stage begins or ends: stage, state, accepted, seconds
    request     a reply arrived: stage, number, model, attempts (0: from the cache), seconds, prompt_tokens,
                completion_tokens, cached_tokens (those of the prompt that the provider had in its cache),
                cache_write_tokens (those that it stored there), cost_usd, finish_reason, tokens_counted
                (whether the tokens were counted here, since the provider gave no plausible number)
    embedding   the vectors of some texts arrived: stage, model, texts, attempts, prompt_tokens, cost_usd,
                seconds
    retry       an attempt failed: stage, number, model, attempt, wait (seconds until the next), why
    plain       a prompt was refused for an unknown reason, but a plain prompt was answered: stage, number,
                model, why
    fallback    a request failed for good, and another model gets it: stage, number, model, to, why
    through_litellm  a model cannot be asked directly although that was expected: model, why
    limit       how much a model is asked from now on: model, concurrency (the most requests in flight), of
                 (as many as the recipe allows), per_second (requests; null if only their number in
                 flight is limited), why
    worker      a worker on a Ray cluster begins, dies, or is refused: state, worker (its number), machine,
                pid, why, requests (those that are sent again)
    batch       a batch of requests was made, or its state changed: stage, model, id, state, done, total
    checkpoint  everything up to here is safe from a power cut: stage, replies, accepted, cost_usd
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from selfinstruct.project.jsonl import json_line
from selfinstruct.safety.blot import blotted

EVENTS = "events.jsonl"


class Events:
    """Writes the events of a run, line by line, so that none is lost if the process is killed.

    Args:
        path: the file; lines of earlier processes are kept.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def tell(self, event: str, **facts: Any) -> None:
        """Write an event."""
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._file.write(blotted(json_line({"at": at, "event": event, **facts})))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
