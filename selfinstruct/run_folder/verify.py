"""`selfinstruct verify RUN`: checks whether a run's folder is whole, and changes nothing in it.

It checks each row of the journal, and whether the rows that records refer to exist. It compares the other
files with the digests in `summary.json`; the digest of `summary.json` itself is in the journal.
"""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from selfinstruct.errors import DamagedJournal, UserError
from selfinstruct.journal.check import damage, summed, tables_of
from selfinstruct.journal.checksums import shown
from selfinstruct.journal.file import MOST_NAMED, readable, refuse_newer, untouched
from selfinstruct.journal.repair import SUMMARY, costs
from selfinstruct.journal.salvage import read_from
from selfinstruct.journal.store import SETTINGS, SUMMED_UP, Journal
from selfinstruct.llm.batch.still_open import still_open
from selfinstruct.monitor.events import EVENTS
from selfinstruct.monitor.progress import Progress
from selfinstruct.recipe.overrides import quoted_value
from selfinstruct.run_folder.folder import JOB, JOURNAL, REVIEWED, in_use
from selfinstruct.run_folder.handover import DATASET, left_here, place

HELP = """\
selfinstruct verify: check whether a run's folder is whole, without changing anything in it

  selfinstruct verify RUN

  RUN is the folder of a run, finished or not, or of a sweep; in a sweep, each job is checked.

  journal      SQLite's own check, the checksum of each row, the number of rows, and whether the rows that
               records refer to exist
  files        compared with the digests in summary.json; your own files in dataset/ are only named

Each line begins with ok, changed (by you; it is kept) or not ok. Below the lines that are not ok is the
command that repairs them. The exit status is 0 if everything is whole, else 1.
"""
OVERRIDES = ".hydra/overrides.yaml"
README = f"{DATASET}/README.md"
PIECE = 1 << 20  # bytes that are read at a time
MOST_LINES = 10  # lines about one thing that is wrong
_PLAIN = re.compile(r"[\w./-]*/[\w./-]*|[a-z_][\w.-]*", re.ASCII | re.IGNORECASE)  # needs no quotes
_DANGLING = {  # for each fault of a row, the query for the names of the rows that have it
    "its parent is missing": "SELECT id FROM record WHERE parent IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM record AS other WHERE other.id = record.parent)",
    "its reply is missing": "SELECT id FROM record"
    " WHERE EXISTS (SELECT 1 FROM request WHERE request.stage = record.stage)"
    " AND NOT EXISTS (SELECT 1 FROM reply WHERE reply.stage = record.stage AND number = record.request)",
    # If a reply is not taken in yet, the run writes its request again when it takes it in.
    "its request is missing": "SELECT 'reply ' || number || ' of ' || stage FROM reply"
    " WHERE taken AND NOT EXISTS"
    " (SELECT 1 FROM request WHERE request.stage = reply.stage AND request.number = reply.number)",
    "the record it is about is missing": "SELECT 'request ' || number || ' of ' || stage FROM request"
    " WHERE parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM record WHERE record.id = request.parent)",
    "it has no valid fate": "SELECT id FROM record WHERE fate NOT IN ('accepted', 'rejected', 'waiting')"
    " OR (fate = 'rejected') != (\"check\" IS NOT NULL)",
}


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        what: the thing that was checked, and what was found.
        state: `ok`, `changed` or `not ok`.
        remedy: how to repair it, if it is not ok.
    """

    what: str
    state: str = "ok"
    remedy: str = ""


def main(arguments: list[str], project: Path) -> int:
    """Print a line for each thing in a folder; return the exit status.

    Raises:
        UserError: if the arguments name neither a run nor a sweep.
    """
    folder = _folder(arguments, project)
    whole = True
    for run in _runs(folder):
        if run != folder:
            print(f"job {run.name}")
        findings = list(_of_run(run))
        for finding in findings:
            print(f"{finding.state:<8} {finding.what}")
        wrong = [finding for finding in findings if finding.state == "not ok"]
        whole = whole and not wrong
        trusted = not any(finding.what.startswith(OVERRIDES) for finding in wrong)
        typed = _command(run, project) if trusted else ""
        for remedy in dict.fromkeys(finding.remedy for finding in wrong if finding.remedy):
            print(f"  to repair it: {_remedy(remedy, typed)}")
    print(f"\n{shown(str(folder))}: {'whole' if whole else 'not whole'}")
    return 0 if whole else 1


def _folder(arguments: list[str], project: Path) -> Path:
    words = [part for part in arguments if (project / part).is_dir() or not re.match("-|.*=", part)]
    if len(arguments) != 1 or not words:
        raise UserError("verify takes the folder of a run or of a sweep: selfinstruct verify runs/NAME")
    folder = project / Path(arguments[0]).expanduser()
    if not folder.is_dir():
        raise UserError(f"verify: {arguments[0]} is not a folder; give the folder of a run or of a sweep")
    return folder


def _runs(folder: Path) -> list[Path]:
    """The run in a folder, or the jobs of the sweep in it."""
    if (folder / JOURNAL).exists() or place(folder) or (folder / SUMMARY).exists():
        return [folder]
    jobs = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    if not jobs:
        raise UserError(f"verify: {folder} holds no run ({JOURNAL} is missing) and no job of a sweep")
    return sorted(jobs, key=lambda path: int(path.name))


def _command(run: Path, project: Path) -> str:
    """The command that goes on with a run; empty if the run's saved overrides cannot be used."""
    from selfinstruct.recipe.compose import overrides_of

    try:
        saved = overrides_of(run / OVERRIDES)
    except UserError:  # the file is missing, or damaged itself
        return ""
    short = str(run.relative_to(project) if run.is_relative_to(project) else run)
    left_out = ("run_dir=", "fresh=", "repair=", "salvage=")
    kept = [part for part in saved if not part.startswith(left_out)]
    if not _PLAIN.fullmatch(short) or short.lower() in ("null", "true", "false", "inf", "nan"):
        short = quoted_value(short)
    parts = ["selfinstruct", *kept, f"run_dir={short}"]
    return shlex.join(parts) if all(part.isprintable() for part in parts) else ""


