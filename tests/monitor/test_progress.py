"""What a terminal shows, on a real pseudo-terminal."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

from conftest import Typed
from results import on_a_terminal

from selfinstruct.monitor.progress import Progress


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


def test_other_work_has_a_line_with_the_time_left_and_its_notes() -> None:
    """Such as the steps of a training; nothing is shown before it begins, and an empty note takes no room."""
    stream = StringIO()
    with Progress(stream).work("finetune") as show:
        assert stream.getvalue() == ""
        show(2, 10, 2, [])
        show(4, 10, 2, ["loss 1.250", "", "60 tokens a second"])
    *_, last = stream.getvalue().splitlines()
    assert re.fullmatch(r"finetune: 4 of 10  about \d+ s left  loss 1.250  60 tokens a second", last), last
