"""Large replies that wait for their turn: they do not pile up in memory, and are taken in as they came."""

from __future__ import annotations

import gc
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Typed, lines
from server import Answer, Asked, ModelServer, text
from tiny_recipe import at

from selfinstruct.journal.shelf import MOST
from selfinstruct.records import Reply

COUNT, LARGE = 50, 500_000  # replies, and characters of each
IN_FLIGHT = 2


def arrived(journal: Path) -> int:
    """How many replies a run has stored."""
    with closing(sqlite3.connect(journal)) as db:
        return int(db.execute("SELECT COUNT(*) FROM reply").fetchone()[0])


@pytest.mark.usefixtures("tiny")
def test_large_replies_behind_a_slow_one_wait_on_the_disk(typed: Typed, project: Path) -> None:
    """While 49 large replies wait for the first one, few are in memory; all are taken in, in order."""
    held: list[int] = []

    def script(asked: Asked) -> Answer:
        if asked.number == 1:
            until = time.monotonic() + 500
            while arrived(project / "run/run.sqlite") < COUNT - 1 and time.monotonic() < until:
                time.sleep(0.05)
            held.append(sum(len(one.text) for one in gc.get_objects() if isinstance(one, Reply)))
        return text(f"{asked.number} {'x' * LARGE}", "length")

    keys = (f"pipeline.ideas.patience={2 * COUNT}", f"pipeline.ideas.window={COUNT + 10}", "target=1000")
    with ModelServer(script) as server:
        more = (f"model.concurrency={IN_FLIGHT}", "model.timeout=600", "report=null", "cache=null")
        status, _, err = typed(*at(server, *keys, *more))
    assert status == 4, err
    assert arrived(project / "run/run.sqlite") >= COUNT
    assert 0 < held[0] <= MOST + 2 * IN_FLIGHT * LARGE
    rejected = [row["id"] for row in lines(project / "run/rejected.jsonl")]
    assert rejected == [f"ideas-{number:06}-0" for number in range(1, COUNT + 1)]
