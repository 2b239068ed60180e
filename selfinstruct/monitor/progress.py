"""The progress of a run: a bar for each stage on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from selfinstruct.journal.stage_stats import StageStats
from selfinstruct.monitor.outside import lasting
from selfinstruct.monitor.terminal import console, safe, screened
from selfinstruct.records import ACCEPTED, REJECTED, Record, Reply

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

EVERY_SECONDS = 5.0
NAME, BAR = 15, 16  # columns


@dataclass
class Tally:
    """The progress of a stage."""

    name: str
    goal: int
    done: int
    accepted: int
    candidates: int
    tokens: int
    cost_usd: float | None
    prompt_tokens: int = 0
    cached_tokens: int = 0  # those of the prompts that the provider had in its cache
    in_flight: int = 0
    slowed: str = ""
    began: float = field(default_factory=time.monotonic)
    done_before: int = 0

    def line(self) -> str:
        """The whole progress on one line."""
        return f"{self.name}: {self.done} of {self.goal}  {self.details()}"

    def details(self, room: int = 1_000) -> str:
        """Everything except the name and the bar, as far as there is room."""
        rate = (
            f"{self.accepted / self.candidates:.0%} of {self.candidates} accepted" if self.candidates else ""
        )
        cost = "" if not self.cost_usd else f"${self.cost_usd:.4f}"
        cached = f", {self.cached_tokens / self.prompt_tokens:.0%} cached" if self.cached_tokens else ""
        tokens = f"{_short(self.tokens)} tokens{cached and f' ({_short(self.prompt_tokens)} sent{cached})'}"
        flying = f"{self.in_flight} in flight{self.slowed}"
        parts = [_time_left(self), rate, cost, tokens, flying]
        return _fitting(parts, room)


@dataclass
class Work:
    """The progress of other work than that of a stage, such as the steps of a training."""

    name: str
    goal: int = 1
    done: int = 0
    done_before: int = 0
    notes: Sequence[str] = ()
    began: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """The whole progress on one line."""
        return f"{self.name}: {self.done} of {self.goal}  {self.details()}"

    def details(self, room: int = 1_000) -> str:
        """The time left and the notes, as far as there is room."""
        return _fitting([_time_left(self), *self.notes], room)


class Progress:
    """Shows a run's progress.

    Args:
        stream: where to show it; the default is standard error.
        quiet: show nothing.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream = lasting(stream or sys.stderr)
        self._quiet = quiet
        self._tally: Tally | None = None
        self._shown: Tally | Work | None = None
        self._by_replies = False
        self._remark: Callable[[Sequence[Record]], str | None] | None = None
        self._bars: Bars | None = None
        self._bar: Any = None
        self._troubles: dict[str, tuple[float, int]] = {}  # by kind: time of the last shown, how many since

    @contextmanager
    def stage(
        self,
        name: str,
        goal: int,
        stats: StageStats,
        taken: int | None,
        remark: Callable[[Sequence[Record]], str | None] | None = None,
    ) -> Iterator[None]:
        """Show a stage while it runs.

        Args:
            name: its name.
            goal: the number that it works towards.
            stats: its figures so far.
            taken: replies taken in before, if replies and not accepted records count towards the goal.
            remark: gets the candidates of each reply taken in; the text that it returns is shown.
        """
        done = stats.accepted if taken is None else taken
        if not goal:  # it asks no model, and its records are there already
            done = goal = stats.accepted
        self._by_replies, self._remark = taken is not None, remark
        self._tally = Tally(
            name,
            goal,
            done,
            stats.accepted,
            stats.candidates,
            stats.paid_tokens,
            stats.paid_usd,
            stats.prompt_tokens,
            stats.cached_tokens,
            done_before=done,
        )
        with self._showing(self._tally):
            yield

    @contextmanager
    def work(self, name: str) -> Iterator[Callable[[int, int, int, Sequence[str]], None]]:
        """Show other work than that of a stage.

        Gives a function that gets how much is done, how much there is, how much was done before, and
        notes; the time left is counted from its first call.
        """
        shown = Work(name)
        with ExitStack() as stack:

            def show(done: int, goal: int, before: int, notes: Sequence[str]) -> None:
                shown.done, shown.goal, shown.done_before, shown.notes = done, goal, before, notes
                if self._shown is not shown:
                    shown.began = time.monotonic()
                    stack.enter_context(self._showing(shown))
                self._refresh()

            yield show

    @contextmanager
    def _showing(self, what: Tally | Work) -> Iterator[None]:
        self._shown = what
        try:
            with self._bar_of(what) if self._stream.isatty() and not self._quiet else self._lines():
                yield
        finally:
            self._shown = None

    @property
    def so_far(self) -> tuple[int, float | None]:
        """How many records the stage has accepted, and what it has cost; None if no price is known."""
        return (self._tally.accepted, self._tally.cost_usd) if self._tally else (0, None)

    def traffic(self, sent: int, reply: Reply | None = None) -> None:
        """Change the number of requests in flight by `sent`; count a reply that has arrived."""
        if self._tally is None:
            return
        self._tally.in_flight += sent
        if reply and reply.attempts:
            self._tally.tokens += reply.prompt_tokens + reply.completion_tokens
            self._tally.prompt_tokens += reply.prompt_tokens
            self._tally.cached_tokens += reply.cached_tokens
            if reply.cost_usd is not None:
                self._tally.cost_usd = (self._tally.cost_usd or 0.0) + reply.cost_usd
        self._refresh()

    def slowed(self, words: str) -> None:
        """Show that the provider slows the requests down; without words, that it does not any more."""
        if self._tally:
            self._tally.slowed = f" ({words})" if words else ""
            self._refresh()

    def took(self, records: list[Record]) -> None:
        """Count the candidates of a reply that was taken in."""
        tally = self._tally
        assert tally, "replies belong to a stage"
        accepted = sum(record.fate == ACCEPTED for record in records)
        tally.accepted += accepted
        tally.candidates += accepted + sum(record.fate == REJECTED for record in records)
        tally.done += 1 if self._by_replies else accepted
        self._refresh()
        remark = self._remark(records) if self._remark else None
        if remark:
            self.say(remark)

    def trouble(self, kind: str, text: str) -> None:
        """Show a passing problem; of each kind, only one line every few seconds."""
        now = time.monotonic()
        last, hidden = self._troubles.get(kind, (-EVERY_SECONDS, 0))
        if now - last < EVERY_SECONDS:
            self._troubles[kind] = last, hidden + 1
            return
        self._troubles[kind] = now, 0
        self.say(f"{text} (and {hidden} more like it)" if hidden else text)

    def say(self, text: str) -> None:
        """Show a line; on a terminal, above the bar."""
        if self._quiet:
            return
        if self._bars:
            self._bars.console.print(text, highlight=False)
        else:
            print(safe(text), file=self._stream, flush=True)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show a line if the block takes more than two seconds."""
        timer = threading.Timer(2.0, self.say, (f"{what} …",))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _refresh(self) -> None:
        if self._bars and self._shown:
            done, goal = self._shown.done, self._shown.goal
            room = self._bars.console.width - NAME - BAR - 2 * len(str(goal)) - 5  # and the spaces between
            self._bars.update(self._bar, completed=done, total=goal, details=self._shown.details(room))

    @contextmanager
    def _bar_of(self, tally: Tally | Work) -> Iterator[None]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        name = TextColumn(f"{{task.description:<{NAME}}}", markup=False)
        columns = name, BarColumn(BAR), MofNCompleteColumn(), TextColumn("{task.fields[details]}")
        # While a bar is shown, rich replaces our standard streams with its own, which obey escape sequences.
        with Progress(*columns, console=console(self._stream)) as self._bars, screened():
            self._bar = self._bars.add_task(safe(tally.name), total=tally.goal, details="")
            self._refresh()
            yield
            self._refresh()
        self._bars = None

    @contextmanager
    def _lines(self) -> Iterator[None]:
        ended = threading.Event()

        def show_now() -> None:
            if self._shown:
                self.say(self._shown.line())

        def show() -> None:
            while not ended.wait(EVERY_SECONDS):
                show_now()

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            show_now()


def _fitting(parts: Sequence[str], room: int) -> str:
    """The parts that are not empty, as many as there is room for."""
    fitting = [part for part in parts if part]
    while len(fitting) > 1 and len("  ".join(fitting)) > room:
        fitting.pop()
    return "  ".join(fitting)


def _time_left(what: Tally | Work) -> str:
    done = what.done - what.done_before
    if done <= 0 or what.done >= what.goal:
        return ""
    seconds = (time.monotonic() - what.began) / done * (what.goal - what.done)
    return f"about {_duration(seconds)} left"


def _short(number: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
