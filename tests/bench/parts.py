"""Which part of the product a run's CPU goes to, by samples; for benchmarks.

    with Parts() as parts:
        ...  # a run
    print(parts.table(requests))

A timer of CPU time interrupts the main thread each millisecond, and the sample counts for the innermost
frame of ours; so the time of a library counts for the part that called it. What no frame of ours called is
asyncio's. The garbage collector is timed by its own callbacks and taken out of the samples; other threads'
CPU is the rest of the process's. The samples take about one percent themselves.
"""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from types import FrameType, TracebackType

TICK = 0.001  # seconds of CPU
# The beginning of a module's path below selfinstruct/: its part. The first that fits counts.
PARTS = {
    "journal/checksums": "journal: checksums and SQLite",
    "journal/": "journal: rows",
    "llm/cache": "cache",
    "llm/claims": "cache: claims",
    "llm/client": "client",
    "llm/endpoint": "endpoint",
    "llm/calls": "endpoint",
    "llm/limits": "limits",
    "llm/budget": "endpoint",
    "llm/": "model",
    "monitor/events": "events",
    "project/jsonl": "events",
    "monitor/": "progress",
    "report/reasons": "progress",
    "safety/blot": "secrets blotted out",
    "safety/expressions": "filters",
    "prompts/asked": "filters",
    "prompts/": "prompts composed",
    "sources/pool": "prompts composed",
    "parse/": "replies read",
    "filters/": "filters",
    "text/novelty": "filters: novelty",
    "text/tokenizers": "filters: words",
    "text/": "filters",
    "schema/": "JSON Schema",
    "stages/": "stages and judge",
    "runner": "runner",
    "records": "records and random streams",
    "api/": "asyncio and the rest",  # the outermost frame of a run
    "cli/": "asyncio and the rest",
}
ALL, END = "    all ", "    (end of the parts)"
LOOP, COLLECTOR, THREADS = "asyncio and the rest", "garbage collector", "other threads"
CANNED = "the benchmark's own replies"


class Parts:
    """Samples the process from entering this as a context to leaving it; only in the main thread.

    Attributes:
        seconds: the CPU of the whole process.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._found: Counter[str] = Counter()
        self._collecting = self._collected = self._main = 0.0

    def __enter__(self) -> Parts:
        self._began, self._main_began = time.process_time(), time.thread_time()
        gc.callbacks.append(self._collects)
        self._woken = signal.set_wakeup_fd(-1)  # otherwise each sample wakes the event loop
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, TICK, TICK)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.set_wakeup_fd(self._woken)
        gc.callbacks.remove(self._collects)
        self.seconds = time.process_time() - self._began
        self._main = time.thread_time() - self._main_began

    def table(self, requests: int) -> str:
        """Milliseconds of CPU a request, by part."""
        samples = sum(self._found.values())
        busy = (self._main - self._collected) / max(1, samples)
        found = {part: count * busy for part, count in self._found.items()}
        found |= {COLLECTOR: self._collected, THREADS: self.seconds - self._main}
        lines = [
            f"    {part:<32}{seconds / requests * 1e3:>8.3f}{seconds / self.seconds:>7.0%}"
            for part, seconds in sorted(found.items(), key=lambda one: -one[1])
        ]
        return "\n".join([f"{ALL:<36}{self.seconds / requests * 1e3:>8.3f}", *lines, END])

    def _sample(self, number: int, frame: FrameType | None) -> None:
        self._found[_part(frame)] += 1

    def _collects(self, phase: str, info: dict[str, int]) -> None:
        now = time.thread_time()
        if phase == "start":
            self._collecting = now
        else:
            self._collected += now - self._collecting


def _part(frame: FrameType | None) -> str:
    """The part of the innermost frame of ours."""
    while frame is not None:
        _, ours, path = frame.f_code.co_filename.rpartition("/selfinstruct/")
        if ours:
            return next((part for name, part in PARTS.items() if path.startswith(name)), path)
        if frame.f_code.co_filename == "<template>":
            return PARTS["prompts/"]
        if frame.f_code.co_filename.endswith("fast_server.py"):
            return CANNED
        frame = frame.f_back
    return LOOP
