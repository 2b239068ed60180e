"""Reports the progress of jobs in other processes, from the process that started the sweep."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selfinstruct.monitor.events import EVENTS
from selfinstruct.run_folder.folder import JOB
from selfinstruct.sweeps import read

LOOK_EVERY, REPORT_EVERY = 0.5, 10.0  # seconds
TAIL = 65536  # bytes at the end of an events file; they include a checkpoint


@contextmanager
def watched(sweep: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Report each job that ends and, every few seconds, the progress of the others."""
    ended = threading.Event()
    watch = _Watch(sweep, say)

    def look() -> None:
        while not ended.wait(LOOK_EVERY):
            watch.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        watch.look()


class _Watch:
    def __init__(self, sweep: Path, say: Callable[[str], None]) -> None:
        self._sweep, self._say = sweep, say
        self._began, self._reported = time.time(), time.monotonic()
        self._ended: set[str] = set()

    def look(self) -> None:
        """Report the jobs that have ended since the last look, and from time to time the running ones."""
        for folder in sorted(self._sweep.glob("*/"), key=lambda path: path.name.zfill(9)):
            if folder.name not in self._ended and self._fresh(folder / JOB):
                outcome = read(folder)
                self._ended.add(folder.name)
                if outcome and not outcome.alone:
                    self._say(outcome.line())
        if time.monotonic() - self._reported >= REPORT_EVERY:
            self._reported = time.monotonic()
            self._report_running()

    def _report_running(self) -> None:
        at = [
            f"job {folder.name} {stage}"
            for folder in sorted(self._sweep.glob("*/"), key=lambda path: path.name.zfill(9))
            if folder.name not in self._ended and (stage := self._stage(folder / EVENTS))
        ]
        if at:
            self._say(f"{len(self._ended)} jobs ended; {', '.join(at)}")

    def _stage(self, events: Path) -> str:
        """The progress of a running job, from its last checkpoint; empty if it has not started."""
        if not self._fresh(events):
            return ""
        with events.open("rb") as file:
            file.seek(max(0, events.stat().st_size - TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()[1:]
        for line in reversed(lines):
            if '"checkpoint"' in line:
                facts = json.loads(line)
                return f"{facts['stage']} {facts['accepted']:,} accepted"
        return "begins"

    def _fresh(self, path: Path) -> bool:
        """Whether a file was written since this start of the sweep."""
        return path.is_file() and path.stat().st_mtime >= self._began - 1
