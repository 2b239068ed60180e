"""Where `show` writes: to a terminal, page by page if it is long; elsewhere as plain text; or JSON lines."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfinstruct.monitor.terminal import Screen, console

if TYPE_CHECKING:
    from rich.console import Console

    from selfinstruct.show.find import Found

PLAIN_WIDTH = 100  # columns of a text that does not go to a terminal


@dataclass(frozen=True)
class Output:
    """Writes what was found.

    Attributes:
        as_json: as JSON lines.
        paged: page by page, if standard output is a terminal and the text is longer than it.
    """

    as_json: bool = False
    paged: bool = True

    def story(self, story: Mapping[str, Any]) -> None:
        """Write the story of a record."""
        from selfinstruct.show.terminal import show_story

        self._write([story], lambda console: show_story(story, console))

    def found(self, found: Found, rows: Sequence[Mapping[str, Any]], what: str, how: str) -> None:
        """Write records that were found; see `listing.show_found`."""
        from selfinstruct.show.listing import show_found

        if self.as_json and len(rows) < found.total:
            print(f"the first {len(rows)} of {found.total:,} records; more of them: -n N", file=sys.stderr)
        self._write(rows, lambda console: show_found(found, rows, what, how, console))

    def run(self, glance: Mapping[str, Any], path: str) -> None:
        """Write a run at a glance."""
        from selfinstruct.show.listing import show_run

        self._write([glance], lambda console: show_run(glance, path, console))

    def jobs(self, jobs: Sequence[Mapping[str, Any]], path: str, how: str) -> None:
        """Write the jobs of a sweep."""
        from selfinstruct.show.listing import show_jobs

        self._write(jobs, lambda console: show_jobs(jobs, path, how, console))

    def _write(self, rows: Sequence[Mapping[str, Any]], show: Callable[[Console], None]) -> None:
        try:
            if self.as_json:
                for row in rows:
                    print(json_line(row))
            else:
                self._print(show)
            sys.stdout.flush()
        except (
            BrokenPipeError
        ):  # `show RUN | head` has read enough; the interpreter would complain at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _print(self, show: Callable[[Console], None]) -> None:
        below = sys.stdout.below if isinstance(sys.stdout, Screen) else sys.stdout
        page, screen = io.StringIO(), console(below)
        if not below.isatty():
            width = None if os.environ.get("COLUMNS") else PLAIN_WIDTH
            show(console(page, width=width))
            below.write("".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines()))
            return
        colours: Any = screen.color_system
        show(console(page, force_terminal=True, width=screen.width, color_system=colours))
        text = page.getvalue()
        if self.paged and text.count("\n") >= screen.height:
            import pydoc

            os.environ.setdefault("LESS", "-FRX")  # with colours; what fits on the screen stays there
            with redirect_stdout(below):  # the text is safe already, and has colours
                pydoc.pager(text)
        else:
            below.write(text)


def json_line(value: Any) -> str:
    """A value as a line of JSON, without a character that acts on a terminal or ends a line."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
