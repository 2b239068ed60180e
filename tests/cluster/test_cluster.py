"""`executor=ray`: the workers of a Ray cluster send a run's requests, and the data are those of a local run.

The cluster has two machines, which are processes here; the model's server is a real one on loopback.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

import pytest
from children import start
from conftest import Typed, lines
from killing import data, stored
from machines import PATIENT, STORE, machines
from pages import HOSTED, script, shell
from server import Answer, Asked, ModelServer, by_prompt

from selfinstruct.cluster import room

pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(900)
LONGEST = 200.0  # a machine with much else to do takes minutes to start Ray


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """Ray leaves the environment of later tests as it was; copies of a process depend on it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def cluster(environment: None) -> Iterator[Any]:
    """Two machines."""
    with ExitStack() as stack:
        try:
            two = stack.enter_context(machines(2))
        except Exception as error:  # only Ray's own code runs here; not all its limits can be raised
            pytest.skip(f"Ray does not start on this machine now: {error}")
        yield two


@pytest.fixture
def begun() -> Iterator[list[Any]]:
    """Processes that a test has started; those that run at its end, since it failed, are killed."""
    processes: list[Any] = []
    yield processes
    for one in processes:
        if one.poll() is None:
            one.kill()


class Slowly:
    """`by_prompt` after a time that depends on the prompt; from a moment on only when the gate is open."""

    def __init__(self, until: int) -> None:
        self.gate, self._until = threading.Event(), until

    def __call__(self, asked: Asked) -> Answer:
        """The answer to a request."""
        if asked.number > self._until:
            self.gate.wait(LONGEST)
        return replace(by_prompt(asked), delay=Random(asked.prompt).uniform(0.1, 0.5))


def paper(server: ModelServer, *keys: str) -> list[str]:
    """The arguments of a run of the paper's three stages that asks this server."""
    name = "model.name=hosted_vllm/tiny"
    asked = ["model=vllm", name, f"model.api_base={server.base}", "model.concurrency=8", "model.retries=0"]
    return ["recipe=paper", "cache=off", *asked, *keys]


SCRIPTED = ["recipe=paper", "cache=off", "model=scripted", "model.concurrency=4", "model.options.delay=2"]


def on(cluster: Any, *keys: str) -> list[str]:
    """The arguments of a run on a cluster."""
    return ["executor=ray", f"executor.address={cluster.address}", *keys]


def workers(run: Path, state: str) -> list[dict[str, Any]]:
    """The events of one kind about workers."""
    if not (run / "events.jsonl").exists():
        return []
    rows = lines(run / "events.jsonl")
    return [row for row in rows if row["event"] == "worker" and row["state"] == state]


def until(what: Callable[[], Any]) -> Any:
    """Wait until this is true; returns it."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.mark.slow
def test_a_killed_worker_and_machines_that_leave_and_join_change_no_byte(
    project: Path, cluster: Any, begun: list[Any]
) -> None:
    """Its requests are sent again by others, at most once each, though the model has no retries."""
    with ModelServer(by_prompt) as quick:
        calm = start(project, *paper(quick, "target=60", "run_dir=calm"))
        _, err = calm.communicate()
        assert calm.wait() == 0, err
        prompts = len(quick.prompts)
    run = project / "run"
    answer = Slowly(until=30)
    with ModelServer(answer) as server:
        process = start(project, *paper(server, "target=60", "run_dir=run"), *on(cluster))
        begun.append(process)
        first, _ = until(lambda: len(found := workers(run, "begins")) == 2 and found)
        until(lambda: len(server.asked) > 34)  # each worker has some in hand
        os.kill(first["pid"], signal.SIGKILL)
        until(lambda: len(workers(run, "begins")) == 3)
        added = cluster.add_node(num_cpus=1, object_store_memory=STORE)
        until(lambda: len(workers(run, "begins")) == 4)
        answer.gate.set()
        cluster.remove_node(added)
        _, err = process.communicate()
        assert process.wait() == 0, err
    died = workers(run, "dies")
    crash = "its process ended by a crash, or was killed, as when memory runs out"
    assert [one["why"] for one in died] == [crash, "its machine has left the cluster"]
    assert f"worker {died[0]['worker']} on {died[0]['machine']} died" in err
    assert died[0]["requests"]
    assert prompts < len(server.prompts) <= prompts + sum(one["requests"] for one in died)
    assert data(run) == data(project / "calm")


def test_check_says_what_the_cluster_offers(
    typed: Typed, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machines, their sizes and the workers on each; the cluster that RAY_ADDRESS names is found too."""
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    status, out, err = typed("check", "recipe=paper", "model=scripted", "executor=ray")
    assert (status, err) == (0, "")
    told = out.partition("executor")[2].partition("\n\n")[0]
    assert f"at {cluster.address}: machines: 2, 2 CPUs, 0 GPUs, " in told
    assert told.count("1 CPUs, 0 GPUs") == told.count("workers: 1, room for 1") == 2
    assert f"all have Python {platform.python_version()}, selfinstruct {version('selfinstruct')}" in told


