"""A batch that is open at a provider, wherever a user looks at its run: what it is, and what to do."""

from __future__ import annotations

import re
import shutil
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from batch_server import CUT, BatchServer
from conftest import Typed
from killing import data
from results import done
from test_batches import COUNT, at, child, fate_of, many, sent, until, whole

from selfinstruct.journal.store import Journal

__all__ = ["many"]
PAGE = "docs/batches.md says how to cancel it"
OPEN = f"batch batch_1, with {COUNT} requests of answers, is open at the provider of "
OPEN += r"openai/gpt-4o-mini since \d{4}-\d\d-\d\d \d\d:\d\d"
LONG = ("in_progress",) * 500


def stopped(many: Path, server: BatchServer, *keys: str) -> None:
    """Start a run, and stop it with Ctrl-C while its batch is open."""
    process = child(many, *at(server, *keys))
    until(lambda: server.made and server.made[-1].looks, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err


def spaced(text: str) -> str:
    """A text with each line break and row of blanks as one blank."""
    return " ".join(text.split())


def test_every_view_of_a_run_names_its_open_batch(many: Path, typed: Typed) -> None:
    """Show, check, verify and replay say what is open, where and since when, and how to go on."""
    with BatchServer("openai", states=LONG) as server:
        stopped(many, server)
        started = f"the command that started the run picks it up; {PAGE}"
        assert re.search(f"{OPEN}; {started}", spaced(done(typed, "show", "run")))
        assert re.search(f"^ok +{OPEN}; {started}", done(typed, "verify", "run"), re.MULTILINE)
        plan = spaced(done(typed, "check", *at(server)))
        assert re.search(f"open {OPEN} the same command without check picks it up; {PAGE}", plan)
        plan = spaced(done(typed, "check", *at(server, batch=False)))
        assert f"the same command with model.batch=true picks it up; {PAGE}" in plan
        said = spaced(done(typed, "replay", "run", "run_dir=again", status=1))
        assert re.search(
            f"has received no reply yet.* {OPEN} the run's own command picks it up; {PAGE}", said
        )
        server.made[0].states = ["completed"]
        done(typed, *at(server))
        for words in (["show", "run"], ["check", *at(server)], ["verify", "run"]):
            assert "is open at" not in done(typed, *words)


def test_a_replay_says_what_is_not_in_it_yet(many: Path, typed: Typed) -> None:
    """Of a run whose first batch is here and whose second is not."""
    with BatchServer("openai", fate=fate_of({"3": CUT}, batch=0)) as server:
        process = child(many, *at(server))
        until(lambda: server.made, process)
        server._states = LONG
        until(lambda: len(server.made) == 2 and server.made[1].looks, process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    said = spaced(done(typed, "replay", "run", "run_dir=again"))
    one = "Not in it yet: batch batch_2, with 1 request of answers, is open at the provider of"
    assert one in said and f"the run's own command picks it up; {PAGE}." in said


def test_other_settings_and_a_fresh_run_name_what_they_leave_behind(many: Path, typed: Typed) -> None:
    """A batch is paid for, so neither hides it; the command that is named picks it up."""
    with BatchServer("openai", states=LONG) as server:
        stopped(many, server)
        for key in ("model.sampling.temperature=0.3", "model.name=openai/gpt-4o", "seed=7"):
            said = spaced(done(typed, *at(server, key), status=1))
            assert re.search(f"other settings.*{OPEN} the command with the settings of before", said), said
        plan = spaced(done(typed, "check", *at(server, "fresh=true")))
        assert re.search(f"{OPEN} the same command without fresh=true picks it up", plan)
        for batch in server.made:
            batch.states = ["completed"]
        server._states = ("completed",)
        said = spaced(done(typed, *at(server, "fresh=true")))
        assert re.search(f"run.before-1: {OPEN}", said)
        assert "the same command with run_dir=" in said and "without fresh=true, picks it up" in said
        assert server.counts == [COUNT, COUNT]
        done(typed, *at(server, run="run.before-1"))
        assert server.counts == [COUNT, COUNT]
    assert data(many / "run") == data(many / "run.before-1")


def test_a_request_that_would_be_another_one_now(many: Path, typed: Typed) -> None:
    """As after an update that composes prompts in another way: the run says that it is asked again."""
    with BatchServer("openai", states=LONG) as server:
        stopped(many, server)
        with closing(Journal(many / "run/run.sqlite")) as journal:
            for number in (3, 4):
                asked = journal.request("answers", number)
                assert asked
                journal.sent([replace(asked, prompt="Composed in another way")], sends=0)
        server.made[0].states = ["completed"]
        server._states = ("completed",)
        said = done(typed, *at(server))
        words = "requests of batch batch_1 would be other ones now, from 3 on; those are asked again"
        assert said.count(words) == 1 and server.counts == [COUNT, 2]
    assert data(many / "run") == whole(many, typed, "openai")


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_copied_folder_picks_the_batch_up_too(many: Path, typed: Typed, kind: str) -> None:
    """As on another machine: the copy and the original have the same data, and nothing is asked twice."""
    with BatchServer(kind, states=LONG) as server:
        stopped(many, server)
        shutil.copytree(many / "run", many / "copy")
        server.made[0].states = ["completed"]
        process = child(many, *at(server, run="copy"))
        done(typed, *at(server))
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert server.counts == [COUNT]
    assert data(many / "run") == data(many / "copy") == whole(many, typed, kind)


def test_a_second_process_is_refused_and_the_first_goes_on(many: Path, typed: Typed) -> None:
    """Two processes at the same folder do not both wait for its batch."""
    with BatchServer("openai", states=LONG) as server:
        process = child(many, *at(server))
        until(lambda: server.made and server.made[0].looks, process)
        assert "another process uses this run" in done(typed, *at(server), status=1)
        shown = spaced(done(typed, "show", "run"))
        assert re.search(f"a process is writing to it.*{OPEN}; {PAGE}", shown) and "picks it up" not in shown
        server.made[0].states = ["completed"]
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert server.counts == [COUNT]


def test_what_a_cancelled_batch_has_can_be_taken_in_alone(many: Path, typed: Typed) -> None:
    """A budget that is spent keeps the run from asking the rest again."""
    with BatchServer("openai", states=LONG, fate=fate_of({"3": CUT, "7": CUT}, batch=0)) as server:
        stopped(many, server)
        server.made[0].states = ["cancelled"]
        said = done(typed, *at(server, "budget.requests=1"), status=3)
        assert "budget.requests=1" in said and server.counts == [COUNT]
        assert "is open at" not in done(typed, "show", "run")
        server._states = ("completed",)
        done(typed, *at(server))
        assert server.counts == [COUNT, 2]
    assert data(many / "run") == whole(many, typed, "openai")
    assert sent(many) == sum(server.counts)
