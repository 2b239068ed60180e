"""Kills at random moments: nothing stored is lost or paid for again, and the data in the end are the same."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from killing import MOMENTS, SIGNALS, Ordeal, data, intact, stamps, start, stored
from server import ModelServer, by_prompt, unhurried

PAPER = ("recipe=paper", "cache=off")
SCRIPTED = (*PAPER, "model=scripted", "model.concurrency=4")


def at(server: ModelServer) -> tuple[str, ...]:
    """The command for a run that asks a server."""
    name = "model.name=hosted_vllm/tiny"
    return (*PAPER, "model=vllm", name, f"model.api_base={server.base}", "model.concurrency=4")


def calm(project: Path, *arguments: str) -> float:
    """An undisturbed run in the folder `calm`, and the seconds that it took."""
    process = start(project, *arguments, "run_dir=calm")
    began = time.monotonic()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return time.monotonic() - began


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_no_byte(project: Path) -> None:
    """In start-up, at work, between stages, in writing files; by SIGKILL, Ctrl-C once and twice, SIGTERM."""
    span = calm(project, *SCRIPTED, "target=80")
    ordeal = Ordeal(project, "run", (*SCRIPTED, "target=80", "model.options.delay=0.8"), seed=1, span=span)
    told = "\n".join(str(blow) for blow in ordeal.strike(20))
    print(told)
    ordeal.finish("model.options.delay=0")
    assert not ordeal.complaints, "\n".join([*ordeal.complaints, told])
    assert data(project / "run") == data(project / "calm")
    assert len(data(project / "run")) == 7
    assert intact(project / "run")
    assert len(ordeal.hits) == 20
    assert {blow.moment for blow in ordeal.hits} == set(MOMENTS)
    assert {blow.how for blow in ordeal.hits} == {*SIGNALS, "INT, KILL"}
    assert sum(blow.unfinished for blow in ordeal.hits) >= 10, "too few of them hit a run at work"


@pytest.mark.slow
def test_kills_of_a_run_that_asks_a_server_pay_for_nothing_twice(project: Path) -> None:
    """No prompt whose reply had arrived is asked again: over HTTP, some replies far behind the others."""
    with ModelServer(by_prompt) as quick:
        span = calm(project, *at(quick), "target=24")
        assert set(Counter(quick.prompts).values()) == {1}
    with ModelServer(unhurried) as server:
        ordeal = Ordeal(project, "run", (*at(server), "target=24"), seed=10, span=span, server=server)
        told = "\n".join(str(blow) for blow in ordeal.strike(4))
        print(told)
        ordeal.finish("model.concurrency=32")
        assert not ordeal.complaints, "\n".join([*ordeal.complaints, told])
        assert data(project / "run") == data(project / "calm")
        assert intact(project / "run")
        assert ordeal.repeats <= 4 * len(ordeal.hits), "at most what was in flight at each kill"
        assert len(stored(project / "run")) >= 50


@pytest.mark.slow
def test_a_run_folder_is_one_processs_while_that_lives(project: Path) -> None:
    """A second process is refused, also after a kill; once the first is dead its folder is free."""
    held = (
        *SCRIPTED,
        "target=60",
        "model.options.delay=2",
        "run_dir=run",
    )  # longer than the second starts up
    replies = 0
    for _ in range(2):
        fresh = stamps(project / "run")
        first = start(project, *held)
        while stamps(project / "run") == fresh or len(stored(project / "run")) <= replies:
            assert first.poll() is None, "the folder of a dead process is not held"
            time.sleep(0.01)
        second = start(project, *held)
        _, err = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "another process uses this run" in err
        assert "Traceback" not in err
        assert first.poll() is None
        first.kill()
        _, err = first.communicate()
        assert first.returncode == -signal.SIGKILL, err
        replies = len(stored(project / "run"))
    last = start(project, *SCRIPTED, "target=60", "run_dir=run")
    _, err = last.communicate(timeout=60)
    assert last.returncode == 0, err