def _remedy(form: str, command: str) -> str:
    """The remedy with the command filled in, or with words in its place if the command is not known."""
    if command:
        return form.format(command=command)
    return form.format(command="type the command that you started it with, and").removesuffix(", and")


def _of_run(run: Path) -> Iterator[Finding]:
    where = place(run)
    here = left_here(run) if where else None
    if where and here is None:
        yield Finding(f"the run works in {shown(where)}, and its files are not here", "not ok")
        return
    if here:
        yield Finding(f"the run works in {shown(str(here))}; the lines below are about that folder")
        run = here
    busy = in_use(run)
    if busy:
        yield Finding("a process uses this run and may be writing its files; only its journal is checked")
    if not (run / JOURNAL).exists():
        started = (run / JOB).exists() and not (run / SUMMARY).exists()
        what = "the job has stored nothing" if started else f"{JOURNAL} is missing"
        yield Finding(what, "ok" if started else "not ok", "put it back, or {command} fresh=true")
        return
    open_ = busy or in_use(run, REVIEWED)
    with Progress().busy("reading the journal"), untouched(run / JOURNAL, open_) as db:
        facts: dict[str, Any] = {}
        yield from _of_journal(run / JOURNAL, db, facts)
    if not busy:
        yield from _of_files(run, facts)


def _of_journal(path: Path, db: sqlite3.Connection, facts: dict[str, Any]) -> Iterator[Finding]:
    """Check the journal; put its number of replies and its digests of other files into `facts`."""
    wrong: list[str] = []
    counts: dict[str, int] = {}
    try:
        readable(path)
        db.execute("BEGIN")
        refuse_newer(path, db)
        wrong = list(islice(damage(db), MOST_NAMED))
        if not wrong:
            counts = {
                table: db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables_of(db)
            }
            facts["replies"] = counts.get("reply", 0)
            if counts:
                for name in (SUMMED_UP, SETTINGS):
                    row = db.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()
                    facts[name] = json.loads(row[0]) if row else {}
    except DamagedJournal as error:
        wrong = error.damage
    except sqlite3.DatabaseError as error:
        wrong = [str(error)]
    if wrong:
        yield from _some(f"{JOURNAL}: {{}}", wrong, "{command} repair=true")
        yield Finding(costs(read_from(db), path.parent), "not ok")
        return
    others = ", ".join(f"{counts.get(name, 0):,} {name}s" for name in ("request", "record", "vector"))
    replies = f"{counts.get('reply', 0):,} replies"
    old = counts and not summed(tables_of(db))
    unsure = "; it has no checksums yet; the next start adds them" if old else ""
    yield Finding(f"{JOURNAL}: {replies}, {others}{unsure}")
    if counts:
        dangling = [
            f"{shown(name)}: {what}" for what, query in _DANGLING.items() for (name,) in db.execute(query)
        ]
        yield from _some("{}", dangling, "{command} fresh=true")
        if not dangling:
            yield Finding("all rows that records refer to exist")
    if counts and not old:
        *lines, what_to_do = still_open(Journal(path, db)) or [""]
        for place_, line in enumerate(lines, 1):
            yield Finding(f"{shown(line)}; {what_to_do}" if place_ == len(lines) else shown(line))


