"""Replay: the recorded replies of a run, read, checked and validated again under other settings.

No model is asked. A stage goes through its replies as in a run, but each comes from the journal of the source
run: those of a bootstrap stage by their number, those about a record by what was asked about it. So a replay
with nothing changed makes the same bytes, and one with other parsers, filters or schemas what these make of
the same replies. Two things it cannot know, and says so: under other settings the pool would have been
another, and with it the prompts; and what was never asked has no reply.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from selfinstruct.errors import RunFolderError
from selfinstruct.journal.repair import OTHER, looked_into
from selfinstruct.journal.store import FINISHED, REPLAYED, Journal
from selfinstruct.llm.endpoint import RunContext
from selfinstruct.project.layout import path_below
from selfinstruct.project.renamed import now
from selfinstruct.recipe.build import Recipe
from selfinstruct.records import Record, Reply, Request
from selfinstruct.run_folder.folder import JOURNAL, in_use, shape_of
from selfinstruct.safety.blot import blotted
from selfinstruct.stages import Stage, StageRun

# What may differ from the source: nothing that was sent follows from it.
FREE = re.compile(r"(filters|schema)(\.|$)|prompts\.[^.]+(\.variants\.[^.]+)?\.parse(\.|$)")
# Sampling that follows from a request's number, from the schema, or from the prompt's length (when_too_long).
UNSAID = ("seed", "response_format", "max_tokens")
COMMIT_EVERY = 200


@dataclass
class ReplayStats:
    """What became of the replies of one stage.

    Attributes:
        recorded: replies that the source run has.
        used: of these, how many were read again.
        unanswered: requests that the source run never made, so that nobody knows the reply.
        prompts_differ: of the prompts of a bootstrap stage, how many would have been others.
        first_differing: the number of the first of these.
    """

    recorded: int = 0
    used: int = 0
    unanswered: int = 0
    prompts_differ: int = 0
    first_differing: int | None = None


@dataclass
class Recording:
    """The source of a replay.

    Attributes:
        path: its run folder.
        journal: its journal.
        finished: whether it had come to its end.
        changed: settings that differ from its own, by key: before and now.
        unanswered: ids of the records of which a stage would have asked what was never asked.
        heard: by stage, what became of its replies.
    """

    path: Path
    journal: Journal
    finished: bool
    changed: dict[str, list[Any]]
    unanswered: set[str] = field(default_factory=set)
    heard: dict[str, ReplayStats] = field(default_factory=dict)

    def claim(self, journal: Journal) -> None:
        """Refuse a journal that holds anything but a replay of this source.

        Raises:
            RunFolderError: if it does.
        """
        before = journal.meta(REPLAYED, {})
        of = before.get("of")
        if journal.has_replies() and of != str(self.path):
            what = f"a replay of {of}" if of else "a run"
            raise RunFolderError(
                f"replay: {journal.path.parent} holds {what} already; choose another run_dir"
            )
        self.heard.update({name: ReplayStats(**facts) for name, facts in before.get("stages", {}).items()})
        journal.set_meta(REPLAYED, self.report())
        journal.adopt_vectors(self.journal)

    def known(self, rows: dict[int, Record]) -> dict[int, Record]:
        """The records that can be asked about: without those that a stage before could not."""
        for record in rows.values():
            if record.parent in self.unanswered:
                self.unanswered.add(record.id)
        return {number: record for number, record in rows.items() if record.id not in self.unanswered}

    def report(self) -> dict[str, Any]:
        """What the summary says of the replay."""
        return {
            "of": str(self.path),
            "source_finished": self.finished,
            "changed": self.changed,
            "stages": {name: asdict(heard) for name, heard in self.heard.items()},
            "note": " ".join(self._notes()),
        }

    def _notes(self) -> Iterator[str]:
        used = sum(heard.used for heard in self.heard.values())
        recorded = sum(heard.recorded for heard in self.heard.values())
        yield f"{used:,} of {recorded:,} recorded replies were read again, and no model was asked."
        if not self.finished:
            yield "The source run had not come to its end; this is what there was of it."
        for name, heard in self.heard.items():
            if heard.first_differing:
                yield (
                    f"{name}: from request {heard.first_differing} on the pool is another than it was, and a "
                    f"run under these settings would have sent other prompts ({heard.prompts_differ:,} of "
                    f"{heard.used:,}); what the model would have said to those cannot be known."
                )
            if heard.unanswered:
                yield (
                    f"{name}: {heard.unanswered:,} requests have no reply: they were never made, since their "
                    "records had been rejected or read otherwise, or the source stopped before one had come."
                )


@contextmanager
def recording(recipe: Recipe, into: Path) -> Iterator[Recording | None]:
    """Open the run that the recipe's `replay` names; None where it names none.

    Args:
        recipe: the recipe.
        into: the folder of the replay itself.

    Raises:
        RunFolderError: if there is no run, or the recipe would have asked something else than it did.
    """
    if recipe.config.replay is None:
        yield None
        return
    path = path_below(recipe.project, recipe.config.replay)
    if not (path / JOURNAL).is_file():
        raise RunFolderError(f"replay: {path} holds no run ({JOURNAL} is not there); give the folder of one")
    if path.resolve() == into.resolve():
        raise RunFolderError(f"replay: {path} cannot be replayed into itself; choose another run_dir")
    busy = in_use(path)
    with looked_into(path / JOURNAL, busy, OTHER) as journal:
        changed = _changed(recipe, journal, path)
        yield Recording(path, journal, bool(journal.meta(FINISHED, False)) and not busy, changed)


def _changed(recipe: Recipe, journal: Journal, path: Path) -> dict[str, list[Any]]:
    """The settings that differ.

    Raises:
        RunFolderError: for those that shape what is asked.
    """
    if not journal.has_replies():
        raise RunFolderError(
            f"replay: the run in {path} has received no reply yet; there is nothing to replay"
        )
    old, new = now(journal.meta("shape", {})), json.loads(json.dumps(shape_of(recipe)))
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    changed = {key: [old.get(key), new.get(key)] for key in keys}
    asked = [key for key in keys if not FREE.match(key)]
    if asked:
        lines = [f"  {key}: {_short(changed[key][0])} → {_short(changed[key][1])}" for key in asked[:10]]
        raise RunFolderError(
            "\n".join(
                [
                    "a replay cannot know what a model would have said to other prompts, and these settings "
                    f"differ from those of {path}:",
                    *lines,
                    "  Parsers, filters, schemas, exports and target may change. For the rest start a run; "
                    "what it asks again comes from the cache.",
                ]
            )
        )
    return changed


def _short(value: Any) -> str:
    text = "not set" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"


async def replay(
    stage: Stage, work: StageRun, source: Recording, context: RunContext, stop: asyncio.Future[None]
) -> None:
    """Take the recorded replies of a stage in, as `runner.drive` takes those of a model."""
    tape = _Tape(stage, source, context.journal)
    while (turn := work.turn()) is not None:
        request = work.compose()
        assert request, "replies are taken in one after the other, so the next request waits for none"
        found = tape.find(request)
        if found:
            request, reply = found
            context.journal.sent([request], sends=0)
            context.journal.arrived(request, reply)
            await work.prepare(turn, reply, context)
            records = work.take(turn, reply)
            context.journal.take(stage.name, turn, records)
            context.progress.took(records)
        elif tape.over(turn):
            break
        else:
            tape.unanswered(request)
            work.skip(turn)
        if turn % COMMIT_EVERY == 0:
            context.journal.set_meta(REPLAYED, source.report())  # stored with that which it tells of
            await context.journal.settled()
            if stop.done():
                await stop
    context.journal.set_meta(REPLAYED, source.report())


class _Tape:
    """The recorded replies of one stage, of which a replay that goes on has some already."""

    def __init__(self, stage: Stage, source: Recording, into: Journal) -> None:
        self._stage, self._source = stage, source
        self._heard = source.heard.setdefault(stage.name, ReplayStats())
        self._had = into.replied(stage.name)
        self._heard.used = len(self._had)
        self._heard.unanswered = max(self._had, default=0) - len(self._had) if stage.kind.draws else 0
        numbers = source.journal.replied(stage.name)
        self._heard.recorded, self._last = len(numbers), max(numbers, default=0)
        self._by_content: dict[bytes, list[int]] = defaultdict(list)
        if not stage.kind.draws:
            for request in source.journal.requests(stage.name):
                if request.number in numbers:
                    self._by_content[_content(request)].append(request.number)
            for request in into.requests(stage.name):
                if request.number in self._had:
                    self._number(request)  # used before, so an equal one gets the next

    def find(self, request: Request) -> tuple[Request, Reply] | None:
        """What was asked and what came back; None where it was never asked, or never answered."""
        number = request.number if self._stage.kind.draws else self._number(request)
        reply = self._source.journal.reply(self._stage.name, number) if number else None
        if reply is None:
            return None
        self._heard.used += request.number not in self._had
        if self._stage.kind.draws:
            request = self._as_it_was(request)
        return request, replace(reply, attempts=0)  # paid for by the source run

    def over(self, turn: int) -> bool:
        """Whether there is nothing more on it, for a stage that would go on asking."""
        return self._stage.kind.draws and turn > self._last

    def unanswered(self, request: Request) -> None:
        """Note that nobody knows the reply to a request."""
        self._heard.unanswered += 1
        if request.parent:
            self._source.unanswered.add(request.parent)

    def _number(self, request: Request) -> int:
        """The recorded request that asked the same; of several the first that is not used yet."""
        same = self._by_content.get(_content(request))
        return same.pop(0) if same else 0

    def _as_it_was(self, request: Request) -> Request:
        """The request that was sent, noting whether it is the one that would be sent now."""
        sent = self._source.journal.request(self._stage.name, request.number) or request
        if _content(sent) != _content(request) and request.number not in self._had:
            self._heard.prompts_differ += 1
            self._heard.first_differing = self._heard.first_differing or request.number
        return sent


def _content(request: Request) -> bytes:
    """A digest of what is asked, leaving out what may differ for the same question."""
    sampling = {key: value for key, value in request.sampling.items() if key not in UNSAID}
    asked = blotted(json.dumps([sampling, request.system, request.prompt], sort_keys=True))  # as it is stored
    return blake2b(asked.encode(), digest_size=16).digest()
