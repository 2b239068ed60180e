"""Replay: the recorded replies of a run are read, checked and validated again with other settings.

No model is asked. A stage goes through its replies as in a run, but each reply comes from the journal of the
source run: those of a bootstrap stage by number, those about a record by the content of the request. So a
replay without changes makes the same bytes; with other parsers, filters or schemas it shows what these make
of the same replies. Two things it cannot know, and it says so: with other settings the pool, and so the
prompts, would have been different; and a request that was never sent has no reply.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.errors import RunFolderError
from selfinstruct.journal.labelled_records import Picked
from selfinstruct.journal.repair import OTHER, looked_into
from selfinstruct.journal.store import FINISHED, GIVEN, REPLAYED, REVIEWS, Journal
from selfinstruct.llm.batch.still_open import still_open
from selfinstruct.llm.endpoint import RunContext
from selfinstruct.project.layout import path_below
from selfinstruct.recipe.build import Recipe
from selfinstruct.records import ACCEPTED, Record
from selfinstruct.run_folder.folder import JOURNAL, REVIEWED, in_use
from selfinstruct.run_folder.shape import shapes
from selfinstruct.stages import Stage, StageRun
from selfinstruct.stages.tape import ReplayStats

# These keys may differ from the source, since no request depends on them. So may those of the stages that
# choose among records without a model, such as `pair` and `sample`.
FREE = re.compile(r"(filters|schema)(\.|$)|prompts\.[^.]+(\.variants\.[^.]+)?\.parse(\.|$)")
COMMIT_EVERY = 200
OWN = "the run's own command"


@dataclass
class Recording:
    """The source of a replay.

    Attributes:
        path: its run folder.
        journal: its journal.
        finished: whether that run was finished.
        changed: the settings that differ from its own, by key: before and now.
        unanswered: ids of the records about which a stage would have sent requests that were never sent.
        heard: the counts of its replies, by stage.
        open: its batches that are open at a provider, in words, and what to do about them.
    """

    path: Path
    journal: Journal
    finished: bool
    changed: dict[str, list[Any]]
    unanswered: set[str] = field(default_factory=set)
    heard: dict[str, ReplayStats] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def claim(self, journal: Journal) -> None:
        """Refuse a journal with anything but a replay of this source.

        Raises:
            RunFolderError: if it does.
        """
        before = journal.meta(REPLAYED, {})
        of = before.get("of")
        if journal.has_replies() and of != str(self.path):
            what = f"a replay of {of}" if of else "a run"
            raise RunFolderError(
                f"replay: {journal.path.parent} already holds {what}; choose another run_dir"
            )
        self.heard.update({name: ReplayStats(**facts) for name, facts in before.get("stages", {}).items()})
        journal.set_meta(REPLAYED, self.report())
        journal.adopt_vectors(self.journal)

    def known(self, rows: Mapping[int, Record]) -> Mapping[int, Record]:
        """The records that can be asked about: those without an unanswered request in an earlier stage."""
        return Picked(rows, self._is_known) if self.unanswered else rows

    def _is_known(self, record: Record) -> bool:
        if record.parent in self.unanswered:
            self.unanswered.add(record.id)
        return record.id not in self.unanswered

    def adopt_reviews(self, journal: Journal) -> None:
        """Copy the reviews of the records that are the same in the replay, together with their parents."""
        for key, review in self.journal.facts(REVIEWS).items():
            id = key.partition("/")[2]
            if journal.meta(REVIEWS + key) is None and self._has(journal, id):
                journal.set_meta(REVIEWS + key, review)
        for name, ids in self.journal.facts(GIVEN).items():  # who has them, as nobody else should get them
            if journal.meta(GIVEN + name) is None:
                journal.set_meta(GIVEN + name, [id for id in ids if self._has(journal, id)])

    def _has(self, journal: Journal, id: str | None) -> bool:
        """Whether a replay has accepted the same record, made from the same ones."""
        while id:
            here, there = journal.record(id), self.journal.record(id)
            if here is there is None:  # a seed task
                break
            if not here or not there or here.fate != ACCEPTED or here.data != there.data:
                return False
            id = here.parent
        return True

    def report(self) -> dict[str, Any]:
        """The figures of the replay for the summary."""
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
            yield "The source run was not finished; this is the part that exists."
        if self.open:
            yield f"Not in it yet: {'; '.join(self.open)}."
        for name, heard in self.heard.items():
            if heard.first_differing:
                yield (
                    f"{name}: from request {heard.first_differing} on the pool is not the same as before, "
                    "so a run with these settings would have sent other prompts "
                    f"({heard.prompts_differ:,} of {heard.used:,}); the replies to those are not known."
                )
            if heard.unanswered:
                yield (
                    f"{name}: {heard.unanswered:,} requests have no reply: they were never sent, because "
                    "their records had been rejected or read differently, or the source had stopped."
                )


@contextmanager
def recording(recipe: Recipe, into: Path) -> Iterator[Recording | None]:
    """Open the run that the recipe's `replay` names; None if it names none.

    Args:
        recipe: the recipe.
        into: the folder of the replay itself.

    Raises:
        RunFolderError: if there is no run, or the recipe would have sent other requests than the run did.
    """
    if recipe.config.replay is None:
        yield None
        return
    path = path_below(recipe.project, recipe.config.replay)
    if not (path / JOURNAL).is_file():
        raise RunFolderError(f"replay: {path} holds no run ({JOURNAL} is missing); give the folder of a run")
    if path.resolve() == into.resolve():
        raise RunFolderError(f"replay: {path} cannot be replayed into itself; choose another run_dir")
    busy = in_use(path)
    with looked_into(path / JOURNAL, busy or in_use(path, REVIEWED), OTHER) as journal:
        changed = _changed(recipe, journal, path)
        finished = bool(journal.meta(FINISHED, False)) and not busy
        yield Recording(path, journal, finished, changed, open=still_open(journal, "" if busy else OWN))


def _changed(recipe: Recipe, journal: Journal, path: Path) -> dict[str, list[Any]]:
    """The settings that differ.

    Raises:
        RunFolderError: for settings that change the requests.
    """
    if not any(journal.count("reply", stage.name) for stage in recipe.stages):
        waiting = "".join(f"\n  {line}" for line in still_open(journal, OWN))
        raise RunFolderError(
            f"replay: the run in {path} has received no reply yet; there is nothing to replay{waiting}"
        )
    old, new = shapes(journal, recipe)
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    changed = {key: [old.get(key), new.get(key)] for key in keys}
    choosing = tuple(f"pipeline.{one.name}." for one in recipe.stages if one.of and not one.prompts)
    asked = [key for key in keys if not (FREE.match(key) or key.startswith(choosing))]
    if asked:
        lines = [f"  {key}: {_short(changed[key][0])} → {_short(changed[key][1])}" for key in asked[:10]]
        raise RunFolderError(
            "\n".join(
                [
                    "a replay cannot know a model's replies to other prompts, and these settings "
                    f"differ from those of {path}:",
                    *lines,
                    "  Parsers, filters, schemas, exports and target may change, and stages that choose "
                    "among records without a model. To change the rest, start a run; what it asks again "
                    "comes from the cache.",
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
    """Take in the recorded replies of a stage, as `runner.drive` takes in those of a model."""
    stats = source.heard.setdefault(stage.name, ReplayStats())
    tape = stage.kind.tape(stage, source.journal, context.journal, stats)
    while (turn := work.turn()) is not None:
        request = work.compose()
        assert request, "replies are taken in one after the other, so the next request can always be composed"
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
            stats.unanswered += 1
            if request.parent and not stage.kind.repeats:
                source.unanswered.add(request.parent)
            work.skip(turn)
        if turn % COMMIT_EVERY == 0:
            context.journal.set_meta(REPLAYED, source.report())  # stored together with the replies it counts
            await context.journal.settled()
            if stop.done():
                await stop
    source.adopt_reviews(context.journal)
    context.journal.set_meta(REPLAYED, source.report())
