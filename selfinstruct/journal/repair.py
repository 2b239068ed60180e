"""The repair of a damaged journal, and the message that offers it.

The damaged file is kept under another name. A new one, made of all rows that are as they were written, takes
its place. Missing records are then made again from the replies, and missing replies are requested again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from selfinstruct.errors import DamagedJournal, RunFolderError
from selfinstruct.journal.check import READABLE, format_of
from selfinstruct.journal.file import copied, inspect, look_at, refuse_unreadable, understood, untouched
from selfinstruct.journal.salvage import Saved, put_in_place, read_from, read_what_can_be
from selfinstruct.journal.store import Journal

SUMMARY = "summary.json"
WRITTEN = "dataset"  # the meta key for the digests of the files written to `dataset/`, by name
SAME = "To repair it, run the same command with repair=true"
CHECKED = "To repair it, run the recipe with repair=true; check changes nothing"
OTHER = "To repair it, run that run's own command with repair=true"


def open_journal(
    path: Path, repair: bool = False, replay: bool = False, how: str = SAME
) -> tuple[Journal, list[str]]:
    """Open a journal; repair it first if it is damaged and `repair` is set.

    Args:
        path: the SQLite file.
        repair: whether the user wants a damaged journal repaired.
        replay: whether its replies come from another run, so that there is no need to keep them.
        how: the sentence with the command that repairs it, for the message.

    Returns:
        The journal, and notes for the user about the repair; no notes if there was none.

    Raises:
        DamagedJournal: if it is damaged; the message says how to go on.
        RunFolderError: if it cannot be opened or repaired.
    """
    try:
        if path.exists():
            with understood(path), closing(look_at(path)) as db:
                _refuse_emptied(path, db)
        return Journal(path), []
    except DamagedJournal as error:
        if not repair:
            raise offer(error, how) from error
    try:
        return _mend(path, replay)
    except (sqlite3.Error, OSError) as error:
        raise RunFolderError(
            f"{path}: cannot be repaired: {error}. Nothing was changed; make room, or remove what prevents "
            "it, and run the same command again"
        ) from error


@contextmanager
def looked_into(path: Path, busy: bool, how: str = CHECKED, whole: bool = True) -> Iterator[Journal]:
    """A journal to read from, without a new file in its folder; one of an older format is copied first.

    Args:
        path: the SQLite file.
        busy: whether another process uses it.
        how: the sentence with the command that repairs a damaged one, for the message.
        whole: whether to check all of it first; otherwise each row is checked when it is read.

    Raises:
        DamagedJournal: if it is damaged; the message says how to go on.
        RunFolderError: if it cannot be opened, or is of a newer format.
    """
    with ExitStack() as stack:
        with understood(path):
            db = stack.enter_context(untouched(path, busy))
        try:
            _refuse_emptied(path, db)
            if whole:
                inspect(path, db)
            else:
                refuse_unreadable(path, db)
            if format_of(db) in READABLE:
                journal = Journal(path, db)
            else:
                copy = stack.enter_context(copied(path))
                Journal(copy).close()
                journal = Journal(path, look_at(copy))
        except DamagedJournal as error:
            raise offer(error, how, read_from(db)) from error
        stack.callback(journal.close)
        try:
            yield journal
        except DamagedJournal as error:  # a row that was read meanwhile
            raise offer(error, how, read_from(db)) if error.path == path else error from error


def offer(error: DamagedJournal, how: str = SAME, saved: Saved | None = None) -> DamagedJournal:
    """The same error with a remedy: what can be recovered, what that costs, and the command.

    Args:
        error: the damage that was found.
        how: the sentence with the command.
        saved: the readable rows of the journal; they are read now unless given.
    """
    if error.remedy:
        return error
    saved = saved or read_what_can_be(error.path)
    left = costs(saved, error.path.parent)
    kept = "The damaged file is kept too. To start anew: fresh=true"
    return DamagedJournal(error.path, error.damage, f"{left}.\n  {how}. {kept}")


def costs(saved: Saved, run: Path) -> str:
    """A sentence that says how many replies are left, and what it costs to request the others again.

    Args:
        saved: the rows that could be read.
        run: the run's folder; its summary has the figures if the journal's own are lost.
    """
    lost, cost = sum(saved.lost().values()), saved.cost()
    whole = f"{saved.replies:,} replies are whole and are kept"
    if not saved.counted:
        stored, usd = summed_up(run)
        if not stored and not saved.replies and not lost:
            return f"{whole}. All replies must be asked again, unless the cache has them"
        if stored - saved.replies > lost:
            lost = stored - saved.replies
            cost = usd * lost / stored
    thoughts = saved.lost_thoughts()
    if thoughts:
        whole += (
            f", but {thoughts:,} {'thought of them is' if thoughts == 1 else 'thoughts of them are'} lost"
        )
    if not lost:
        return f"{whole}; everything else that is damaged is made again from them"
    about = f" (about ${cost:.4f})" if cost else ""
    return (
        f"{whole}. {lost:,} must be asked again{about}, unless the cache has {'it' if lost == 1 else 'them'}"
    )


def _mend(path: Path, replay: bool) -> tuple[Journal, list[str]]:
    saved = read_what_can_be(path)
    beside = path.with_name(f"{path.stem}.mended{path.suffix}")
    for suffix in ("", "-wal", "-shm"):  # files that a killed repair left
        beside.with_name(beside.name + suffix).unlink(missing_ok=True)
    journal = Journal(beside)
    journal.restore(saved.kept(replies=not replay))
    if journal.meta(WRITTEN) is None:  # without digests, every file there would count as the user's
        journal.set_meta(WRITTEN, _written(path.parent))
    compared = journal.meta("shape") is not None or not journal.has_replies()
    journal.close()
    aside = put_in_place(path, beside)
    return Journal(path), [*_notes(saved, aside, replay, compared)]


def _notes(saved: Saved, aside: Path, replay: bool, compared: bool) -> Iterator[str]:
    what = "the replies of its source are read again" if replay else costs(saved, aside.parent)
    yield f"repaired the journal: {what}. The damaged one is {aside.name}"
    if not compared:
        yield (
            "its note of the settings was damaged, so they cannot be compared; the settings of this command "
            "are used"
        )


def _written(run: Path) -> dict[str, list[str]]:
    """The digests of the files written to `dataset/`, from the summary."""
    written = {}
    for name, facts in _table(_summary(run).get("files")).items():
        digest = _table(facts).get("sha256")
        if name.startswith("dataset/") and isinstance(digest, str):
            written[name.partition("/")[2]] = [digest[:16]]
    return written


def summed_up(run: Path) -> tuple[int, float]:
    """The number of a run's replies and their cost, from its summary; 0 if the summary does not say."""
    stages = [_table(figures) for figures in _table(_summary(run).get("stages")).values()]
    replies, usd = ([figures.get(key) for figures in stages] for key in ("replies", "cost_usd"))
    return (
        sum(count for count in replies if isinstance(count, int)),
        sum(float(cost) for cost in usd if isinstance(cost, (int, float))),
    )


def _refuse_emptied(path: Path, db: sqlite3.Connection) -> None:
    """Refuse an empty file, or one without tables, if the run's summary counts replies."""
    replies, _ = summed_up(path.parent)
    if replies and _is_empty(path, db):
        raise DamagedJournal(path, [f"it is empty, but summary.json counts {replies:,} replies"])


def _is_empty(path: Path, db: sqlite3.Connection) -> bool:
    """Whether a file has no tables; false if SQLite cannot read it, which another check reports better."""
    if not path.stat().st_size:
        return True
    try:
        return not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.Error:
        return False


def _summary(run: Path) -> dict[str, Any]:
    """The summary; empty if it is damaged, since each start writes it again when it ends."""
    try:
        return _table(json.loads((run / SUMMARY).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def _table(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