def _some(form: str, wrong: list[str], remedy: str) -> Iterator[Finding]:
    """A line for each of the first few that are wrong, and one with the number of the others."""
    for one in wrong[:MOST_LINES]:
        yield Finding(form.format(one), "not ok", remedy)
    if len(wrong) > MOST_LINES:
        yield Finding(form.format(f"… and {len(wrong) - MOST_LINES:,} more"), "not ok", remedy)


def _of_files(run: Path, facts: dict[str, Any]) -> Iterator[Finding]:
    path = run / SUMMARY
    if not path.exists():
        written = facts.get("replies") and facts.get(SUMMED_UP)
        what = f"{SUMMARY} is missing" if written else "the run has not written its files yet"
        yield Finding(what, "not ok" if written else "ok", "{command}")
        return
    try:
        content = path.read_bytes()
        summary = json.loads(content)
        files = dict(summary.get("files") or {})
        stored = sum(stage["replies"] for stage in summary["stages"].values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        yield Finding(f"{SUMMARY} cannot be read: {shown(str(error))}", "not ok", "{command}")
        return
    stored_digests = facts.get(SUMMED_UP) or {}
    if stored_digests.get(SUMMARY) not in (None, sha256(content).hexdigest()):
        yield Finding(f"{SUMMARY} is not as it was written", "not ok", "{command}")
        return
    yield Finding(f"{SUMMARY}: the run is {shown(summary.get('state', 'of an earlier version'))}")
    if "replies" in facts and facts["replies"] != stored:
        newer = facts["replies"] > stored
        what = f"the journal has {facts['replies']:,} replies, but {SUMMARY} counts {stored:,}"
        yield Finding(what, "ok" if newer else "not ok", "{command}")
    if not files:
        yield Finding("no digests: an earlier version wrote the files; the next start adds the digests")
    if EVENTS in stored_digests:
        yield _of_file(run, EVENTS, stored_digests[EVENTS])
    for name in files:
        yield _of_file(run, name, files[name], facts.get(SETTINGS, {}).get(name, ()))
    for other in sorted((run / DATASET).rglob("*")):
        name = other.relative_to(run).as_posix()
        if other.is_file() and files and name not in files:
            yield Finding(f"{shown(name)} is yours: no run has written it", "changed")


def _of_file(run: Path, name: str, facts: dict[str, Any], newer: Sequence[str] = ()) -> Finding:
    """Compare a file with its digest, or with the journal's newer ones; the events file may have grown."""
    try:
        size, digests = int(facts["bytes"]), newer or [facts["sha256"]]
        found = _digest(run / name, size if name == EVENTS else None)
    except FileNotFoundError:
        return Finding(f"{shown(name)} is missing", "not ok", "{command}")
    except (OSError, ValueError, TypeError, KeyError) as error:
        return Finding(f"{shown(name)} cannot be read: {shown(str(error))}", "not ok", "{command}")
    if found in digests:
        return Finding(shown(name))
    if name == README:
        return Finding(f"{name} was changed by you, and is kept", "changed")
    log = " (it is a log and cannot be written again; the next start adds to it)"
    what = f"{shown(name)} is not as it was written{log if name == EVENTS else ''}"
    return Finding(what, "not ok", "{command}")


def _digest(path: Path, size: int | None) -> str:
    """The digest of a file, or of its first `size` bytes."""
    digest, left = sha256(), size
    with path.open("rb") as file:
        while piece := file.read(PIECE if left is None else min(PIECE, left)):
            digest.update(piece)
            left = None if left is None else left - len(piece)
    return digest.hexdigest()
