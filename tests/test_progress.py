"""What a terminal shows, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

from conftest import Typed


def on_a_terminal(project: Path, *arguments: str) -> str:
    """Everything that the command line writes to a terminal of 120 columns."""
    outside, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "selfinstruct", *arguments],
        cwd=project,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(inside)
    shown = b""
    while select.select([outside], [], [], 30)[0]:
        try:
            part = os.read(outside, 65536)
        except OSError:  # the other side was closed: the process has ended
            break
        shown += part
    os.close(outside)
    assert process.wait(timeout=30) == 0
    return shown.decode()


def test_a_bar_a_stage_on_a_terminal(project: Path) -> None:
    """A bar with accepted of target, the acceptance rate, what is in flight, tokens and time left."""
    shown = on_a_terminal(
        project,
        "recipe=paper",
        "model=scripted",
        "target=30",
        "model.options.delay=0.4",
        "model.concurrency=4",
    )
    for words in ("━", "30/30", "accepted", "in flight", "tokens", "left", "\x1b["):
        assert words in shown
    assert "instructions: 30 of 30" not in shown, "plain lines are for files"
    assert "sample 3" in shown


def test_what_was_done_before_is_counted_once(typed: Typed) -> None:
    """A run that goes on from a reply which the target cut short counts none of its records twice."""
    for target in (10, 20, 50):
        status, _, err = typed("recipe=paper", "model=scripted", f"target={target}", "run_dir=run")
        assert status == 0
        assert f"instructions: {target} of {target} " in err
        assert f"classification: {target} of {target} " in err
