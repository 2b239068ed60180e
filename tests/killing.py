"""Kills of a run, at random moments and by any signal, and what must hold after each and at the end.

    ordeal = Ordeal(project, "run", ["recipe=paper", "model=scripted"], seed=1)
    for blow in ordeal.strike(20):
        print(blow)
    ordeal.finish()
    assert not ordeal.complaints

Everything is seen from outside: the command line as a process of its own, the files of the run folder, and
the requests that a server got. What a dead process left is looked at in a copy, so looking mends nothing.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import children
from server import Asked, ModelServer

from selfinstruct.errors import DamagedJournal
from selfinstruct.journal.store import Journal

LONGEST = 60.0
POLL, COPYING = 0.003, 0.02  # seconds between two looks
# A whole answer sent this part of `span` before a kill has arrived, however busy the machine.
ARRIVED = 0.3
# No process asks anything so soon after its start.
SOONEST = 0.2
# Where the moments lie; `anywhere` counts from the start, `work` from when the run folder is open.
MOMENTS = ("anywhere", "work", "replies", "stage", "files")
# How ten in a row are struck, in any order.
SIGNALS = ["KILL"] * 7 + ["INT", "TERM", "INT INT"]
TRIES = 4
STAGES = ("instructions", "classification", "instances")

Stored = dict[tuple[str, int], tuple[str, str, float]]


@dataclass(frozen=True)
class Blow:
    """A kill.

    Attributes:
        number: its number, from 1.
        moment: how its moment was chosen.
        how: the signals.
        seconds: since the process was started.
        stage: the stage last asked about, empty before the first request.
        stored: replies in the journal afterwards.
        working: whether the process was at the run folder by then, and not still starting up.
        status: the process's exit status; above 0 it ended by itself.
        hit: whether it was running.
        unfinished: whether the run was not complete before.
    """

    number: int
    moment: str
    how: str
    seconds: float
    stage: str
    stored: int
    working: bool
    status: int
    hit: bool
    unfinished: bool

    def __str__(self) -> str:
        where = self.stage if self.working else f"(start-up) {self.stage}"
        hit = "" if self.hit else "  missed"
        return (
            f"{self.number:4} {self.how:9} {self.moment:8} {self.seconds:6.2f} s  {where:25} "
            f"{self.stored:4} replies  exit {self.status}{hit}"
        )


@dataclass
class Ordeal:
    """A run that is killed again and again.

    Args:
        project: the folder in which the command is typed.
        name: the run folder's name.
        arguments: the command, which must be the same each time.
        seed: of every moment and signal.
        span: the seconds that it takes undisturbed; a moment `anywhere` lies within them.
        server: the server that it asks, where there is one.
        skip: requests that the server got before, from others.

    Attributes:
        complaints: what should not have been, in words.
        blows: the kills so far.
        repeats: how often a prompt was sent that had been sent before.
    """

    project: Path
    name: str
    arguments: Sequence[str]
    seed: int
    span: float = 1.5
    server: ModelServer | None = None
    skip: int = 0
    complaints: list[str] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.project / self.name
        self._rng = Random(self.seed)
        self._before: Stored = {}
        self._opening = self.span / 3  # what a process needs to open the run folder

    @property
    def hits(self) -> list[Blow]:
        """The kills of a process that was running."""
        return [blow for blow in self.blows if blow.hit]

    @property
    def repeats(self) -> int:
        """How often a prompt was sent that had been sent before."""
        asked = Counter(self.server.prompts[self.skip :] if self.server else [])
        return sum(asked.values()) - len(asked)

    def strike(self, kills: int) -> Iterator[Blow]:
        """Start the run and kill it, so many times; a kill that comes after its end is tried again."""
        for moment, how in self._plan(kills):
            for _ in range(TRIES):
                blow = self._blow(moment, how)
                self.blows.append(blow)
                yield blow
                if blow.hit:
                    break
            else:
                self._complain(f"{how} at {moment}: missed {TRIES} times")

    def _plan(self, kills: int) -> list[tuple[str, str]]:
        """Moments and signals: one in ten while files are written, two in all at changes of stage."""
        moments = self._rng.choices(["anywhere", "work", "replies"], [3, 4, 4], k=kills)
        moments[1::10] = ["files"] * len(moments[1::10])
        moments[kills // 10] = moments[kills // 5] = "stage"  # early, before the run is in its last stage
        signals = [how for _ in range(0, kills, 10) for how in self._rng.sample(SIGNALS, 10)]
        return list(zip(moments, signals, strict=False))

    def finish(self, *more: str) -> None:
        """Let the run come to its end, and look at what it leaves."""
        began = time.monotonic()
        process = start(self.project, *self.arguments, *more, f"run_dir={self.name}")
        _, err = process.communicate(timeout=2 * LONGEST)
        if process.returncode != 0:
            self._complain(f"the last start ended with {process.returncode}: {err}")
        self._look("the last start", began)
        left = [str(path) for path in self.folder.rglob("*.part")]
        if left:
            self._complain(f"left behind: {left}")

    def _blow(self, moment: str, how: str) -> Blow:
        over = finished(self.folder)
        if moment == "stage" and STAGES[-1] in asked_stages(self.folder):
            moment = "replies"
        if moment == "replies" and over:
            moment = self._rng.choice(["work", "files"])  # no other comes any more
        if moment == "files":  # a finished run writes them anyway
            how = "KILL" if over else "INT, KILL"
        fresh = stamps(self.folder)
        began = time.monotonic()
        process = start(self.project, *self.arguments, f"run_dir={self.name}")
        self._await(moment, process, fresh)
        at = time.monotonic()
        working, hit = stamps(self.folder) != fresh, process.poll() is None
        if hit:
            self._signal(process, how)
        try:
            _, err = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            _, err = process.communicate()
            self._complain(f"{how} at {moment}: did not stop within {LONGEST:g} s: {err[-500:]}")
        status = process.wait()
        what = f"kill {len(self.blows) + 1} ({how}, {moment}, {at - began:.2f} s)"
        self._judge(what, status, err, working)
        stage = self._look(what, began, at, status == 130 and how in ("INT", "TERM"))
        return Blow(
            number=len(self.blows) + 1,
            moment=moment,
            how=how,
            seconds=at - began,
            stage=stage,
            stored=len(self._before),
            working=working,
            status=status,
            hit=hit,
            unfinished=not over,
        )

    def _await(self, moment: str, process: children.Process, fresh: dict[str, int]) -> None:
        """Let the process run until the moment, or until it ends by itself."""
        rng = self._rng
        if moment == "anywhere":
            until = time.monotonic() + rng.uniform(0, self._opening if finished(self.folder) else self.span)
            _wait(process, lambda: time.monotonic() >= until)
            return
        over = finished(self.folder)  # then all it does is write its files, which is soon done
        began = time.monotonic()
        _wait(process, lambda: stamps(self.folder) != fresh)
        self._opening = time.monotonic() - began
        if moment == "files" and over:
            files = data_stamps(self.folder)
            _wait(process, lambda: data_stamps(self.folder) != files)
            time.sleep(rng.uniform(0, 0.03))
        elif moment in ("work", "files"):
            time.sleep(rng.uniform(0, 0.1 if over else 0.5))
        elif moment == "replies":
            enough = len(self._before) + rng.randint(1, 8)
            _wait(process, lambda: len(stored(self.folder)) >= enough, COPYING)
        else:
            known = set(asked_stages(self.folder))
            _wait(process, lambda: not known.issuperset(asked_stages(self.folder)), COPYING)
            time.sleep(rng.uniform(0, 0.05))

    def _signal(self, process: children.Process, how: str) -> None:
        first = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM}.get(how, signal.SIGINT)
        files = data_stamps(self.folder)
        process.send_signal(first)
        if how == "INT INT":
            time.sleep(self._rng.uniform(0, 0.2))
            process.send_signal(signal.SIGINT)
        elif how == "INT, KILL":  # in the midst of writing the files
            _wait(process, lambda: data_stamps(self.folder) != files)
            time.sleep(self._rng.uniform(0, 0.02))
            process.kill()

    def _judge(self, what: str, status: int, err: str, working: bool) -> None:
        """A process may die of the signal, or come to an end; nothing else."""
        ends = {0, 130, -signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM}
        if status not in ends or (working and "Traceback" in err):
            self._complain(f"{what}: exit status {status}: {err[-2000:]}")

    def _look(self, what: str, began: float, at: float | None = None, whole: bool = False) -> str:
        """Look at what a process left, against what it found; the stage it was at.

        Args:
            what: the process, in words.
            began: when it was started.
            at: when it was struck.
            whole: whether it ended by itself, once all that was in flight had arrived.
        """
        now = stored(self.folder)
        for key, reply in self._before.items():
            if now.get(key) != reply:
                self._complain(f"{what}: reply {key} was stored before, and is {now.get(key)} now")
        for path in data_files(self.folder):
            if not _is_whole(path):
                self._complain(f"{what}: {path.name} is not whole")
        if self.server:
            # What comes any sooner was on its way from the process before.
            sent = [asked for asked in self.server.asked if asked.at > began + SOONEST]
            self._look_at_server(self.server, sent, now, what, at, whole)
        self._before = now
        return (asked_stages(self.folder) or [""])[-1]

    def _look_at_server(
        self, server: ModelServer, sent: list[Asked], now: Stored, what: str, at: float | None, whole: bool
    ) -> None:
        had = {prompt for prompt, _, _ in self._before.values()}
        has = {prompt for prompt, _, _ in now.values()}
        for asked in sent:
            when = server.answered.get(asked.number)
            if asked.prompt in had:
                self._complain(f"{what}: asked again though its reply was stored: …{asked.prompt[-80:]!r}")
            elif asked.prompt not in has and at and when and (whole or when < at - ARRIVED * self.span):
                self._complain(
                    f"{what}: answered {when - at:+.2f} s from the signal, and lost: …{asked.prompt[-80:]!r}"
                )

    def _complain(self, words: str) -> None:
        self.complaints.append(words)


def start(project: Path, *arguments: str, fresh: bool = False) -> children.Process:
    """The command line as a process, with a cache in the project; `fresh` is explained in `children`."""
    variables = {"XDG_CACHE_HOME": str(project / ".cache"), "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
    return children.start(project, *arguments, fresh=fresh, streams=None, **variables)


def data_files(run: Path) -> list[Path]:
    """The data files of a run, those that must have the same bytes in the end."""
    files = [path for path in run.glob("*.jsonl") if path.name != "events.jsonl"]
    return sorted([*files, *(run / "dataset").glob("*.jsonl")])


def data(run: Path) -> dict[str, bytes]:
    """Their bytes."""
    return {str(path.relative_to(run)): path.read_bytes() for path in data_files(run)}


def stored(run: Path) -> Stored:
    """Prompt, text and seconds of each reply in the journal, by stage and number."""
    found: Stored = {}
    with _copy(run) as db, suppress(DamagedJournal, sqlite3.DatabaseError):
        journal = Journal(run / "run.sqlite", db)
        rows = db.execute(
            "SELECT stage, number, text, reply.seconds FROM reply JOIN request USING (stage, number)"
        )
        for stage, number, text, took in rows.fetchall():
            request = journal.request(stage, number)
            assert request
            found[stage, number] = request.prompt, text, took
    return found


def asked_stages(run: Path) -> list[str]:
    """The stages of the requests in the journal, the latest last."""
    counts = dict(_ask(run, "SELECT stage, COUNT(*) FROM request GROUP BY stage"))
    return [stage for stage in STAGES if stage in counts]


def intact(run: Path) -> bool:
    """Whether SQLite finds no fault with the journal."""
    return _ask(run, "PRAGMA integrity_check") == [("ok",)]


def finished(run: Path) -> bool:
    """Whether the run has come to its end."""
    path = run / "summary.json"
    return path.exists() and bool(json.loads(path.read_text(encoding="utf-8"))["finished"])


def stamps(run: Path) -> dict[str, int]:
    """When each file of the folder was last changed."""
    return {path.name: path.stat().st_mtime_ns for path in _there(run)}


def data_stamps(run: Path) -> dict[str, int]:
    """The same for its data files, and for those about to take their place."""
    return {name: when for name, when in stamps(run).items() if "jsonl" in name and "events" not in name}


def _there(run: Path) -> Iterator[Path]:
    """The files of a folder in which another process makes and renames some."""
    for path in run.iterdir() if run.is_dir() else ():
        if path.exists():
            yield path


def _wait(process: children.Process, condition: Callable[[], bool], pause: float = POLL) -> None:
    end = time.monotonic() + LONGEST
    while process.poll() is None and time.monotonic() < end:
        try:
            if condition():
                return
        except FileNotFoundError:  # was renamed between two looks
            continue
        time.sleep(pause)


def _ask(run: Path, query: str) -> list[Any]:
    """Ask a copy of the journal."""
    with _copy(run) as db, suppress(sqlite3.DatabaseError):
        return db.execute(query).fetchall()
    return []


@contextmanager
def _copy(run: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the journal, so that reading neither locks it nor mends a torn write.

    A copy made while a process writes may be torn itself; it serves to choose a moment, and is then empty.
    """
    with tempfile.TemporaryDirectory() as copies:
        for name in ("run.sqlite", "run.sqlite-wal"):
            try:
                shutil.copyfile(run / name, Path(copies) / name)
            except FileNotFoundError:
                continue
        with closing(sqlite3.connect(Path(copies) / "run.sqlite")) as db:
            yield db


def _is_whole(path: Path) -> bool:
    """Whether a JSONL file holds whole rows only."""
    text = path.read_text(encoding="utf-8")
    try:
        for line in text.split("\n")[:-1]:
            json.loads(line)
    except ValueError:
        return False
    return not text or text.endswith("\n")
