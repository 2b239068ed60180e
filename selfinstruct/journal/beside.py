"""The files of a run that are beside its journal: their names, and whether a process works with the run."""

from __future__ import annotations

from pathlib import Path

JOURNAL, LOCK = "run.sqlite", "run.lock"
REVIEWED = "review.lock"  # locked while people review the run, which writes to the journal at any time
NOTE = "elsewhere.json"  # says where a run works whose folder is on a network disk


def in_use(path: Path, lock: str = LOCK) -> bool:
    """Whether another process uses the run in a folder; with `REVIEWED`, whether people review it."""
    from filelock import FileLock, Timeout

    if not (path / lock).exists():  # no process has used it; trying the lock would make the file
        return False
    try:
        with FileLock(path / lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # nobody can work in a folder that is not writable
        return False
