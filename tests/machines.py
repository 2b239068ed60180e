"""A Ray cluster of machines on the loopback interface, for tests and benchmarks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STORE = 80 << 20


# Otherwise other work on this machine lets workers starve, and Ray ends a machine that is slow to start.
PATIENT = {
    "RAY_worker_niceness": "0",
    "RAY_agent_register_timeout_ms": "200000",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextmanager
def machines(count: int, cpus: int = 1) -> Iterator[Any]:
    """A cluster of so many machines with so many CPUs each; `cluster.address` is HOST:PORT.

    Its processes have the environment of now, without the keys that tests set later.
    """
    os.environ.update(PATIENT)
    from ray.cluster_utils import Cluster

    before = signal.getsignal(signal.SIGTERM)  # Ray replaces it
    sizes = {"num_cpus": cpus, "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args={**sizes, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            cluster.add_node(**sizes)
        yield cluster
    finally:
        cluster.shutdown()
        signal.signal(signal.SIGTERM, before)
