"""How a user learns what limits did to a run: events, the progress, and facts for its summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from selfinstruct.journal.store import LIMITS, Journal
from selfinstruct.llm.limits import Limit
from selfinstruct.monitor.events import Events
from selfinstruct.monitor.progress import Progress


class Teller:
    """Tells of the limits of one model.

    Args:
        model: its name.
        events: receives each change.
        progress: shows the limit while there is one, and says when that begins and ends.
    """

    def __init__(self, model: str, events: Events, progress: Progress) -> None:
        self._model, self._events, self._progress = model, events, progress
        self._held_back = False

    def changed(self, limit: Limit) -> None:
        """Tell of a change."""
        self._events.tell("limit", model=self._model, **asdict(limit))
        held = limit.per_second is not None or limit.concurrency < limit.of
        rate = "" if limit.per_second is None else f", {limit.per_second:g} a second"
        words = f"at most {limit.concurrency} of {limit.of}{rate}" if held else ""
        self._progress.slowed(words)
        if held != self._held_back:
            self._held_back = held
            now = f"{words} from now on; it rises again by itself" if held else "no limit any more"
            self._progress.trouble("limit", f"{self._model}: {limit.why}: {now}")

    def note(self, journal: Journal, stages: set[str], facts: Mapping[str, Any]) -> None:
        """Store what held the model back; requests of earlier starts of the run are added."""
        for stage in stages if facts else ():
            key = f"{LIMITS}{stage}/{self._model}"
            before = journal.meta(key, {})
            counts = {name: facts[name] + before.get(name, 0) for name in ("sent", "refused")}
            journal.set_meta(key, {**facts, **counts})
