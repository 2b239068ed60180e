"""The reviews in a run's journal: saved at once, each in one transaction, also while the run works.

    review/NAME/RECORD     the review of a record: answers, edit, note, at
    reviewing/NAME         the ids of the records that NAME was given, in order
    reviewing-undo/NAME    the last changes of NAME: the record, and its review before the change

A record is given to a reviewer within a transaction. So two people never get the same one by chance, whether
they use two browsers or two processes.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from selfinstruct.errors import RunFolderError, UserError
from selfinstruct.journal.facts import Facts, open_facts
from selfinstruct.journal.store import GIVEN, REVIEWS
from selfinstruct.report.numbers.agreement import by_reviewer
from selfinstruct.run_folder.folder import JOURNAL, REVIEWED
from selfinstruct.run_folder.handover import place

LONGEST_NAME = 40
UNDO = "reviewing-undo/"
MOST_UNDONE = 200_000  # characters of JSON that the changes to undo may take; the last one is always kept

Given = dict[str, list[str]]  # by reviewer, the ids of the records that were given


@dataclass(frozen=True)
class Review:
    """What one reviewer says of one record.

    Attributes:
        answers: the value chosen for each question.
        edit: the new text of each field that was edited; None if none was.
        note: words of the reviewer.
        at: when it was last changed: UTC, ISO 8601.
    """

    answers: dict[str, str] = field(default_factory=dict)
    edit: dict[str, str] | None = None
    note: str = ""
    at: str = ""


Change = Callable[[Review], Review]


class Reviews:
    """The reviews of a run; made by `open_reviews`."""

    def __init__(self, facts: Facts, path: Path) -> None:
        self._facts, self._path = facts, path

    def of(self, name: str, id: str) -> Review:
        """What a reviewer says of a record; an empty review if nothing yet."""
        return Review(**(self._facts.journal.meta(f"{REVIEWS}{name}/{id}") or {}))

    def all(self) -> dict[str, dict[str, Any]]:
        """All reviews as plain data, by reviewer and record."""
        return by_reviewer(self._facts.journal.facts(REVIEWS))

    def given(self) -> Given:
        """By reviewer, the ids of the records that were given, in order."""
        return dict(self._facts.journal.facts(GIVEN))

    def save(self, name: str, id: str, change: Change) -> tuple[Review, Review]:
        """Change a review as it is now; return it before and after.

        Args:
            name: the reviewer.
            id: the record.
            change: makes the new review of the stored one; if it raises, nothing is stored.
        """
        with self._changing():
            before = self.of(name, id)
            after = change(before)
            if after != before:
                after = replace(after, at=_now())
                self._facts.put(f"{REVIEWS}{name}/{id}", asdict(after))
                self._facts.put(f"{UNDO}{name}", _recent([*self._undo(name), [id, asdict(before)]]))
        return before, after

    def undo(self, name: str) -> str | None:
        """Take back the last change of a reviewer; return its record, None if there is none.

        A repair of the journal keeps the reviews, and forgets what could be undone.
        """
        with self._changing():
            changes = self._undo(name)
            if not changes:
                return None
            id, before = changes.pop()
            self._facts.put(f"{REVIEWS}{name}/{id}", {**before, "at": _now()})
            self._facts.put(f"{UNDO}{name}", changes)
        return str(id)

    def give(self, name: str, choose: Callable[[Given], str | None]) -> str | None:
        """Give a reviewer one more record; return its id.

        Args:
            name: the reviewer.
            choose: chooses it by what everybody was given so far; None if there is none.
        """
        with self._changing():
            given = self.given()
            id = choose(given)
            if id is not None:
                self._facts.put(f"{GIVEN}{name}", [*given.get(name, []), id])
        return id

    def release(self, name: str, finished: Callable[[Review], bool]) -> list[str]:
        """Take back the records that a reviewer was given and has not finished; return their ids.

        The answers to them stay. Whoever asks for a record next gets them.
        """
        with self._changing():
            mine = self.given().get(name, [])
            kept = [id for id in mine if finished(self.of(name, id))]
            self._facts.put(f"{GIVEN}{name}", kept)
        return [id for id in mine if id not in kept]

    def _undo(self, name: str) -> list[Any]:
        return list(self._facts.journal.meta(f"{UNDO}{name}") or [])

    @contextmanager
    def _changing(self) -> Iterator[None]:
        if where := place(self._path):  # what is stored here now would be replaced when that run ends
            raise RunFolderError(f"{self._path}: the run has begun to work in {where}; wait for its end")
        with self._facts.changing():
            yield


@contextmanager
def open_reviews(path: Path) -> Iterator[Reviews]:
    """Open the journal of a run for reviews; the whole journal is checked first.

    Raises:
        RunFolderError: if it cannot be written, is of an earlier version, or the run works elsewhere.
        DamagedJournal: if it is damaged.
    """
    from filelock import FileLock, Timeout

    if where := place(path):
        raise RunFolderError(f"{path}: the run works in {where}; review it when it has ended")
    lock = FileLock(path / REVIEWED)
    with open_facts(path / JOURNAL) as facts:
        with suppress(Timeout, OSError):  # another review of this run holds it, for both
            lock.acquire(timeout=0)
        try:
            yield Reviews(facts, path)
        finally:
            lock.release()


def name_of(typed: str) -> str:
    """The name of a reviewer, as it is stored.

    Raises:
        UserError: if it is empty, too long, or has characters that a name cannot have.
    """
    name = " ".join(unicodedata.normalize("NFC", typed).split())
    if not name:
        raise UserError("a reviewer needs a name")
    if len(name) > LONGEST_NAME:
        raise UserError(f"the name of a reviewer has at most {LONGEST_NAME} characters, not {len(name)}")
    if "/" in name or not name.isprintable():
        raise UserError("the name of a reviewer cannot have a slash or a control character in it")
    return name


def _recent(changes: list[Any]) -> list[Any]:
    """The last changes that are not too long together; the very last one in any case."""
    lengths = [len(json.dumps(one)) for one in changes]
    while len(changes) > 1 and sum(lengths) > MOST_UNDONE:
        changes, lengths = changes[1:], lengths[1:]
    return changes


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
