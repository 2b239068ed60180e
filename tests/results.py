"""What a command gave back, read as a user reads it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
from pathlib import Path
from typing import Any

import children
from conftest import Typed

from selfinstruct.journal.repair import looked_into
from selfinstruct.records import Request


def refused(result: tuple[int, str, str], *words: str) -> None:
    """The command ended with status 1 and these words, without a traceback."""
    status, out, err = result
    assert status == 1, out + err
    assert "Traceback" not in out + err
    for word in words:
        assert word in err


def done(typed: Typed, *arguments: str, status: int = 0) -> str:
    """Type a command that ends with this status; what it says."""
    ended, out, err = typed(*arguments)
    assert ended == status, out + err
    return out + err


def row(out: str, name: str) -> list[str]:
    """A row of the plan: requests, tokens sent, tokens received, cost."""
    found = re.search(rf"^    {name}  +(.+)$", out, re.MULTILINE)
    assert found, out
    return re.split(r" {2,}", found[1])


def summary(run: Path) -> dict[str, Any]:
    """What summary.json holds."""
    return dict(json.loads((run / "summary.json").read_text(encoding="utf-8")))


def requests_of(run: Path, stage: str) -> dict[int, Request]:
    """The requests of a stage by number, as the journal has them."""
    with looked_into(run / "run.sqlite", busy=False) as journal:
        return {request.number: request for request in journal.requests(stage)}


def prompts_of(run: Path, stage: str) -> dict[int, str]:
    """The prompt of each request of a stage."""
    return {number: request.prompt for number, request in requests_of(run, stage).items()}


def on_a_terminal(project: Path, *arguments: str) -> str:
    """Everything that the command line writes to a terminal of 120 columns."""
    outside, inside = pty.openpty()
    process = children.start(project, *arguments, streams=[inside] * 3, TERM="xterm", COLUMNS="120")
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
