"""A Ray cluster of machines on the loopback interface, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

STORE = 80 << 20
LONGEST = 200.0  # seconds; a machine with much else to do takes minutes to start Ray
KEY = {"CLUSTER_KEY": "sk-of-the-workers"}  # has another value in tests, so that a server sees who asks


# Without the first two, other work on this machine lets workers starve, and Ray ends a machine that is slow.
PATIENT = {
    "RAY_worker_niceness": "0",
    "RAY_agent_register_timeout_ms": "200000",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # whoever runs the tests may have a token
}


@contextmanager
def machines(count: int, cpus: int = 1, variables: Mapping[str, str] | None = None) -> Iterator[Any]:
    """A cluster of so many machines with so many CPUs each; `cluster.address` is HOST:PORT.

    Its processes have the environment of now and these variables, without the keys that tests set later.
    """
    os.environ.update(PATIENT)
    from ray.cluster_utils import Cluster

    before = signal.getsignal(signal.SIGTERM)  # Ray replaces it
    sizes = {"num_cpus": cpus, "object_store_memory": STORE, "env_vars": dict(variables or {})}
    cluster = Cluster(initialize_head=True, head_node_args={**sizes, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            cluster.add_node(**sizes)
        yield cluster
    finally:
        cluster.shutdown()
        signal.signal(signal.SIGTERM, before)


def on(cluster: Any, *keys: str) -> list[str]:
    """The arguments of a run on a cluster."""
    return ["executor=ray", f"executor.address={cluster.address}", *keys]


def workers(run: Path, state: str) -> list[dict[str, Any]]:
    """The events of one kind about workers."""
    path = run / "events.jsonl"
    ended = path.read_text().rpartition("\n")[0] if path.exists() else ""
    rows = [json.loads(line) for line in ended.splitlines()]
    return [row for row in rows if row["event"] == "worker" and row["state"] == state]


def until(what: Callable[[], Any]) -> Any:
    """Wait until this is true; returns it."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def descendants(pid: int) -> list[Any]:
    """All processes that descend from this one, as psutil has them (it knows when a pid is used again)."""
    import psutil

    return list(psutil.Process(pid).children(recursive=True))


def ended(processes: Iterable[Any]) -> bool:
    """Whether all of these processes have ended; one that nobody has waited for yet has."""
    import psutil

    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it may end at any moment
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True