def test_a_cluster_that_cannot_be_used_is_refused_before_the_first_request(
    typed: Typed, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More workers than places, other versions and keys that lack there: all at once, each with a remedy."""
    monkeypatch.setenv("ONLY_HERE", "sk-only-here")
    monkeypatch.setattr(room, "version", {"selfinstruct": "9.9", "litellm": version("litellm")}.__getitem__)
    with ModelServer(by_prompt) as server:
        keys = ["model.api_key_env=ONLY_HERE", "executor.workers=3"]
        status, out, err = typed(*paper(server, *keys), *on(cluster))
        assert status == 1
        assert not server.asked
    assert "executor.workers: 3 workers do not fit: each needs 1 CPUs, and the cluster has 2 CPUs" in err
    assert "set executor.workers=2" in err
    assert err.count("the environment variable ONLY_HERE is set here, but not there") == 2
    assert "export ONLY_HERE=…" in err
    assert err.count(f"has selfinstruct {version('selfinstruct')}, and this process has 9.9") == 2
    assert "Traceback" not in err
    assert "sk-only-here" not in out + err


@pytest.mark.parametrize(
    ("address", "what", "remedy"),
    [
        ("nowhere", "'nowhere' is not HOST:PORT", "10.0.0.1:6379"),
        ("127.0.0.1:{closed}", "no Ray cluster answers at 127.0.0.1:", "ray start --head"),
        ("ray://127.0.0.1:10001", "is an address for Ray's client", "executor.address=HOST:6379"),
    ],
)
def test_an_address_without_a_cluster(typed: Typed, address: str, what: str, remedy: str) -> None:
    """Is named at once, and not after the minutes that Ray would try."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        closed = held.getsockname()[1]
    began = time.monotonic()
    given = f"executor.address={address.format(closed=closed)}"
    status, _, err = typed("check", "recipe=paper", "model=scripted", "executor=ray", given)
    assert status == 1
    assert what in err
    assert remedy in err
    assert time.monotonic() - began < LONGEST


def test_an_address_at_which_something_else_listens(typed: Typed) -> None:
    """Is named at once too: here a web server, as Ray's own dashboard is one."""
    with ModelServer(by_prompt) as server:
        address = f"executor.address=127.0.0.1:{server.port}"
        status, out, err = typed("check", "recipe=paper", "model=scripted", "executor=ray", address)
    assert (status, out) == (1, "")
    assert f"something answers at 127.0.0.1:{server.port}, but not as a Ray cluster does" in err
    assert "that of ray start --head" in err


def test_a_recipe_cannot_name_a_cluster(typed: Typed, project: Path) -> None:
    """Only a user may: the machines of a cluster run code."""
    (project / "recipes").mkdir()
    text = "defaults: [override /model: scripted]\nexecutor: {kind: ray, address: 127.0.0.1:6379}\n"
    (project / "recipes/mine.yaml").write_text(text, encoding="utf-8")
    status, _, err = typed("check", "recipe=mine")
    assert status == 1
    assert "an 'executor' key belongs on the command line or in conf/executor" in err


def test_without_ray_the_extra_is_named(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a fault of the recipe."""
    monkeypatch.setattr("selfinstruct.cluster.find_spec", lambda name: None)
    status, _, err = typed("check", "recipe=paper", "model=scripted", "executor=ray")
    assert status == 1
    assert "executor.kind: Ray is not installed" in err
    assert "pip install 'selfinstruct[ray]'" in err


@pytest.mark.slow
def test_workers_that_die_again_and_again_end_the_run(project: Path, cluster: Any, begun: list[Any]) -> None:
    """With the reason and what to do; what was received is kept, and the same command goes on."""
    run, calm = project / "run", ["model.options.delay=0", "executor=local"]
    keys = [*SCRIPTED, "target=20", "run_dir=run", *on(cluster, "executor.workers=1")]
    process = start(project, *keys)
    begun.append(process)
    killed: set[int] = set()
    until(partial(stored, run))
    while process.poll() is None:
        for one in workers(run, "begins"):
            if one["pid"] not in killed:
                os.kill(one["pid"], signal.SIGKILL)
                killed.add(one["pid"])
        time.sleep(0.1)
    _, err = process.communicate()
    assert process.wait() == 1, err
    assert 3 <= len(killed) <= 5
    assert "died: its process ended by a crash, or was killed" in err
    assert "What was received is kept" in err
    assert "Traceback" not in err
    kept = stored(run)
    assert kept
    for folder in ("run", "calm"):
        process = start(project, *SCRIPTED, "target=20", f"run_dir={folder}", *calm)
        _, err = process.communicate()
        assert process.wait() == 0, err
    assert kept.items() <= stored(run).items()
    assert data(run) == data(project / "calm")


def children_of(pid: int) -> set[int]:
    """All processes that descend from this one."""
    import psutil

    return {one.pid for one in psutil.Process(pid).children(recursive=True)}


def gone(pids: set[int]) -> bool:
    """Whether none of these processes is at work."""
    import psutil

    left = [pid for pid in pids if psutil.pid_exists(pid)]
    return all(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in left)


@pytest.mark.slow
def test_ctrl_c_and_a_kill_leave_nothing_of_a_cluster_of_its_own(project: Path, begun: list[Any]) -> None:
    """Ctrl-C reaches the whole group of processes; the requests in flight are still answered."""
    words = [sys.executable, "-m", "selfinstruct", *SCRIPTED, "target=400", "executor=ray"]
    for name, end in (("stopped", signal.SIGINT), ("killed", signal.SIGKILL)):
        process = subprocess.Popen(
            [*words, f"run_dir={name}"],
            cwd=project,
            env={**os.environ, **PATIENT},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        begun.append(process)
        if not _begins(process, project / name):
            pytest.skip("Ray does not start on this machine now, which has much else to do")
        theirs = children_of(process.pid)
        assert len(theirs) > 3
        (os.killpg if end == signal.SIGINT else os.kill)(process.pid, end)
        out, err = process.communicate(timeout=LONGEST)
        assert process.returncode == (130 if end == signal.SIGINT else -end), err
        assert "ray.io" not in out + err, "Ray says nothing of its own"
        assert ("stopping after the requests in flight" in err) == (end == signal.SIGINT)
        assert not workers(project / name, "dies")
        until(partial(gone, theirs))


def _begins(process: subprocess.Popen[str], run: Path) -> bool:
    """Whether replies are stored; False only if Ray itself did not start within its own limits."""
    with suppress(AssertionError):
        until(lambda: stored(run) or process.poll() is not None)
    if stored(run):
        return True
    assert not workers(run, "begins"), "Ray has started, but no reply came"
    if process.poll() is not None:
        _, err = process.communicate()
        assert "a Ray cluster cannot be started here" in err, err
    return False


@pytest.mark.slow
@shell
def test_the_commands_of_the_page(project: Path, cluster: Any) -> None:
    """As they are in docs/larger-than-one-machine.md, with the address of this cluster."""
    commands = script("larger-than-one-machine.md", HOSTED, fresh=True)
    assert commands.count("executor=ray") == 3
    commands = commands.replace("10.0.0.1:6379", cluster.address)
    done = subprocess.run(["bash", "-c", commands], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"the Ray cluster at {cluster.address}: workers: 2, on 2 of 2 machines" in done.stderr
    assert data(project / "runs/quickstart")
